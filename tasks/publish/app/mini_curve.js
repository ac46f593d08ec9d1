// A small curve of one population over the visits: as it is, and as it would be.
const miniCurve = (() => {
  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [320, 150, 44, 24, 10];

  function shape(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  }

  /**
   * Draw a curve: {label, unit, points: [{visit, day, before, after, here}]}; values are null where
   * there is none. The scale of values is logarithmic.
   */
  function draw({ label, unit, points }) {
    const known = points.filter(({ before, after }) => before > 0 || after > 0);
    const values = known
      .flatMap(({ before, after }) => [before, after])
      .filter((value) => value > 0);
    if (!values.length)
      return element("p", { class: "faded" }, `${label}: no visit has a concentration to draw.`);
    const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
    const high = 10 ** Math.ceil(Math.log10(Math.max(...values) * 1.0001));
    const days = points.map(({ day }) => day);
    const [first, last] = [Math.min(...days), Math.max(...days)];
    const x = (day) => LEFT + ((day - first) / (last - first || 1)) * (WIDTH - LEFT - 12);
    const y = (value) =>
      TOP + (1 - Math.log(value / low) / Math.log(high / low)) * (HEIGHT - TOP - BOTTOM);
    const line = (name, kind) => {
      const seen = known.filter((point) => point[name] > 0);
      const path = seen.map((point) => `${x(point.day)},${y(point[name])}`).join(" ");
      return [
        shape("polyline", { points: path, class: `curve-${kind}` }),
        ...seen.map((point) =>
          shape("circle", {
            cx: x(point.day),
            cy: y(point[name]),
            r: point.here ? 5 : 2.5,
            class: `curve-${kind}`,
          }),
        ),
      ];
    };
    const tick = (value) => [
      shape("line", {
        x1: LEFT - 4,
        x2: WIDTH - 8,
        y1: y(value),
        y2: y(value),
        class: "curve-grid",
      }),
      shape(
        "text",
        { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" },
        numberWords.amount(value),
      ),
    ];
    const days2 = [...new Set([first, last])].map((day) =>
      shape(
        "text",
        { x: x(day), y: HEIGHT - 6, "text-anchor": day === first ? "start" : "end" },
        `day ${Math.round(day)}`,
      ),
    );
    const svg = shape(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `${label} over the visits, before and after the correction`,
        class: "mini-curve",
      },
      ...tick(low),
      ...tick(high),
      ...days2,
      ...line("before", "before"),
      ...line("after", "after"),
    );
    return element(
      "figure",
      { class: "mini-figure" },
      element("figcaption", {}, `${label}, ${unit}: grey as it is, red with the correction`),
      svg,
    );
  }

  return { draw, shape };
})();
