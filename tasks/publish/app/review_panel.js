// Deciding on a tube, where the review server sends its page: accept, query, repeat, exclude.
const reviewPanel = (() => {
  const DECISIONS = [
    { name: "accept", key: "a", words: "Accept", comment: false },
    { name: "query", key: "q", words: "Query", comment: true },
    { name: "repeat", key: "r", words: "Repeat", comment: true },
    { name: "exclude", key: "x", words: "Exclude", comment: true },
    { name: "include", key: "x", words: "Include again", comment: true },
  ];
  const STATES = {
    "": "Nobody has decided on this tube yet.",
    accepted: "Accepted",
    queried: "Queried",
    repeat: "To be repeated",
    excluded: "Excluded from every series",
  };

  class Panel {
    constructor(shown, who) {
      this.shown = shown;
      this.address = `/api/tubes/${encodeURIComponent(shown.tube.head.tube_sha256)}`;
      this.told = element("div", { class: "review-told", "aria-live": "polite" });
      this.buttons = element("div", { class: "review-buttons" });
      this.dialog = element("dialog", { class: "help-dialog review-dialog" });
      const mayDecide = who.role !== "reader";
      this.section = element(
        "section",
        { class: "review-panel", "aria-label": "Review" },
        this.told,
        mayDecide ? this.buttons : null,
      );
      document.body.append(this.dialog);
    }

    /** Fetch what was decided and show it. */
    async refresh() {
      this.standing = { ...(await ask(this.address)), next: await nextToLookAt() };
      const { state } = this.standing;
      const choices = DECISIONS.filter(
        ({ name }) => name !== (state === "excluded" ? "exclude" : "include"),
      );
      this.choices = choices;
      this.told.replaceChildren(...sentences(this.standing));
      this.buttons.replaceChildren(
        ...choices.map((choice) => this.button(choice)),
        element(
          "button",
          { type: "button", onclick: () => this.shown.correct() },
          "Correct a gate ",
          element("kbd", {}, "e"),
        ),
      );
    }

    button(choice) {
      const pressed =
        { accept: "accepted", query: "queried", repeat: "repeat" }[choice.name] ===
        this.standing.state;
      return element(
        "button",
        { type: "button", "aria-pressed": String(pressed), onclick: () => this.ask(choice) },
        `${choice.words} `,
        element("kbd", {}, choice.key),
      );
    }

    /** Do what a key asks; tells whether it did anything. */
    key(name) {
      const choice = this.choices?.find(({ key }) => key === name);
      if (!choice || this.dialog.open) return false;
      this.ask(choice);
      return true;
    }

    /** Ask for what a decision needs: whom it is on, and why. */
    ask(choice) {
      const { patient, visit } = this.standing;
      const ofTube = ["exclude", "include"].includes(choice.name);
      const comment = element("textarea", {
        rows: 3,
        maxlength: 2000,
        required: choice.comment,
        name: "comment",
      });
      const whole = element("input", { type: "checkbox", name: "whole" });
      const fault = element("p", { class: "alarm", role: "alert", hidden: true });
      const decide = async (event) => {
        event.preventDefault();
        await this.save(choice, comment.value, whole.checked, fault);
      };
      const form = element(
        "form",
        { onsubmit: decide },
        element(
          "h2",
          { id: "review-title" },
          `${choice.words}: ${patient} ${visit}, ${this.shown.tube.head.panel}`,
        ),
        element(
          "label",
          {},
          choice.comment ? "Why (kept with your name)" : "Comment (may be empty)",
          comment,
        ),
        ofTube
          ? null
          : element("label", { class: "review-whole" }, whole, ` all tubes of ${visit}`),
        fault,
        element(
          "p",
          {},
          element("button", { type: "submit" }, choice.words),
          " ",
          element("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel"),
        ),
      );
      this.dialog.setAttribute("aria-labelledby", "review-title");
      this.dialog.replaceChildren(form);
      this.dialog.showModal();
      comment.focus();
    }

    async save(choice, comment, whole, fault) {
      try {
        const stamp = whole ? this.standing.visit_stamp : this.standing.stamp;
        await send(`${this.address}/decisions`, { decision: choice.name, comment, whole, stamp });
        this.dialog.close();
        await this.refresh();
      } catch (error) {
        fault.textContent = error.message;
        fault.hidden = false;
      }
    }
  }

  function sentences({ state, by, at, comment, reopened, corrections, next, ...standing }) {
    const known = state
      ? `${STATES[state]}${by ? ` by ${by}, ${at}` : ""}${comment ? `: ${comment}` : "."}`
      : STATES[""];
    return [
      element("p", { class: `review-state review-${state || "open"}` }, element("bdi", {}, known)),
      reopened ? element("p", { class: "alarm" }, `Open again: ${reopened}.`) : null,
      standing.changed_since
        ? element("p", {}, `The numbers changed since it was asked: ${standing.changed_since}.`)
        : null,
      ...corrections.map((words) =>
        element("p", { class: "review-correction" }, "Corrected: ", element("bdi", {}, words)),
      ),
      next
        ? element(
            "p",
            {},
            element("a", { href: next.address }, `Next to look at: ${next.words}`),
            " ",
            element("kbd", {}, "n"),
          )
        : null,
    ].filter(Boolean);
  }

  /** Give the tube that the front page lists after this one as to be looked at, or null. */
  async function nextToLookAt() {
    const study = await load("study", "").catch(() => null);
    const listed = study?.look ?? [];
    const here = listed.findIndex(({ sha12 }) => sha12 === tubeVisits.shortName());
    const next = listed[here + 1];
    if (!next) return null;
    const { patient, visit, panel, sha12, gate } = next;
    return { address: pageAddress.tube(sha12, { gate }), words: `${patient} ${visit} ${panel}` };
  }

  /** Put the panel on a tube's page; gives it, or null where nobody is logged in. */
  async function attach(shown) {
    const who = await session();
    if (!who.name) return null;
    const panel = new Panel(shown, who);
    document.querySelector(".tube-facts").after(panel.section);
    await panel.refresh();
    return panel;
  }

  return { attach };
})();
