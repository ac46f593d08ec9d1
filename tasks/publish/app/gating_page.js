// The page of a tube: head and flags, the tree of its populations, a plot for each gate.
const gatingPages = (() => {
  class GatingPage {
    constructor(tube, patient) {
      this.tube = tube;
      this.plots = tubeData.plots(tube);
      this.patient = patient;
      this.beside = tubeVisits.beside(patient, tubeVisits.shortName());
      this.results = resultsOf(patient, tube, tubeVisits.shortName());
      this.laid = new LaidOver(tube, this.plots, this.beside);
      this.state = pageAddress.read(location.hash);
    }

    build(main) {
      this.tree = this.makeTree();
      this.bar = new GatingBar(this);
      this.help = gatingHelp.make();
      this.dialog = new plotDialogs.PlotDialog({
        closed: () => {
          this.editor?.end();
          if (this.state.large) this.set({ large: false });
        },
        step: (by) => this.step(by),
        visits: this.bar.visits(),
        switches: this.bar.switches(),
      });
      this.version = new VersionSection((figure, title) => this.enlargeOther(figure, title));
      const figures = this.plots.map((plot) => this.makeFigure(plot));
      this.figures = figures;
      main.append(
        ...[tubeHead.excluded(this.tube, this.beside.own)].filter(Boolean),
        tubeHead.facts(this.tube, this.beside.own),
        ...parts(
          "Flags",
          "flags",
          tubeHead.flags(this.tube, this.patient?.flags ?? {}, this.results),
        ),
        element(
          "div",
          { class: "tube-gates" },
          element("div", { class: "tube-tree" }, this.tree.table, this.codes()),
          element(
            "section",
            { class: "tube-plots", "aria-label": "Plots" },
            this.bar.bar,
            this.grid(figures),
            element("p", { class: "plot-legend faded" }, LEGEND),
          ),
        ),
        this.version.section,
        ...parts("Thresholds", "thresholds", tubeHead.thresholds(this.tube)),
        this.help,
      );
    }

    makeTree() {
      const severities = Object.fromEntries(
        this.tube.value.flags.map(({ word, severity }) => [word, severity]),
      );
      Object.entries(this.patient?.flags ?? {}).forEach(
        ([word, { severity }]) => (severities[word] ??= severity),
      );
      return new populationTree.PopulationTree({
        tube: this.tube,
        counts: this.results,
        codes: this.patient?.codes ?? {},
        severities,
        unit: this.tube.head.specimen === "blood" ? "cells/µL" : "result",
        choose: (number) => this.choose(number),
        light: (number) => this.light(number),
      });
    }

    /** Explain the codes of the results, and the rows that are not the visit's. */
    codes() {
      if (!this.patient) return element("p", { class: "faded" }, NO_TABLES);
      const results = Object.values(this.results);
      const used = new Set(results.map(({ code }) => code));
      const told = Object.entries(this.patient.codes).filter(([code]) => used.has(code));
      if (results.some((result) => result.used === false)) told.push(NOT_THE_VISITS);
      const line = ([term, words]) => [element("dt", {}, term), element("dd", {}, words)];
      return element("dl", { class: "tube-codes" }, told.flatMap(line));
    }

    makeFigure(plot) {
      const choose = (number) => this.choose(number);
      return new plotFigures.PlotFigure({
        asked: { tube: this.tube, plot, chosen: -1 },
        caption: gateCaptions.caption(this.tube, plot, this.results, choose),
        told: gateCaptions.told(this.tube, plot),
        open: () => this.set({ gate: this.nameIn(plot), large: true }),
      });
    }

    /** Place the plots; those whose parent holds no event are folded into one line. */
    grid(figures) {
      const empty = figures.filter(({ asked }) => !asked.plot.events);
      const filled = figures.filter(({ asked }) => asked.plot.events);
      this.emptyPlots = empty.length ? this.foldAway(empty) : null;
      if (!figures.length) return element("p", {}, "No gate was drawn for this tube.");
      const shown = filled.map(({ figure }) => figure);
      return [element("div", { class: "plot-grid" }, shown), this.emptyPlots];
    }

    foldAway(empty) {
      const plots = empty.length === 1 ? "1 plot" : `${empty.length} plots`;
      return element(
        "details",
        { class: "empty-plots", ontoggle: () => empty.forEach((figure) => figure.paint()) },
        element("summary", {}, `${plots} without events in the parent`),
        element(
          "div",
          { class: "plot-grid" },
          empty.map(({ figure }) => figure),
        ),
      );
    }

    /** Give the name of the chosen gate where a plot shows it, else of its first gate. */
    nameIn(plot) {
      const chosen = this.tube.find(this.state.gate);
      return this.tube.gates[plot.gates.includes(chosen) ? chosen : plot.gates[0]].name;
    }

    choose(number) {
      this.set({ gate: this.tube.gates[number].name });
      this.reveal();
    }

    light(number) {
      const name = this.tube.gates[number].name;
      this.set({ light: this.state.light === name ? "" : name, cells: "" });
    }

    /** Light the chosen gate; switch the light off where one is lit that was chosen before. */
    lightChosen() {
      const number = this.tube.find(this.state.gate);
      if (number >= 0) this.light(number);
      else this.set({ light: "", cells: "" });
    }

    /** Lay the next of the other versions over the plots, or take the last one away. */
    layVersion() {
      const over = this.state.with;
      if (!otherVersions.names().length) this.lay("version");
      else this.set({ with: otherVersions.after(otherVersions.nameOf(over)) });
    }

    lay(name) {
      const fault = this.bar.unavailable(name);
      if (fault) this.bar.tell(fault);
      else this.set({ with: this.state.with === name ? "" : name });
    }

    /** Choose the gate that stands so many rows further down the tree. */
    step(by) {
      const rows = this.tree.visible();
      const place = rows.indexOf(this.tube.find(this.state.gate));
      const next = rows[place < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, place + by))];
      if (next !== undefined) this.choose(next);
    }

    /** Go to the page of another visit, at the same gate. */
    go(entry) {
      if (entry) location.href = pageAddress.tube(entry.sha12, this.state);
    }

    set(changes) {
      this.state = { ...this.state, ...changes };
      history.replaceState(
        null,
        "",
        pageAddress.write(this.state) || location.pathname + location.search,
      );
      this.apply();
    }

    /** Show what the state says. */
    async apply() {
      const { state, tube } = this;
      const [chosen, light] = [tube.find(state.gate), tube.find(state.light)];
      this.tree.update(chosen, light);
      this.bar.update(chosen, light);
      this.figures.forEach((figure) =>
        figure.figure.classList.toggle("chosen", figure.asked.plot.gates.includes(chosen)),
      );
      await this.laid.choose(state.with);
      const cells = await mapOnGates.of(state.cells, tube);
      if (state !== this.state) return;
      this.figures.forEach((figure) =>
        figure.update({ chosen, light, cells, ...this.laid.over(figure.asked.plot) }),
      );
      this.version.show(this.laid.version);
      const laid = (words) => [cells?.told, words].filter(Boolean).join(" ");
      const pictured = this.bar.words(laid(this.laid.pictured()));
      this.enlarge(chosen, this.bar.tell(laid(this.laid.told())), pictured);
    }

    /** Show a plot enlarged that only the version laid over has. */
    enlargeOther({ asked }, title) {
      const words = gateCaptions.words(asked.tube, asked.plot, {});
      const told = gateCaptions.told(asked.tube, asked.plot);
      this.dialog.show({ asked, title: `${asked.tube.head.strategy}: ${title}`, words, told });
    }

    enlarge(chosen, told, pictured) {
      const figure = this.state.large
        ? this.figures.find(({ asked }) => asked.plot.gates.includes(chosen))
        : null;
      if (!figure) {
        this.dialog.hide();
        return;
      }
      const { plot } = figure.asked;
      this.dialog.show({
        asked: figure.asked,
        title: gateWords.name(this.tube.gates[chosen]),
        words: [
          ...gateCaptions.words(this.tube, plot, this.results),
          element("p", { class: "plot-notes" }, told),
          element("p", { class: "plot-notes" }, figure.asked.version?.notes ?? []),
        ],
        told: gateCaptions.told(this.tube, plot),
        results: this.results,
        notes: [pictured],
      });
    }

    /** Correct the chosen gate in its enlarged plot, where somebody who may is logged in. */
    async correct() {
      if (!this.editor) return;
      if (!this.state.gate) this.step(1);
      this.set({ large: true });
      await this.apply();
      this.editor.toggle();
    }

    /** Put the means to decide on the page, where the review server sends it. */
    async beginReview() {
      this.review = await reviewPanel.attach(this);
      if (!this.review || (await session()).role === "reader") return;
      this.editor = new gateEditor.Editor(this);
      this.dialog.editor = this.editor;
    }

    /** Bring the chosen gate's plot into view. */
    reveal() {
      const figure = this.figures.find(({ figure: shown }) => shown.classList.contains("chosen"));
      if (!figure) return;
      this.tree.reveal();
      if (this.emptyPlots?.contains(figure.figure)) this.emptyPlots.open = true;
      figure.figure.scrollIntoView({ block: "nearest" });
    }
  }

  function parts(title, id, content) {
    return [element("h2", { id }, title), content];
  }

  const NO_TABLES =
    "Concentrations are not shown: this patient's tables have not been written yet.";
  const NOT_THE_VISITS = [
    "not the visit's",
    "counted, but tables and curves take another tube's result, or none where it is excluded",
  ];
  const LEGEND = [
    "Colour: the parent's events in a bin, few (dark) to many (yellow), by the logarithm; paper",
    "where there is none; of few events, each is a dot. Red lines: gates. Dotted: limits within",
    "which a threshold is believed. A plot without an outline shows a combination of other gates:",
    "its events are red.",
  ].join(" ");

  /** Give the results of a tube by population, each with its unit. */
  function resultsOf(patient, tube, key) {
    const found = {};
    for (const [population, count] of Object.entries(patient?.counts[key] ?? {})) {
      const unit = patient.populations[population]?.unit?.[tube.head.specimen] ?? "";
      found[population] = { ...count, unit };
    }
    return found;
  }

  page("gating", async () => {
    const value = await load("tube", tubeVisits.shortName());
    const tube = tubeData.open(value);
    const shown = new GatingPage(tube, await tubeVisits.series(tube.head.patient));
    shown.build(document.querySelector("main"));
    gatingKeys.listen(shown);
    window.addEventListener("hashchange", () => {
      shown.state = pageAddress.read(location.hash);
      shown.apply();
      shown.reveal();
    });
    await shown.apply();
    shown.reveal();
    if (served) await shown.beginReview();
    plotFigures.drawRest();
  });

  return { resultsOf };
})();
