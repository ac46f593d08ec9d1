// Other versions of the strategy that `reconflow regate` counted this tube with: their gates over
// the plots, their counts beside the page's, and plots of the gates that only they have.
const otherVersions = (() => {
  /** List the versions that have a data file beside the page. */
  const names = () => (document.body.dataset.versions ?? "").split(" ").filter(Boolean);

  /** Give the version that an address' with= names, or "": "version" stands for the first. */
  function nameOf(what) {
    if (what === "version") return names()[0] ?? "";
    return pageAddress.isVersion(what) ? what : "";
  }

  /** Give the version that comes after one when its key is pressed again; "" after the last. */
  function after(what) {
    const known = names();
    return known[known.indexOf(nameOf(what)) + 1] ?? "";
  }

  /** Give a promise of what a version lays over a tube; where it cannot be, told says why. */
  async function loaded(tube, name) {
    if (!name) return nothing(NONE);
    if (!names().includes(name)) return nothing(`This tube was not compared with ${name}.`);
    const value = await load("version", `${tubeVisits.shortName()}/${name}`).catch(() => null);
    if (!value) return nothing(`The gates of ${name} cannot be read. ${again(name)}`);
    if (!fits(tube, value)) {
      return nothing(`This tube was counted anew since it was compared. ${again(name)}`);
    }
    return new OtherVersion(tube, value, name);
  }

  const NONE =
    "This tube was compared with no other version (reconflow regate --strategy NAME@VERSION).";
  const nothing = (told) => ({ told, over: () => null });
  const again = (name) => `reconflow regate --strategy ${name} compares it again.`;

  /** Tell whether a comparison is of the count that the page shows. */
  function fits({ head, gates }, { over, compared }) {
    const parts = ["strategy", "strategy_sha256", "panel_sha256", "calibration_sha256"];
    if (parts.some((part) => head[part] !== over[part])) return false;
    if (head.correction_sha256) return true;
    return gates.every(({ name, events }) => compared[name]?.[0] === events);
  }

  class OtherVersion {
    constructor(tube, { tube: other, compared }, name) {
      this.tube = tube;
      this.other = tubeData.open(other);
      this.compared = compared;
      this.name = name;
      this.own = byName(tube.gates);
      this.theirs = byName(this.other.gates);
    }

    get told() {
      return `${this.pictured} Counts of both stand below the plots.`;
    }

    /** Say what is laid over, where there is no page around it: in a saved picture. */
    get pictured() {
      const changed = this.rows().filter(({ differs, f1 }) => differs && f1 !== null).length;
      const told = changed === 1 ? "1 gate holds" : `${changed} gates hold`;
      const events = changed
        ? `${told} other events`
        : "All gates that both have hold the same events";
      const words = [`Blue dashes: the gates of ${this.name}. ${events}.`, this.uncorrected()];
      return words.filter(Boolean).join(" ");
    }

    uncorrected() {
      return this.tube.head.correction_sha256
        ? "They are without what a person corrected in this tube."
        : "";
    }

    /** Give what is drawn over one plot of the page: dashed outlines, and notes on the counts. */
    over(plot) {
      const gates = this.drawnOver(plot);
      const dashed = gates.map((gate) => this.placed(gate, plot)).filter((lines) => lines.length);
      return { dashed, notes: [this.noteOf(plot, gates)] };
    }

    /** List the gates of the version that belong over a plot: namesakes, and those it has alone. */
    drawnOver(plot) {
      const named = plot.gates.map((number) => this.tube.gates[number].name);
      return this.other.gates.filter((gate) => {
        if (gate.density !== null) return false;
        if (this.own.has(gate.name)) return named.includes(gate.name);
        return this.isPicture(gate, plot);
      });
    }

    /** Tell whether a plot shows a gate's parent on the gate's axes. */
    isPicture(gate, plot) {
      const parent = ({ gates }, number) => (number < 0 ? "" : gates[number].name);
      const same = (one, other) => axisReading.alike(this.other.axes[one], this.tube.axes[other]);
      return (
        !plot.combined &&
        parent(this.other, gate.parent) === parent(this.tube, plot.parent) &&
        same(gate.x, plot.x) &&
        same(gate.y, plot.y)
      );
    }

    /** Give a gate's outlines in a plot: what reaches the end of their axis reaches its end. */
    placed(gate, plot) {
      const across = ends(this.other.axes[gate.x], this.tube.axes[plot.x]);
      const up = ends(this.other.axes[gate.y], this.tube.axes[plot.y]);
      return gate.outlines.map((line) => line.map(([x, y]) => [across(x), up(y)]));
    }

    noteOf(plot, gates) {
      const known = gates.filter(({ name }) => this.own.has(name));
      const moved = known.filter(({ name }) => differs(...this.compared[name]));
      const alone = gates.filter(({ name }) => !this.own.has(name));
      const missing = plot.gates
        .map((number) => this.tube.gates[number])
        .filter(({ name }) => !this.theirs.has(name));
      return [
        known.length && !moved.length ? `Same events in ${this.name}.` : "",
        ...moved.map((gate) => this.countsOf(gate)),
        ...alone.map((gate) => `Only in ${this.name}: ${this.shareOf(gate)}.`),
        ...missing.map((gate) => `Not in ${this.name}: ${gateWords.name(gate)}.`),
        ...this.elsewhere(plot),
      ]
        .filter(Boolean)
        .join(" ");
    }

    countsOf(gate) {
      const [before, events] = this.compared[gate.name];
      const counts = `${numberWords.count(before)} → ${numberWords.count(events)}`;
      return `${gateWords.name(gate)}: ${counts}.`;
    }

    shareOf(gate) {
      return `${gateWords.name(gate)}, ${numberWords.events(gate.events)}`;
    }

    /** Name the gates of a plot that the version draws on other axes, and shows further down. */
    elsewhere(plot) {
      return plot.gates
        .map((number) => this.theirs.get(this.tube.gates[number].name))
        .filter((gate) => gate && gate.density !== null)
        .map((gate) => `${gateWords.name(gate)} has other axes in ${this.name}: see below.`);
    }

    /** List the plots that only the version has. */
    plotsAlone() {
      return tubeData
        .plots(this.other)
        .map((plot) => ({ ...plot, gates: plot.gates.filter((each) => this.isAlone(each)) }))
        .filter(({ gates }) => gates.length);
    }

    isAlone(number) {
      return this.other.gates[number].density !== null;
    }

    /** Give one row a gate: the page's gates in their order, then those of the version alone. */
    rows() {
      const added = this.other.gates.filter(({ name }) => !this.own.has(name));
      return [...this.tube.gates, ...added].map((gate) => {
        const [before, events, f1] = this.compared[gate.name] ?? [null, null, null];
        const parents = this.parentsOf(gate.name);
        return { gate, before, after: events, f1, parents, differs: differs(before, events, f1) };
      });
    }

    /** Give the events of a gate's parent in both versions; null where a version has no gate. */
    parentsOf(name) {
      const sides = [
        [this.tube, this.own],
        [this.other, this.theirs],
      ];
      return sides.map(([{ gates }, named], side) => {
        const gate = named.get(name);
        if (!gate || gate.parent < 0) return gate?.parent_events ?? null;
        return this.compared[gates[gate.parent].name]?.[side] ?? null;
      });
    }
  }

  /** Tell whether a gate holds other events in the two versions, or only one has it. */
  const differs = (before, events, f1) => f1 !== 1 && !(before === 0 && events === 0);

  const byName = (gates) => new Map(gates.map((gate) => [gate.name, gate]));

  /** Give a function that moves what lies at an end of one axis to the end of another. */
  function ends(from, to) {
    return (place) => {
      if (place <= from.low) return Math.min(place, to.low);
      return place >= from.high ? Math.max(place, to.high) : place;
    };
  }

  /** Tell whether an address' with= asks for a version. */
  const isAsked = (what) => what === "version" || pageAddress.isVersion(what);

  return { NONE, after, isAsked, load: loaded, nameOf, names };
})();

