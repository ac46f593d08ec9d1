// Choosing the tubes in which a draft is looked at.
const draftTubes = (() => {
  const LISTED = 60;

  class Chooser {
    /** Takes the draft, and a function that is told the sha12 of the tubes that are chosen. */
    constructor({ tubes, chosen: first, most }, chosen) {
      Object.assign(this, { entries: tubes, first, most, chosen });
      this.find = element("input", {
        type: "search",
        "aria-label": "Search tubes by patient, visit, file, batch or control",
        placeholder: "Patient, visit, file, batch, control",
        oninput: () => this.list(),
      });
      this.items = element("ul", { class: "draft-choice" });
      this.told = element("p", { role: "status" });
      const done = element("button", { type: "submit" }, "Show these");
      const defaults = element(
        "button",
        { type: "button", onclick: () => this.pick(this.first) },
        "As at the beginning",
      );
      const cancel = element(
        "button",
        { type: "button", onclick: () => this.dialog.close() },
        "Cancel",
      );
      this.dialog = element(
        "dialog",
        { class: "help-dialog draft-dialog", "aria-labelledby": "draft-choice-title" },
        element(
          "form",
          { onsubmit: (event) => this.take(event) },
          element("h2", { id: "draft-choice-title" }, `Tubes side by side (up to ${most})`),
          this.find,
          this.items,
          this.told,
          element("p", {}, done, " ", defaults, " ", cancel),
        ),
      );
      document.body.append(this.dialog);
    }

    /** Let somebody choose, given the hashes that are shown now. */
    open(shown) {
      this.find.value = "";
      this.pick(shown);
      this.dialog.showModal();
      this.find.focus();
    }

    pick(hashes) {
      this.picked = new Set(hashes);
      this.list();
    }

    /** List what the search finds, what is chosen first. */
    list() {
      const words = searchable(this.find.value).split(/\s+/).filter(Boolean);
      const found = this.entries.filter((entry) =>
        words.every((word) => textOf(entry).includes(word)),
      );
      const isPicked = ({ sha12 }) => this.picked.has(sha12);
      const sorted = [...found.filter(isPicked), ...found.filter((entry) => !isPicked(entry))];
      this.items.replaceChildren(...sorted.slice(0, LISTED).map((entry) => this.item(entry)));
      this.tell(found.length);
    }

    item(entry) {
      const box = element("input", {
        type: "checkbox",
        value: entry.sha12,
        onchange: ({ target }) => this.toggle(target),
      });
      box.checked = this.picked.has(entry.sha12);
      return element(
        "li",
        {},
        element(
          "label",
          {},
          box,
          element("b", {}, visibleName(`${entry.patient} · ${entry.visit}`)),
          element("span", {}, visibleName(aboutOf(entry))),
          fileName(entry.file),
          entry.measured_on ? element("span", { class: "draft-badge" }, "measured on") : null,
        ),
      );
    }

    toggle(box) {
      if (box.checked && this.picked.size >= this.most) box.checked = false;
      else if (box.checked) this.picked.add(box.value);
      else this.picked.delete(box.value);
      this.tell();
    }

    tell(found = null) {
      const parts = [`${this.picked.size} of at most ${this.most} chosen.`];
      if (found === 0) parts.push("No tube is found: fewer or shorter words find more.");
      if (found > LISTED) parts.push(`${LISTED} of ${numberWords.count(found)} found are listed.`);
      this.told.replaceChildren(parts.join(" "));
    }

    take(event) {
      event.preventDefault();
      if (!this.picked.size) {
        this.told.replaceChildren("Choose at least one tube.");
        return;
      }
      this.dialog.close();
      this.chosen(this.entries.map(({ sha12 }) => sha12).filter((sha) => this.picked.has(sha)));
    }
  }

  const aboutOf = ({ specimen, control, batch }) =>
    [specimen === "blood" ? "" : specimen, control, batch].filter(Boolean).join(" · ");

  const textOf = ({ patient, visit, file, batch, control, sha12 }) =>
    searchable([patient, visit, file, batch, control, sha12].filter(Boolean).join("\n"));

  return { Chooser };
})();
