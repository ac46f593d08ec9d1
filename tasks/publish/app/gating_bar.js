// The bar above the plots: what is laid over them, what is lit, and the way to other visits.
class GatingBar {
  constructor(gatingPage) {
    this.page = gatingPage;
    this.told = element("p", { class: "bar-told", "aria-live": "polite" });
    this.overlays = [];
    this.lamps = [];
    this.controls = [];
    this.links = [];
    this.large = this.button("Enlarge", "Enter", () => gatingPage.set({ large: true }));
    this.strip = element("a", {}, "This gate at all visits");
    const help = this.button("Keys", "?", () => gatingPage.help.showModal());
    this.bar = element(
      "div",
      { class: "gating-bar" },
      element("div", { class: "bar-top" }, this.visits(), this.strip, help),
      element("div", { class: "bar-tools" }, this.large, this.switches()),
      this.told,
    );
  }

  button(words, key, act, more = {}) {
    const attributes = { type: "button", onclick: act, ...more };
    return element("button", attributes, `${words} `, element("kbd", {}, key));
  }

  /** Make a set of switches: what is lit, what is laid over. There may be several sets. */
  switches() {
    const lamp = this.button("Light the gate", "l", () => this.page.lightChosen());
    const overlays = pageAddress.OVERLAYS.filter(({ name }) => name !== "version");
    const buttons = [...overlays, ...this.versions()].map((each) => this.overlayButton(each));
    this.lamps.push(lamp);
    return [lamp, element("span", { class: "faded" }, "Lay over:"), ...buttons];
  }

  /** List the versions that can be laid over, each as an overlay of its own; one key for all. */
  versions() {
    return otherVersions.names().map((name) => ({ name, key: "v", words: `Version ${name}` }));
  }

  overlayButton({ name, key, words }) {
    const fault = this.unavailable(name);
    const more = { disabled: Boolean(fault), title: fault };
    const made = this.button(words, key, () => this.page.lay(name), more);
    this.overlays.push([name, made]);
    if (name === "control" && !fault) this.controls.push(made);
    return made;
  }

  /** Say why something cannot be laid over the plots, or "". */
  unavailable(name) {
    const { beside, tube } = this.page;
    if (pageAddress.isVersion(name)) return "";
    if (name === "version") return otherVersions.NONE;
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

  /** Make the way to the previous and to the next visit. There may be several of it. */
  visits() {
    const { previous, next, own } = this.page.beside;
    if (!own) return null;
    return element(
      "nav",
      { class: "bar-visits", "aria-label": "Visits of this panel" },
      previous ? this.visitLink(previous, "← ", "") : faded("first visit"),
      element("b", {}, `${own.visit}${tubeVisits.dayWords(own)}`),
      next ? this.visitLink(next, "", " →") : faded("last visit"),
    );

    function faded(words) {
      return element("span", { class: "faded" }, words);
    }
  }

  visitLink(entry, before, after) {
    const link = element("a", {}, `${before}${entry.visit}${tubeVisits.dayWords(entry)}${after}`);
    this.links.push([entry, link]);
    return link;
  }

  /** Show the chosen and the lit gate and what is laid over. */
  update(chosen, light) {
    const { state, beside, tube } = this.page;
    const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));
    const laid = otherVersions.nameOf(state.with) || state.with;
    this.overlays.forEach(([name, button]) => press(button, laid === name));
    this.lamps.forEach((lamp) => {
      press(lamp, light >= 0);
      lamp.disabled = chosen < 0 && light < 0;
    });
    this.links.forEach(([entry, link]) => (link.href = pageAddress.tube(entry.sha12, state)));
    this.large.disabled = chosen < 0;
    this.nameControl(chosen);
    this.strip.hidden = chosen < 0 || !beside.own;
    if (!this.strip.hidden) {
      this.strip.href = pageAddress.strip(tube.head.patient, tube.gates[chosen].name);
    }
    this.lit = light;
  }

  /** Name on the button of the control which one lies over the plot of the chosen gate. */
  nameControl(chosen) {
    const { laid, plots, beside } = this.page;
    const plot = plots.find(({ gates }) => gates.includes(chosen));
    const control = plot ? laid.controlOf(plot) : null;
    const words = control ? tubeVisits.short(control) : "Control (FMO)";
    const all = beside.controls.map(tubeVisits.told).join("; ");
    this.controls.forEach((button) => {
      button.firstChild.textContent = `${words} `;
      button.title = `Lays over each plot the control of its markers: ${all}`;
    });
  }

  /** Say which gate is not there, what is lit and what is laid over; gives the words. */
  tell(laid) {
    const words = this.words(laid);
    this.told.replaceChildren(words);
    this.told.hidden = !words;
    return words;
  }

  words(laid) {
    return [this.missingWords(), this.litWords(), laid].filter(Boolean).join(" ");
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