// The part of a tube's page that shows another version by itself: counts, and plots it has alone.
class VersionSection {
  /** enlarge(figure, title): shows a plot that only the version has enlarged. */
  constructor(enlarge) {
    this.enlarge = enlarge;
    this.figures = [];
    this.section = element("section", { hidden: true, class: "version-section" });
  }

  /** Show a version (as otherVersions.load gives it), or nothing. */
  show(version) {
    if (version === this.version) return;
    this.version = version;
    this.figures.forEach((figure) => figure.drop());
    this.figures = version?.rows ? version.plotsAlone().map((plot) => this.figure(plot)) : [];
    this.section.hidden = !version?.rows;
    this.section.replaceChildren(...(version?.rows ? this.parts(version) : []));
  }

  parts(version) {
    const own = version.tube.head.strategy;
    return [
      element("h2", { id: "version" }, `${own} beside ${version.name}`),
      ...this.plots(version),
      element("div", { class: "scroll" }, this.table(version, own)),
      element(
        "p",
        { class: "faded" },
        "Agreement is F1 of the events that both hold: 1 where they are the same events.",
      ),
    ];
  }

  plots({ name }) {
    if (!this.figures.length) return [];
    return [
      element("p", {}, `Plots of gates that only ${name} has, or draws on other axes:`),
      element(
        "div",
        { class: "plot-grid" },
        this.figures.map(({ figure }) => figure),
      ),
    ];
  }

  figure(plot) {
    const { other } = this.version;
    const open = () => this.enlarge(made, gateWords.name(other.gates[plot.gates[0]]));
    const made = new plotFigures.PlotFigure({
      asked: { tube: other, plot, chosen: -1 },
      caption: gateCaptions.caption(other, plot, {}, open),
      told: gateCaptions.told(other, plot),
      open,
    });
    return made;
  }

  table(version, own) {
    const corrected = version.tube.head.correction_sha256 ? ", without corrections" : "";
    const head = ["Gate", `${own}${corrected}`, "% of parent", version.name, "% of parent"];
    return element(
      "table",
      { class: "version-counts" },
      element(
        "thead",
        {},
        element("tr", {}, [...head, "Agreement"].map((words) => element("th", {}, words))),
      ),
      element("tbody", {}, version.rows().map(versionRow)),
    );
  }
}

function versionRow({ gate, before, after, f1, parents, differs }) {
  const cell = (words) => element("td", {}, words);
  const side = (events, parent) => [
    cell(events === null ? "–" : numberWords.count(events)),
    cell(events === null || !parent ? "–" : numberWords.percent(events, parent)),
  ];
  return element(
    "tr",
    { class: differs ? "differs" : null },
    element("th", { scope: "row" }, element("bdi", {}, gateWords.name(gate))),
    side(before, parents[0]),
    side(after, parents[1]),
    cell(agreementWords(before, after, f1)),
  );
}

/** Write F1 so that only the same events read 1. */
function agreementWords(before, after, f1) {
  if (before === null) return "new";
  if (after === null) return "removed";
  if (f1 === null) return "no events";
  return f1 === 1 ? "1" : Math.min(f1, 0.9999).toFixed(4);
}
