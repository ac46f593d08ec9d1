// The small multiples of a map, one a visit, and one of them enlarged.
const mapFigures = (() => {
  class VisitFigure {
    /** visit: as CellMap.visits gives it; page: lasso(corners) and enlarge(visit). */
    constructor(map, visit, page) {
      Object.assign(this, { map, visit });
      this.canvas = element("canvas", { role: "img", width: 300, height: 300 });
      this.numbers = element("span", { class: "plot-parent" });
      this.since = element("span", {});
      const open = element(
        "button",
        { type: "button", class: "map-visit", title: "Enlarge", onclick: () => page.enlarge(visit.visit) },
        `${visit.visit}${tubeVisits.dayWords(visit)}`,
      );
      this.figure = element(
        "figure",
        { class: "plot map-plot" },
        element("figcaption", {}, open, amountWords(map, visit), this.since, this.numbers),
        this.canvas,
      );
      mapHover.attach(this.canvas, () => this.scene ?? null);
      mapLasso.attach(this.canvas, {
        drawn: (corners) => this.circle(corners),
        done: page.lasso,
        pressed: () => page.enlarge(visit.visit),
      });
    }

    /** Show what is asked: colouring, mask, corners. */
    show(asked) {
      this.scene = { map: this.map, events: this.visit.events, ...asked };
      this.since.replaceChildren(...mapSince.marks(this.map, this.visit.tubes));
      this.numbers.replaceChildren(shownWords(this.map, this.visit, asked.mask));
      this.canvas.setAttribute("aria-label", told(this.map, this.visit, asked));
      this.paint();
    }

    circle(corners) {
      this.scene = { ...this.scene, corners };
      this.paint();
    }

    paint() {
      const width = this.canvas.clientWidth;
      if (this.scene && width) mapPlot.draw(this.canvas, this.scene, width);
    }
  }

  /** Say what the tubes of a visit have of the compartment. */
  function amountWords(map, { tubes }) {
    const all = tubes.map((number) => map.value.tubes[number]);
    const told = all.map((tube) => {
      const interval = numberWords.interval(tube.low, tube.high);
      const unit = tube.printed && tube.printed !== "NE" ? " cells/µL" : "";
      const words = `${tube.printed || "no concentration"}${unit}${interval ? ` (${interval})` : ""}`;
      return all.length > 1 ? `${tube.patient}: ${words}` : words;
    });
    const most = 4;
    const more = told.length > most ? [`and ${told.length - most} more tubes`] : [];
    return [...told.slice(0, most), ...more].map((words) =>
      element("span", { class: "map-amount" }, words),
    );
  }

  function shownWords(map, { tubes, events }, mask) {
    const held = tubes.reduce((sum, number) => sum + map.value.tubes[number].events, 0);
    if (!held) return `no such cell in ${tubes.length > 1 ? "these tubes" : "this tube"}`;
    const shown = `${numberWords.count(events.length)} of ${numberWords.count(held)} cells shown`;
    if (!mask) return shown;
    const few = events.reduce((sum, event) => sum + mask[event], 0);
    if (few < map.value.needed.detect) return `${shown}; lit: ${numberWords.count(few)}`;
    const [lit, all] = [map.weights(mask), map.weights()].map((sums) =>
      tubes.reduce((sum, number) => sum + sums[number], 0),
    );
    return `${shown}; lit: ${numberWords.percent(lit, all)}`;
  }

  /** Say a multiple in a sentence: the text alternative of its picture. */
  function told(map, visit, { colouring, mask }) {
    const [head, shown] = [`${map.label} at ${visit.visit}`, shownWords(map, visit, mask)];
    if (mask || !colouring.groups) return `${head}: ${shown}.`;
    const counts = new Map();
    for (const event of visit.events) {
      const owner = colouring.owner[event];
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    const groups = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 4);
    const named = groups.map(([owner, count]) => `${colouring.groups[owner].name} ${count}`);
    return `${head}: ${shown}${named.length ? `: ${named.join(", ")}` : ""}.`;
  }

  class LargeMap {
    /** page: lasso(corners), close(), step(by): the next visit or the one before. */
    constructor(page) {
      this.canvas = element("canvas", { role: "img", width: 600, height: 600 });
      this.title = element("h2", { id: "map-large-title" });
      this.words = element("p", { class: "plot-notes" });
      const button = (text, words, act) =>
        element("button", { type: "button", title: words, "aria-label": words, onclick: act }, text);
      this.legend = element("div", { class: "plot-dialog-side" });
      this.dialog = element(
        "dialog",
        { class: "plot-dialog map-dialog", "aria-labelledby": "map-large-title", onclose: page.close },
        this.title,
        element(
          "div",
          { class: "plot-dialog-tools" },
          button("←", "Visit before", () => page.step(-1)),
          button("→", "Next visit", () => page.step(1)),
          this.words,
          button("Close", "Close (Esc)", () => this.dialog.close()),
        ),
        element("div", { class: "plot-dialog-body" }, this.canvas, this.legend),
      );
      this.dialog.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (by && !event.target.closest("select")) page.step(by);
      });
      document.body.append(this.dialog);
      mapHover.attach(this.canvas, () => this.scene ?? null);
      mapLasso.attach(this.canvas, {
        touch: true,
        drawn: (corners) => {
          this.scene = { ...this.scene, corners };
          this.paint();
        },
        done: page.lasso,
      });
    }

    /** Show a visit as it is asked for, beside an element that says what colours mean. */
    show(map, visit, asked, legend) {
      this.scene = { map, events: visit.events, ...asked };
      this.title.replaceChildren(`${visit.visit}${tubeVisits.dayWords(visit)}`);
      this.words.replaceChildren(
        shownWords(map, visit, asked.mask),
        ...mapSince.marks(map, visit.tubes).flatMap((mark) => [" ", mark]),
      );
      this.legend.replaceChildren(legend);
      this.canvas.setAttribute("aria-label", told(map, visit, asked));
      this.canvas.style.setProperty("--ratio", mapPlot.height(map, 1000) / 1000);
      if (!this.dialog.open) this.dialog.showModal();
      this.paint();
    }

    hide() {
      if (this.dialog.open) this.dialog.close();
    }

    paint() {
      if (this.dialog.open && this.scene) mapPlot.draw(this.canvas, this.scene, this.canvas.clientWidth);
    }
  }

  return { LargeMap, VisitFigure };
})();
