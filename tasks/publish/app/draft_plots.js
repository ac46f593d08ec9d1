// One gate of a draft in several tubes side by side, on the same axes: a line that is moved in one
// tube moves in all.
const draftPlots = (() => {
  const LINES = [
    { name: "today", short: "today", words: "today: what counts the tube now" },
    { name: "kept", short: "draft", words: "draft: as it is kept, dotted beside what is moved" },
    { name: "moved", short: "moved", words: "moved: not kept yet" },
  ];

  /** One tube's plot, with its counts below. */
  class Card {
    constructor(row, laid) {
      Object.assign(this, { row, laid });
      this.canvas = element("canvas", { role: "img", width: 300, height: 288 });
      this.numbers = element("div", { class: "draft-numbers" });
      this.notes = element("p", { class: "plot-notes" });
      this.figure = element(
        "figure",
        { class: "plot draft-plot" },
        element("figcaption", {}, caption(laid)),
        this.canvas,
        this.numbers,
        this.notes,
      );
      plotHover.attach(this.canvas, () => this.scene ?? null);
      this.listen();
    }

    /** Choose the gate that is shown; -1 where the tube's strategy has none of that name. */
    choose(name) {
      const { tube } = this.laid;
      const number = tube.find(name);
      const shared = tubeData.plots(tube).find(({ gates }) => gates.includes(number));
      this.plot = shared ? { ...shared, gates: [number] } : null;
      this.gate = tube.gates[number];
    }

    get axes() {
      const { axes } = this.laid.tube;
      return { x: axes[this.plot.x], y: axes[this.plot.y] };
    }

    /** Draw the gate anew; shown is the part of the plot that all tubes show, or null. */
    async refresh(shown) {
      this.scene = null;
      this.canvas.hidden = !this.plot;
      this.notes.replaceChildren(this.plot ? "" : "This tube has no such gate.");
      if (!this.plot) {
        this.numbers.replaceChildren();
        return;
      }
      const asked = { tube: this.laid.tube, plot: this.plot, chosen: this.plot.gates[0] };
      const { plot } = this;
      const scene = await plotScene.of(shown ? { ...asked, window: shown } : asked);
      if (plot !== this.plot) return;
      this.scene = scene;
      this.words = [...scene.notes, shown ? "" : "On axes of its own: its scale is another."];
      this.paint();
    }

    /** List what can be moved here. */
    handles() {
      const places = this.row.moves.placesIn(this.laid);
      return gateHandles
        .of(this.laid.tube, this.plot, places)
        .filter(({ kind, name }) => this.row.page.may(kind, name));
    }

    /** Draw today's, the kept and the moved outlines, and write the counts below. */
    paint() {
      if (!this.scene || !this.canvas.clientWidth) return;
      plotDrawing.draw(this.canvas, this.layers(), this.canvas.clientWidth);
      const handles = this.handles();
      const isMoved = ({ kind, name }) => kind === "threshold" && this.row.moves.has(kind, name);
      gateHandles.drawLines(this.canvas, this.frame(), this.scene.window, handles.filter(isMoved));
      gateHandles.draw(this.canvas, this.frame(), this.scene.window, handles);
      this.count();
    }

    layers() {
      const { name, outlines } = this.gate;
      const lines = this.answer?.outlines[name];
      const today = this.laid.today?.gates[name]?.outlines;
      return {
        ...this.scene,
        outlines: this.scene.outlines.map((each) => ({ ...each, lines: lines ?? outlines })),
        before: lines ? [outlines] : [],
        dashed: today ? [today] : [],
      };
    }

    get answer() {
      return this.row.moves.answer(this.laid.sha12);
    }

    /** Give the events and the parent's events of the gate: today, as kept, with what is moved. */
    counts() {
      const { name, events, parent_events: parent } = this.gate;
      const today = this.laid.today?.gates[name];
      return {
        today: today && [today.events, today.parent_events],
        kept: [events, parent],
        moved: this.answer?.gates[name],
      };
    }

    count() {
      const counts = this.counts();
      const known = LINES.filter(({ name }) => counts[name]);
      const rows = known.map((line) => numberRow(line, this.drawnAs(line.name), counts[line.name]));
      this.numbers.replaceChildren(element("table", {}, element("tbody", {}, rows)));
      const said = known.map(
        ({ name, short }) => `${short}: ${numberWords.count(counts[name][0])}`,
      );
      const { patient, visit } = this.laid;
      this.canvas.setAttribute(
        "aria-label",
        `${patient} ${visit}, ${gateWords.name(this.gate)}. Events ${said.join("; ")}.`,
      );
      const fault = this.answer?.fault;
      const words = fault ? [fault] : [...this.words, ...this.ownNumbers()];
      this.notes.replaceChildren(words.filter(Boolean).join(" "));
    }

    /** Say where the thresholds lie that were measured in this tube, and by what. */
    ownNumbers() {
      return this.gate.thresholds
        .map((number) => this.laid.tube.thresholds[number])
        .map((threshold) => ({ ...threshold, ...this.answer?.thresholds[threshold.name] }))
        .filter(({ source }) => source && source !== "fixed")
        .map((threshold) => `In this tube ${gateWords.thresholdShort(threshold)}.`);
    }

    /** Tell by which line something is drawn: the draft's is full unless another lies beside it. */
    drawnAs(line) {
      return line === "kept" && !this.answer?.outlines[this.gate.name] ? "moved" : line;
    }

    frame() {
      return plotFrame.of(this.canvas.clientWidth);
    }

    /** Give the display positions under the pointer, or, beyond the frame, at its edge. */
    at({ offsetX, offsetY }) {
      const frame = this.frame();
      const within = (pixel, start) => Math.min(start + frame.size - 0.01, Math.max(start, pixel));
      return plotFrame.positionsAt(
        frame,
        this.scene.window,
        within(offsetX, frame.left),
        within(offsetY, frame.top),
      );
    }

    under(across, down) {
      if (!this.scene) return null;
      return gateHandles.near(this.handles(), this.frame(), this.scene.window, across, down);
    }

    listen() {
      const { canvas } = this;
      canvas.addEventListener("pointerdown", (event) => this.grip(event));
      canvas.addEventListener("pointermove", (event) => this.drag(event));
      for (const end of ["pointerup", "pointercancel"])
        canvas.addEventListener(end, () => this.drop());
      canvas.addEventListener("touchstart", (event) => this.touched(event), { passive: false });
    }

    /** Take hold of what lies under the pointer; it keeps its distance from the pointer. */
    grip(event) {
      this.held = this.under(event.offsetX, event.offsetY);
      if (!this.held) return;
      this.canvas.setPointerCapture(event.pointerId);
      const { at, place } = this.held;
      const [x, y] = at ?? [place, place];
      const pointer = this.at(event);
      this.apart = { x: pointer.x - x, y: pointer.y - y };
      this.row.moves.hold();
    }

    drag(event) {
      if (!this.held) {
        this.canvas.classList.toggle("grip", Boolean(this.under(event.offsetX, event.offsetY)));
        return;
      }
      const pointer = this.at(event);
      const at = { x: pointer.x - this.apart.x, y: pointer.y - this.apart.y };
      this.row.move(this, this.held, at);
    }

    drop() {
      if (!this.held) return;
      this.held = null;
      this.row.moves.letGo();
    }

    /** Keep the page from scrolling away under a finger that holds a line, and only then. */
    touched(event) {
      const box = this.canvas.getBoundingClientRect();
      const [{ clientX, clientY }] = event.touches;
      if (this.under(clientX - box.left, clientY - box.top)) event.preventDefault();
    }
  }

  /** The tubes in which one gate is shown. */
  class Row {
    constructor(shown) {
      this.page = shown;
      this.moves = shown.moves;
      this.cards = [];
      this.last = "";
      this.grid = element("div", { class: "plot-grid draft-grid" });
      this.resized = new ResizeObserver(() => this.paint());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    }

    /** Lay out other tubes: their entries in the draft's list with tube, today and fault. */
    lay(tubes) {
      this.cards = tubes.filter(({ tube }) => tube).map((laid) => new Card(this, laid));
      this.resized.disconnect();
      this.cards.forEach(({ canvas }) => this.resized.observe(canvas));
      const missing = tubes.filter(({ tube }) => !tube).map(without);
      this.grid.replaceChildren(...this.cards.map(({ figure }) => figure), ...missing);
    }

    move(card, handle, at) {
      if (handle.kind === "threshold") this.last = handle.name;
      this.moves.move(card.laid, handle, at);
    }

    /** Move a drawn threshold, by default the last touched, by a step; tells whether it could. */
    nudge(direction, name = "") {
      const card = this.cards.find(({ scene }) => scene);
      const lines = card?.handles().filter(({ kind }) => kind === "threshold") ?? [];
      const named = (wanted) => lines.find((each) => each.name === wanted);
      const handle = name ? named(name) : (named(this.last) ?? lines[0]);
      if (handle) this.move(card, handle, gateHandles.step(card.scene.axes, handle, direction));
      return Boolean(handle);
    }

    /** Show a gate in all tubes, on axes that hold those of each. */
    async show(name) {
      this.cards.forEach((card) => card.choose(name));
      const drawn = this.cards.filter(({ plot }) => plot);
      const [first] = drawn;
      const alike = ({ axes }) =>
        ["x", "y"].every((side) => axisReading.alike(axes[side], first.axes[side]));
      const shared = drawn
        .filter(alike)
        .map(({ axes }) => plotScene.wholeWindow(axes))
        .reduce(filmstrip.joined, null);
      await Promise.all(
        this.cards.map((card) => card.refresh(card.plot && alike(card) ? shared : null)),
      );
    }

    /** Draw again before the next picture of the screen, however often it was asked for. */
    paint() {
      this.coming ??= requestAnimationFrame(() => {
        this.coming = null;
        this.cards.forEach((card) => card.paint());
      });
    }
  }

  /** Say why a tube cannot be laid out. */
  function without(laid) {
    return element(
      "div",
      { class: "strip-wait" },
      caption(laid),
      element("p", {}, laid.fault),
    );
  }

  function caption({ patient, visit, file, specimen, control, measured_on: measured, sha12 }) {
    const told = [specimen === "blood" ? "" : specimen, control].filter(Boolean).join(" · ");
    return [
      element(
        "a",
        { class: "strip-visit", href: pageAddress.tube(sha12, {}) },
        visibleName(`${patient} · ${visit}`),
      ),
      told ? element("b", {}, ` ${visibleName(told)}`) : null,
      measured ? element("span", { class: "draft-badge" }, "measured on") : null,
      element("span", { class: "plot-parent" }, fileName(file)),
    ].filter(Boolean);
  }

  function numberRow({ name, short }, line, [events, parent]) {
    return element(
      "tr",
      { class: `count-${name}` },
      element("th", { scope: "row" }, lineSample(line), short),
      element("td", { class: "n" }, numberWords.count(events)),
      element("td", { class: "n" }, numberWords.percent(events, parent)),
    );
  }

  /** Make a short stretch of the line by which something is drawn in the plots. */
  function lineSample(line) {
    return element("span", { class: `line-sample line-${line}`, "aria-hidden": "true" });
  }

  return { LINES, Row, lineSample };
})();
