// The bar above a draft's plots: which gate, exact numbers of its thresholds, which tubes.
const draftBar = (() => {
  const COLOURS = "The colours are the parent's events, few (dark) to many (yellow).";

  class Bar {
    constructor(shown) {
      this.page = shown;
      this.title = element("h2", { class: "draft-gate" });
      this.fields = element("div", { class: "draft-fields" });
      const button = (words, key, act) =>
        element("button", { type: "button", onclick: act }, `${words} `, element("kbd", {}, key));
      this.bar = element(
        "div",
        { class: "gating-bar draft-bar" },
        element(
          "div",
          { class: "bar-top" },
          this.title,
          element(
            "div",
            { class: "bar-visits" },
            button("Gate before", "k", () => shown.step(-1)),
            button("Next gate", "j", () => shown.step(1)),
            button("Tubes", "t", () => this.chooseTubes()),
            button("Keys", "?", () => draftKeys.help.showModal()),
          ),
        ),
        this.fields,
      );
      this.legend = element(
        "p",
        { class: "plot-legend draft-legend" },
        draftPlots.LINES.map(({ name, words }) =>
          element("span", {}, draftPlots.lineSample(name), words),
        ),
        element("span", {}, draftPlots.lineSample("limit"), "limits of a threshold"),
        element("span", { class: "faded" }, COLOURS),
      );
    }

    chooseTubes() {
      const shown = this.page.laid ?? [];
      this.page.tubes.open(shown.map(({ sha12 }) => sha12));
    }

    update() {
      const tube = this.page.row.cards[0]?.laid.tube;
      const gate = tube?.gates[tube.find(this.page.gate)];
      if (!gate) return;
      if (this.gate !== gate) this.show(tube, gate);
      const { moves } = this.page;
      for (const [name, { input, kept }] of this.inputs) {
        const value = moves.has("threshold", name) ? (moves.preview?.values[name] ?? null) : kept;
        if (value !== null && input !== document.activeElement) input.value = String(value);
      }
    }

    /** Write a gate's title and a field for each of its thresholds that can be moved. */
    show(tube, gate) {
      this.gate = gate;
      this.inputs = new Map();
      const parent = gateWords.parentName(tube, gate.parent);
      this.title.replaceChildren(
        gateWords.name(gate),
        element("span", { class: "faded" }, ` of ${parent}`),
      );
      const known = new Map(this.page.draft.thresholds.map((each) => [each.name, each]));
      const own = gate.thresholds.map((each) => known.get(tube.thresholds[each].name));
      const fields = own.filter(Boolean).map((threshold) => this.field(threshold));
      this.fields.replaceChildren(
        ...(fields.length ? fields : [element("p", { class: "faded" }, this.without(gate))]),
      );
    }

    without({ name }) {
      if (this.page.may("gate", name)) return "Drag a corner of the outline in any tube.";
      return "Nothing of this gate can be moved here: what makes it is no number of this draft.";
    }

    field(threshold) {
      const { name, marker, kept, limits, fixed } = threshold;
      const movable = this.page.may("threshold", name);
      const input = element("input", {
        type: "number",
        step: "any",
        value: String(kept),
        disabled: !movable,
        onchange: ({ target }) => this.typed(name, target),
        onfocus: () => (this.page.row.last = name),
      });
      this.inputs.set(name, { input, kept });
      const nudge = (words, sign, direction) =>
        element(
          "button",
          {
            type: "button",
            disabled: !movable,
            title: words,
            "aria-label": `${words}: ${marker || name}`,
            onclick: () => this.nudge(name, direction),
          },
          sign,
        );
      const told = limits ? ` limits ${limits.map(numberWords.exact).join(" to ")}` : "";
      return element(
        "div",
        { class: "draft-field" },
        element("label", {}, marker || name, element("code", {}, ` ${name} `), input),
        nudge("lower ([)", "◂", -1),
        nudge("higher (])", "▸", 1),
        element("span", { class: "faded" }, fixed || told),
      );
    }

    /** Move a threshold by a step of its axis; one whose axis is not drawn, by a fiftieth. */
    nudge(name, direction) {
      this.page.row.last = name;
      if (this.page.row.nudge(direction, name)) return;
      const { input } = this.inputs.get(name);
      this.page.moves.type(name, Number((input.valueAsNumber * 1.02 ** direction).toPrecision(4)));
    }

    typed(name, input) {
      const value = input.valueAsNumber;
      if (Number.isFinite(value)) this.page.moves.type(name, value);
    }
  }

  return { Bar };
})();
