// A plot in its place on a page: its caption, and a canvas that is drawn when it comes into view.
const plotFigures = (() => {
  const shown = new Map();
  const inView = new IntersectionObserver(
    (entries) => entries.forEach((entry) => shown.get(entry.target)?.seen(entry.isIntersecting)),
    { rootMargin: "300px" },
  );
  const resized = new ResizeObserver((entries) =>
    requestAnimationFrame(() => entries.forEach((entry) => shown.get(entry.target)?.paint())),
  );

  class PlotFigure {
    /**
     * asked: as plotScene.of takes it; caption: elements; told: a sentence; open: what a click
     * does, or href: where it leads.
     */
    constructor({ asked, caption, told, open, href }) {
      this.asked = asked;
      this.canvas = element("canvas", { role: "img", "aria-label": told, width: 300, height: 288 });
      this.notes = element("p", { class: "plot-notes" });
      const face = open
        ? element("button", { type: "button", class: "plot-face", onclick: open }, this.canvas)
        : element("a", { class: "plot-face", href }, this.canvas);
      this.figure = element(
        "figure",
        { class: "plot" },
        element("figcaption", {}, caption),
        this.notes,
        face,
      );
      plotHover.attach(this.canvas, () => this.scene ?? null);
      shown.set(this.canvas, this);
      inView.observe(this.canvas);
      resized.observe(this.canvas);
    }

    /** Change what is asked of the plot; it is drawn again when it is in view. */
    update(changes) {
      this.asked = { ...this.asked, ...changes };
      this.drawn = false;
      if (this.visible) this.refresh();
    }

    seen(visible) {
      this.visible = visible;
      if (!visible) return;
      if (this.drawn) this.paint();
      else this.refresh();
    }

    async refresh() {
      const asked = this.asked;
      this.drawn = true;
      try {
        const scene = await plotScene.of(asked);
        if (asked !== this.asked) return;
        this.scene = scene;
        this.notes.replaceChildren(scene.notes.filter(Boolean).join(" "));
        this.paint();
      } catch (error) {
        this.notes.replaceChildren(`This plot cannot be drawn: ${error.message}`);
      }
    }

    paint() {
      const now = [this.canvas.clientWidth, this.scene, colourScale.theme()];
      if (!this.scene || !now[0] || now.every((part, place) => part === this.painted?.[place]))
        return;
      this.painted = now;
      plotDrawing.draw(this.canvas, this.scene, now[0]);
    }

    /** Forget a plot that is taken off the page. */
    drop() {
      inView.unobserve(this.canvas);
      resized.unobserve(this.canvas);
      shown.delete(this.canvas);
    }
  }

  /** Draw, while the browser has nothing else to do, what has not come into view yet. */
  function drawRest() {
    const next = [...shown.values()].find((plot) => !plot.drawn);
    if (!next) return;
    next.refresh().finally(() => whenIdle(drawRest));
  }

  const whenIdle = (act) =>
    window.requestIdleCallback ? requestIdleCallback(act) : setTimeout(act, 30);

  function paintAll() {
    shown.forEach((plot) => plot.paint());
  }

  function print(now) {
    colourScale.print(now);
    paintAll();
  }

  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintAll);

  return { PlotFigure, drawRest: () => whenIdle(drawRest), whenIdle };
})();
