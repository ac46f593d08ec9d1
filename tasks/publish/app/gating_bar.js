// The bar above the plots: what is laid over them, what is lit, and the way to other visits.
class GatingBar {
  constructor(gatingPage) {
    this.page = gatingPage;
    this.told = element("p", { class: "bar-told", "aria-live": "polite" });
    this.overlays = new Map(
      pageAddress.OVERLAYS.map((overlay) => [overlay.name, this.overlayButton(overlay)]),
    );
    this.lamp = element(
      "button",
      { type: "button", "aria-pressed": "false", onclick: () => gatingPage.lightChosen() },
      "Light the gate ",
      key("l"),
    );
    this.large = element(
      "button",
      { type: "button", onclick: () => gatingPage.set({ large: true }) },
      "Enlarge ",
      key("Enter"),
    );
    this.strip = element("a", { class: "bar-strip" }, "This gate at all visits");
    this.bar = element(
      "div",
      { class: "gating-bar" },
      element(
        "div",
        { class: "bar-top" },
        this.visits(),
        this.strip,
        element(
          "button",
          { type: "button", onclick: () => gatingPage.help.showModal() },
          "Keys ",
          key("?"),
        ),
      ),
      element(
        "div",
        { class: "bar-tools", role: "toolbar", "aria-label": "Plots" },
        this.large,
        this.lamp,
        element("span", { class: "faded" }, "Lay over:"),
        [...this.overlays.values()],
      ),
      this.told,
    );

    function key(name) {
      return element("kbd", {}, name);
    }
  }

  overlayButton({ name, key, words }) {
    const fault = this.unavailable(name);
    return element(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        disabled: Boolean(fault),
        title: fault,
        onclick: () => this.page.lay(name),
      },
      `${words} `,
      element("kbd", {}, key),
    );
  }

  /** Say why something cannot be laid over the plots, or "". */
  unavailable(name) {
    const { beside, tube } = this.page;
    if (name === "declared") {
      const moved = tube.gates.some((gate) => gate.declared.length);
      return moved ? "" : "Every gate lies where the strategy declares it.";
    }
    if (!beside.own)
      return "The patient's tables, which name the other tubes, have not been written yet.";
    if (name === "control")
      return beside.controls.length ? "" : "No control of this panel was run for this patient.";
    if (beside[name]) return "";
    return name === "previous"
      ? "This is the first visit of this panel."
      : "This is the baseline, or there is none of this panel.";
  }

  visits() {
    const { previous, next, own } = this.page.beside;
    if (!own) return null;
    this.links = {
      previous: this.visitLink(previous, "← "),
      next: this.visitLink(next, "", " →"),
    };
    const here = element("b", {}, `${own.visit}${tubeVisits.dayWords(own)}`);
    return element(
      "nav",
      { class: "bar-visits", "aria-label": "Visits of this panel" },
      this.links.previous,
      here,
      this.links.next,
    );
  }

  visitLink(entry, before, after = "") {
    if (!entry) return element("span", { class: "faded" }, before ? "first visit" : "last visit");
    return element("a", {}, `${before}${entry.visit}${tubeVisits.dayWords(entry)}${after}`);
  }

  /** Show the chosen and the lit gate and what is laid over. */
  update(chosen, light) {
    const { state, beside, tube } = this.page;
    this.overlays.forEach((button, name) =>
      button.setAttribute("aria-pressed", String(state.with === name)),
    );
    this.lamp.setAttribute("aria-pressed", String(light >= 0));
    this.lamp.disabled = chosen < 0 && light < 0;
    this.large.disabled = chosen < 0;
    for (const side of ["previous", "next"]) {
      if (beside[side]) this.links[side].href = pageAddress.tube(beside[side].sha12, state);
    }
    this.strip.hidden = chosen < 0 || !beside.own;
    if (!this.strip.hidden) {
      this.strip.href = pageAddress.strip(tube.head.patient, tube.gates[chosen].name);
    }
    this.lit = light;
  }

  /** Say which gate is not there, what is lit and what is laid over; gives the words. */
  tell(laid) {
    const words = [this.missingWords(), this.litWords(), laid].filter(Boolean).join(" ");
    this.told.replaceChildren(words);
    this.told.hidden = !words;
    return words;
  }

  missingWords() {
    const { state, tube } = this.page;
    const missing = [state.gate, state.light].filter((name) => name && tube.find(name) < 0);
    return missing.length ? `The strategy of this tube has no gate ${missing.join(", ")}.` : "";
  }

  litWords() {
    if (this.lit < 0) return "";
    const { tube } = this.page;
    const gate = tube.gates[this.lit];
    const lit = `Lit in orange: ${gateWords.name(gate)}, ${numberWords.events(gate.events)}`;
    return `${lit}; shown: ${this.shownWords(gate)}. Pale: outside a plot's parent.`;
  }

  shownWords(gate) {
    const share = this.page.tube.share(this.lit);
    if (share >= 1) return "all of them";
    const shown = Math.round(share * gate.events);
    const percent = numberWords.percent(shown, gate.events);
    return `${numberWords.count(shown)} of them (${percent}), an even sample`;
  }
}
