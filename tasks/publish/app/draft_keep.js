// Keeping what is moved on the page of a draft, with a reason, or discarding it.
const draftKeep = (() => {
  class Bar {
    /** keep(reason): a promise; it fails with the server's sentence. */
    constructor(moves, keep) {
      Object.assign(this, { moves, keep });
      this.told = element("div", { class: "draft-moved", "aria-live": "polite" });
      this.reason = element("input", { maxlength: 2000, required: true, name: "reason" });
      this.button = element("button", { type: "submit" }, "Keep in the draft");
      this.fault = element("p", { class: "alarm", role: "alert", hidden: true });
      const discard = { type: "button", onclick: () => this.discard() };
      this.form = element(
        "form",
        { class: "edit-form", onsubmit: (event) => this.save(event) },
        element("label", {}, "Why (kept with your name, in the file and in the log)", this.reason),
        this.button,
        element("button", discard, "Discard"),
      );
      this.section = element(
        "section",
        { class: "draft-keep", "aria-label": "What is moved", hidden: true },
        this.told,
        this.fault,
        this.form,
      );
    }

    update() {
      const { moves } = this;
      this.section.hidden = !moves.any && this.fault.hidden;
      this.form.hidden = !moves.any;
      this.button.disabled = !moves.current || !moves.preview || Boolean(moves.preview.refused);
      this.told.replaceChildren(...this.sentences());
    }

    sentences() {
      const { preview, fault, any, current } = this.moves;
      if (!any) return [];
      if (fault) return [element("p", { class: "alarm", role: "alert" }, fault)];
      if (!preview) return [element("p", {}, "Counting…")];
      return [
        element("h3", {}, current ? "Moved, not kept yet" : "Moved, not kept yet: counting…"),
        ...preview.moved.map(({ words, beyond }) =>
          element("p", { class: beyond ? "alarm" : null }, `${words} ${beyond}`),
        ),
        preview.refused
          ? element("p", { class: "alarm" }, `This cannot be kept: ${preview.refused}`)
          : null,
      ].filter(Boolean);
    }

    discard() {
      this.fault.hidden = true;
      this.moves.discard();
    }

    async save(event) {
      event.preventDefault();
      if (this.button.disabled) return;
      this.fault.hidden = true;
      this.section.setAttribute("aria-busy", "true");
      try {
        await this.keep(this.reason.value);
        this.reason.value = "";
      } catch (error) {
        this.fault.textContent = error.message;
        this.fault.hidden = false;
      } finally {
        this.section.removeAttribute("aria-busy");
      }
    }
  }

  return { Bar };
})();
