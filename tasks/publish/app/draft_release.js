// Releasing a draft: open only while the concordance that is shown is of this very content.
const draftRelease = (() => {
  class Panel {
    constructor(shown) {
      this.page = shown;
      this.reason = element("input", { name: "reason", required: true, maxlength: 2000 });
      this.token = element("input", {
        name: "token",
        type: "password",
        maxlength: 200,
        autocomplete: "off",
      });
      this.ofToken = element("label", {}, "Your token, once more", this.token);
      this.incomplete = element("input", { type: "checkbox", name: "incomplete" });
      this.leftOut = element("span");
      this.ofIncomplete = element("label", { hidden: true }, this.incomplete, this.leftOut);
      this.notes = element("ul", { class: "draft-doubts" });
      this.refused = element("p", { id: "release-refused" });
      this.fault = element("p", { class: "alarm", role: "alert", hidden: true });
      this.fields = element(
        "fieldset",
        {},
        element("label", {}, "Why this draft is right (kept with your name)", this.reason),
        this.ofToken,
        this.ofIncomplete,
        element("p", {}, element("button", { type: "submit" }, "Release")),
      );
      this.fields.setAttribute("aria-describedby", "release-refused");
      this.form = element(
        "form",
        { class: "edit-form draft-release", onsubmit: (event) => this.save(event) },
        this.fields,
      );
      this.body = element("div", {}, this.notes, this.refused, this.fault, this.form);
      this.section = element(
        "section",
        { "aria-labelledby": "release" },
        element("h2", { id: "release" }, "Release"),
        this.body,
      );
    }

    update() {
      const { release, kind, notes } = this.page.draft;
      this.notes.replaceChildren(...notes.map((note) => element("li", {}, visibleName(note))));
      const why = this.page.moves.any
        ? "Something is moved and not kept: keep it, or discard it, first."
        : release.refused;
      this.refused.replaceChildren(why || effectWords(kind));
      this.refused.className = why ? "draft-note" : "";
      this.fields.disabled = Boolean(why);
      this.ofToken.hidden = !release.needs_token;
      this.token.required = release.needs_token;
      this.leaveOut(this.page.concordance.shown?.uncompared ?? []);
    }

    /** Ask for a confirmation where tubes could not be compared. */
    leaveOut(files) {
      const words = ` Release it although these were not compared: ${files.join(", ")}`;
      if (this.leftOut.textContent === words) return;
      this.leftOut.textContent = words;
      this.ofIncomplete.hidden = !files.length;
      this.incomplete.required = files.length > 0;
      this.incomplete.checked = false;
    }

    async save(event) {
      event.preventDefault();
      const { stamp } = this.page.draft;
      this.fault.hidden = true;
      this.fields.disabled = true;
      try {
        const asked = {
          reason: this.reason.value,
          token: this.token.value,
          incomplete: this.incomplete.checked,
          stamp,
        };
        this.done(await send(`${this.page.address}/release`, asked));
      } catch (error) {
        this.fault.textContent = error.message;
        this.fault.hidden = false;
        this.fields.disabled = false;
      } finally {
        this.token.value = "";
      }
    }

    done({ pin, sha256, words }) {
      const [first, ...others] = words.map(visibleName);
      const told = `${first} (${sha256.slice(0, 12)})`;
      this.page.close(`${pin} is released.`);
      this.body.replaceChildren(
        element("p", { class: "draft-released", role: "status" }, told),
        ...others.map((sentence) => element("p", {}, sentence)),
        element("p", {}, element("a", { href: "/" }, "Front page")),
      );
    }
  }

  function effectWords(kind) {
    return kind === "calibration"
      ? "The next run counts the tubes of this instrument with it, and its file stays as it is."
      : "Its file stays as it is then. It counts once it is promoted (reconflow strategy promote).";
  }

  return { Panel };
})();
