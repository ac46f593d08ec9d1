// One plot, enlarged: zoom by wheel, drag, buttons and keys; its gates, limits and cuts in words.
const plotDialogs = (() => {
  const CLOSEST = 0.02;
  const STEP = 1.4;

  class PlotDialog {
    /**
     * closed: called when the dialog is closed; step(by): shows another gate; visits and switches:
     * elements of its two bars.
     */
    constructor({ closed, step, visits, switches }) {
      this.canvas = element("canvas", { role: "img", width: 600, height: 590 });
      this.title = element("h2", { id: "plot-dialog-title" });
      this.words = element("div", { class: "plot-dialog-words" });
      const button = (text, words, act) =>
        element(
          "button",
          { type: "button", title: words, "aria-label": words, onclick: act },
          text,
        );
      this.tools = element(
        "div",
        { class: "plot-dialog-tools" },
        button("+", "Zoom in (+)", () => this.zoom(1 / STEP)),
        button("−", "Zoom out (−)", () => this.zoom(STEP)),
        button("Whole", "Show the whole plot (0)", () => this.reset()),
        button("↑", "Gate before (k)", () => step(-1)),
        button("↓", "Next gate (j)", () => step(1)),
        button("Save PNG", "Save this plot as a PNG file (s)", () => this.save()),
        visits,
        button("Close", "Close (Esc)", () => this.dialog.close()),
      );
      this.saved = element("p", { class: "plot-notes", "aria-live": "polite" });
      const side = element("div", { class: "plot-dialog-side" }, this.words, this.saved);
      this.dialog = element(
        "dialog",
        { class: "plot-dialog", "aria-labelledby": "plot-dialog-title", onclose: closed },
        this.title,
        this.tools,
        element("div", { class: "plot-dialog-tools" }, switches),
        element("div", { class: "plot-dialog-body" }, this.canvas, side),
      );
      document.body.append(this.dialog);
      plotHover.attach(this.canvas, () => this.scene ?? null);
      this.listen();
      new ResizeObserver(() => requestAnimationFrame(() => this.resized())).observe(this.canvas);
    }

    get open() {
      return this.dialog.open;
    }

    /**
     * Show a plot: asked as plotScene.of takes it, a title, and elements of words. results and
     * notes are what a saved picture of it says, as gateCaptions.sentences and texts.
     */
    async show({ asked, title, words, told, results = {}, notes = [] }) {
      const moved = this.asked?.plot !== asked.plot;
      const whole = plotScene.wholeWindow({
        x: asked.tube.axes[asked.plot.x],
        y: asked.tube.axes[asked.plot.y],
      });
      this.whole = whole;
      if (moved || !this.window) this.window = whole;
      this.asked = asked;
      this.said = { title, results, notes };
      this.title.replaceChildren(title);
      this.words.replaceChildren(...words);
      this.saved.replaceChildren();
      this.canvas.setAttribute("aria-label", told);
      if (!this.dialog.open) this.dialog.showModal();
      await this.refresh();
    }

    hide() {
      if (this.dialog.open) this.dialog.close();
    }

    async refresh() {
      const asked = { ...this.asked, window: this.window };
      const scene = await plotScene.of(asked);
      if (asked.window !== this.window || asked.plot !== this.asked.plot) return;
      this.scene = scene;
      this.paint();
    }

    paint() {
      this.width = this.canvas.clientWidth;
      if (!this.scene || !this.width) return;
      plotDrawing.draw(this.canvas, this.editor?.outlines(this.scene) ?? this.scene, this.width);
      this.editor?.paint(this.canvas);
    }

    resized() {
      if (this.canvas.clientWidth !== this.width) this.paint();
    }

    reset() {
      this.look(this.whole);
    }

    /** Save what is shown as a PNG file, and say its name or why there is none. */
    async save() {
      if (!this.scene) return;
      const { asked, scene, said } = this;
      const told = await plotPicture.save({ asked, scene, ...said }).then(
        (name) => `Saved as ${name}.`,
        (error) => error.message,
      );
      this.saved.replaceChildren(told);
    }

    /** Show another part of the plot, held within its axes. */
    look(wanted) {
      this.window = { x: held(wanted.x, this.whole.x), y: held(wanted.y, this.whole.y) };
      if (!this.scene) return;
      this.scene = { ...this.scene, window: this.window, whole: same(this.window, this.whole) };
      this.paint();
    }

    /** Zoom about a display position, by default the middle; a factor below 1 comes nearer. */
    zoom(factor, about = null) {
      const middle = about ?? { x: mean(this.window.x), y: mean(this.window.y) };
      const scaled = ([low, high], at) => [at + factor * (low - at), at + factor * (high - at)];
      this.look({ x: scaled(this.window.x, middle.x), y: scaled(this.window.y, middle.y) });
    }

    /** Move the part shown by shares of its width and height. */
    pan(across, up) {
      const moved = ([low, high], share) => [
        low + share * (high - low),
        high + share * (high - low),
      ];
      this.look({ x: moved(this.window.x, across), y: moved(this.window.y, up) });
    }

    /** Do what a key asks of an enlarged plot; tells whether it did anything. */
    key(event) {
      const acts = {
        "+": () => this.zoom(1 / STEP),
        "=": () => this.zoom(1 / STEP),
        "-": () => this.zoom(STEP),
        "−": () => this.zoom(STEP),
        0: () => this.reset(),
        s: () => this.save(),
        ...(this.editor?.active
          ? { "[": () => this.editor.nudge(-1), "]": () => this.editor.nudge(1) }
          : {}),
      };
      const pans = {
        ArrowLeft: [-0.2, 0],
        ArrowRight: [0.2, 0],
        ArrowUp: [0, 0.2],
        ArrowDown: [0, -0.2],
      };
      if (event.shiftKey && pans[event.key]) this.pan(...pans[event.key]);
      else if (acts[event.key]) acts[event.key]();
      else return false;
      return true;
    }

    listen() {
      this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.canvas.addEventListener("pointerdown", (event) => this.grip(event));
      this.canvas.addEventListener("pointermove", (event) => this.drag(event));
      this.canvas.addEventListener("pointerup", () => this.drop());
      this.canvas.addEventListener("pointercancel", () => this.drop());
      this.canvas.addEventListener("dblclick", () => this.reset());
    }

    wheel(event) {
      event.preventDefault();
      const at =
        this.scene &&
        plotFrame.positionsAt(this.frame(), this.window, event.offsetX, event.offsetY);
      if (at) this.zoom(event.deltaY < 0 ? 1 / STEP : STEP, at);
    }

    frame() {
      return plotFrame.of(this.canvas.clientWidth);
    }

    grip(event) {
      this.canvas.setPointerCapture(event.pointerId);
      if (this.editor?.grip(event)) return;
      this.held = { x: event.clientX, y: event.clientY };
    }

    drop() {
      this.held = null;
      this.editor?.drop();
    }

    drag(event) {
      if (this.editor?.drag(event) || !this.held) return;
      const { size } = this.frame();
      this.pan((this.held.x - event.clientX) / size, (event.clientY - this.held.y) / size);
      this.held = { x: event.clientX, y: event.clientY };
    }
  }

  const mean = ([low, high]) => (low + high) / 2;
  const same = (one, other) =>
    ["x", "y"].every((side) => one[side][0] === other[side][0] && one[side][1] === other[side][1]);

  /** Hold a stretch within another: no wider, no narrower than a fiftieth of it, not beyond it. */
  function held([low, high], [least, most]) {
    const width = Math.min(most - least, Math.max(CLOSEST * (most - least), high - low));
    const middle = (low + high) / 2;
    const start = Math.min(most - width, Math.max(least, middle - width / 2));
    return width === most - least ? [least, most] : [start, start + width];
  }

  return { PlotDialog };
})();
