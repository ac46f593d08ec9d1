// One gate of a patient at all visits, side by side: the baseline first, then by day.
const filmstrip = (() => {
  const COMING = "300px";

  /** The tubes of one panel and specimen, drawn on the same axes. */
  class Strip {
    constructor(patient, gate, tubes) {
      Object.assign(this, { patient, gate, tubes });
      this.figures = [];
      this.window = null;
      this.inView = new IntersectionObserver((entries) => this.seen(entries), {
        rootMargin: COMING,
      });
      this.cards = new Map(tubes.map((entry) => [this.card(), entry]));
    }

    card() {
      const made = element(
        "div",
        { class: "strip-card" },
        element("p", { class: "strip-wait strip-coming faded" }, "…"),
      );
      this.inView.observe(made);
      return made;
    }

    seen(entries) {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        this.inView.unobserve(target);
        this.fill(target, this.cards.get(target));
      }
    }

    /** Load a tube and draw its gate into its card; what is missing is said in words. */
    async fill(card, entry) {
      card.firstChild.classList.remove("strip-coming");
      try {
        const tube = tubeData.open(await load("tube", entry.sha12));
        const number = tube.find(this.gate);
        card.replaceChildren(
          number < 0
            ? this.without(entry, `${entry.strategy} has no such gate.`)
            : this.draw(entry, tube, number),
        );
      } catch {
        card.replaceChildren(this.without(entry, "There are no plots of this tube."));
      }
    }

    /** Fill one card that has not come into view yet; tells whether there was one. */
    async fillNext() {
      const waiting = [...this.cards].find(([card]) => card.querySelector(".strip-coming"));
      if (!waiting) return false;
      this.inView.unobserve(waiting[0]);
      await this.fill(...waiting);
      return true;
    }

    without(entry, sentence) {
      return element(
        "div",
        { class: "strip-wait" },
        this.caption(entry, null, -1),
        element("p", {}, sentence),
      );
    }

    draw(entry, tube, number) {
      const shared = tubeData.plots(tube).find(({ gates }) => gates.includes(number));
      const asked = { tube, plot: { ...shared, gates: [number] }, chosen: number };
      const figure = new plotFigures.PlotFigure({
        asked,
        caption: this.caption(entry, tube, number),
        told: `${entry.visit}: ${gateWords.sentence(tube, number)}`,
        href: pageAddress.tube(entry.sha12, { gate: this.gate }),
      });
      this.figures.push(figure);
      this.share(tube, asked.plot);
      return figure.figure;
    }

    /** Widen the axes to hold those of one more tube; all tubes are drawn again on them. */
    share(tube, plot) {
      const axes = { x: tube.axes[plot.x], y: tube.axes[plot.y] };
      this.axes ??= axes;
      this.window = joined(this.window, plotScene.wholeWindow(axes));
      for (const figure of this.figures) {
        const own = {
          x: figure.asked.tube.axes[figure.asked.plot.x],
          y: figure.asked.tube.axes[figure.asked.plot.y],
        };
        const alike = ["x", "y"].every((side) => axisReading.alike(own[side], this.axes[side]));
        figure.update(alike ? { window: this.window } : {});
      }
    }

    /** Make a caption: visit, flags, share and count, result with interval and code. */
    caption(entry, tube, number) {
      const href = pageAddress.tube(entry.sha12, { gate: this.gate });
      const baseline = entry.visit === this.patient.baseline ? " · baseline" : "";
      return [
        element(
          "a",
          { class: "strip-visit", href },
          `${entry.visit}${tubeVisits.dayWords(entry)}${baseline}`,
        ),
        entry.severity
          ? severityMark(entry.severity, `${entry.severity}: ${entry.flags.join(", ")}`)
          : null,
        number >= 0 ? this.counts(tube, number) : null,
        this.result(entry, tube, number),
        element("span", { class: "plot-parent" }, element("bdi", {}, entry.file)),
      ].filter(Boolean);
    }

    counts(tube, number) {
      const gate = tube.gates[number];
      const share = numberWords.percent(gate.events, gate.parent_events);
      const parent = gateWords.parentName(tube, gate.parent);
      return element(
        "span",
        { class: "plot-numbers" },
        element("b", {}, share),
        element(
          "span",
          {},
          `${numberWords.count(gate.events)} of ${numberWords.count(gate.parent_events)} ${parent}`,
        ),
      );
    }

    result(entry, tube, number) {
      const population = tube?.gates[number]?.population || this.gate;
      const count = this.patient.counts[entry.sha12]?.[population];
      if (!count) return null;
      const unit = this.patient.populations[population]?.unit?.[entry.specimen] ?? "";
      const interval = numberWords.interval(count.low, count.high);
      const unused =
        count.used === false ? "; not the visit's result" : "";
      const told =
        count.code === "NE"
          ? (this.patient.codes.NE ?? "not evaluable")
          : gateCaptions.codeOf(count);
      const words = [interval, told].filter(Boolean).join(", ");
      return element(
        "span",
        { class: "strip-result" },
        element("b", {}, gateCaptions.resultWords({ ...count, unit })),
        element("span", { class: "faded" }, ` ${words}${unused}`),
      );
    }
  }

  /** Join two windows into one that holds both. */
  function joined(one, other) {
    if (!one) return other;
    const side = (name) => [
      Math.min(one[name][0], other[name][0]),
      Math.max(one[name][1], other[name][1]),
    ];
    return { x: side("x"), y: side("y") };
  }

  /** Part tubes by panel and specimen; within each the baseline comes first, then by day. */
  function grouped({ tubes, baseline }) {
    const found = new Map();
    for (const tube of tubes.filter(({ control }) => !control)) {
      const name = `${tube.panel} · ${tube.specimen}`;
      found.set(name, [...(found.get(name) ?? []), tube]);
    }
    const rank = (tube) => (tube.visit === baseline ? 0 : 1);
    found.forEach((group) => group.sort((one, other) => rank(one) - rank(other)));
    return found;
  }

  /** Tell whether any strategy of a group has the gate: the first tube that can be read decides. */
  async function holds(group, gate) {
    const strategies = new Set();
    for (const { sha12, strategy } of group) {
      if (strategies.has(strategy)) continue;
      const value = await load("tube", sha12).catch(() => null);
      if (!value) continue;
      if (tubeData.open(value).find(gate) >= 0) return true;
      strategies.add(strategy);
    }
    return false;
  }

  /** Say which visits have no tube of a group. */
  function missing(patient, group) {
    const there = new Set(group.map(({ visit }) => visit));
    const names = patient.visits.map(({ visit }) => visit).filter((visit) => !there.has(visit));
    return names.length
      ? element("p", { class: "faded" }, `No tube at: ${names.join(", ")}.`)
      : null;
  }

  /** Fill, one after the other, what has not come into view, so that print and search find it. */
  async function fillRest(strips) {
    for (const strip of strips) while (await strip.fillNext());
    plotFigures.drawRest();
  }

  page("filmstrip", async () => {
    const { key, gate } = document.body.dataset;
    const patient = await load("patient", key);
    const main = document.querySelector("main");
    const strips = [];
    for (const [name, group] of grouped(patient)) {
      if (!(await holds(group, gate))) continue;
      const strip = new Strip(patient, gate, group);
      strips.push(strip);
      main.append(
        ...[
          element("h2", {}, name),
          missing(patient, group),
          element("div", { class: "plot-grid" }, [...strip.cards.keys()]),
        ].filter(Boolean),
      );
    }
    if (!strips.length)
      main.append(element("p", {}, `No tube of ${key} was gated with a gate of this name.`));
    plotFigures.whenIdle(() => fillRest(strips));
  });

  return { grouped, joined };
})();
