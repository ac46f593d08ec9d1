// What is laid over the plots of a tube: events and gates of other tubes, the declared gates, or
// those of another version of the strategy.
class LaidOver {
  /** beside: as tubeVisits.beside gives it. */
  constructor(tube, plots, beside) {
    Object.assign(this, { tube, plots, beside });
    this.others = new Map();
    this.what = "";
  }

  /** Choose what is laid over ("" for nothing) and load the tubes it needs. */
  async choose(what) {
    this.what = what;
    const asked = otherVersions.isAsked(what);
    const version = asked
      ? await otherVersions.load(this.tube, otherVersions.nameOf(what))
      : null;
    await Promise.all([...this.entries()].map((entry) => this.fetch(entry)));
    if (what === this.what) this.version = version;
  }

  /** Load one tube; one that cannot be read is kept as null. */
  async fetch({ sha12 }) {
    if (this.others.has(sha12)) return;
    const value = await load("tube", sha12).catch(() => null);
    this.others.set(sha12, value && tubeData.open(value));
  }

  /** Give the entries of all tubes that are laid over one plot or another. */
  entries() {
    return new Set(this.plots.map((plot) => this.entryFor(plot)).filter(Boolean));
  }

  /** Give the entry of the tube that is laid over one plot, or null. */
  entryFor(plot) {
    if (this.what === "control") return this.controlOf(plot);
    return ["baseline", "previous"].includes(this.what) ? this.beside[this.what] : null;
  }

  /** Give the entry of the control that belongs over a plot, or null. */
  controlOf(plot) {
    const labels = [plot.x, plot.y].map((axis) => this.tube.axes[axis].label);
    return tubeVisits.controlFor(this.beside.controls, labels);
  }

  /**
   * Give what plotScene.of asks about one plot: the other tube, whether gates are declared, and
   * what another version draws.
   */
  over(plot) {
    const entry = this.entryFor(plot);
    const other = entry ? (this.others.get(entry.sha12) ?? null) : null;
    const version = this.version?.over(plot) ?? null;
    const named = other && this.what === "control" ? `Blue: ${tubeVisits.short(entry)}.` : "";
    return { other, named, declared: this.what === "declared", version };
  }

  /** Say the same for a saved picture, which has no page around it. */
  pictured() {
    return this.version?.pictured ?? this.told();
  }

  /** Say what is laid over the plots, for the legend; "" for nothing. */
  told() {
    if (!this.what) return "";
    if (this.what === "declared") {
      return "Blue dashes: the declared gates. Red lines: the gates as applied to this tube.";
    }
    if (this.version) return this.version.told;
    const [drawn, missing] = [true, false].map((there) => this.names(there));
    if (!drawn && !missing) return "No such tube lies beside this one.";
    const sentences = [
      drawn && `Blue lines (or dots): the events of ${drawn}; lines hold 95, 80 and 50 % of them.`,
      drawn && "Blue dashes: the gates of that tube.",
      missing && `There are no plots of ${missing}.`,
    ];
    return sentences.filter(Boolean).join(" ");
  }

  names(there) {
    return [...this.entries()]
      .filter(({ sha12 }) => Boolean(this.others.get(sha12)) === there)
      .map(tubeVisits.told)
      .join("; ");
  }
}
