// How far pairs of results lie apart: their ratio over their mean (Bland and Altman), as a figure.
const differencePlot = (() => {
  const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [420, 260, 52, 14, 40, 14];
  const LEAST_SPAN = 1.25;

  /** Draw {label, unit, pairs: [{patient, visit, sha12, today, draft}], limits: [percent] | []}. */
  function draw({ label, unit, pairs, limits }) {
    const known = pairs.filter(({ today, draft }) => today > 0 && draft > 0);
    const left = pairs.length - known.length;
    const more = left ? ` ${left} more with nothing counted today or with the draft.` : "";
    if (!known.length)
      return element("p", { class: "faded" }, `${label}: no pair above zero to draw.${more}`);
    const scales = scalesOf(known, limits);
    const words = `${label}, ${unit}: draft ÷ today over the mean of both, ${known.length} pairs.`;
    const svg = miniCurve.shape(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "group",
        "aria-label": words,
        class: "difference-plot",
      },
      ...axes(scales, unit),
      ...limits.map((percent) => level(scales, 1 + percent / 100, "limit")),
      level(scales, 1, "same"),
      ...known.map((pair) => point(scales, pair, unit)),
    );
    const lines = limits.length ? " Dashed: limits of agreement." : "";
    return element(
      "figure",
      { class: "mini-figure" },
      element("figcaption", {}, `${words} Full line: the same.${lines}${more}`),
      svg,
    );
  }

  const meanOf = ({ today, draft }) => (today + draft) / 2;

  /** Scale both axes by the logarithm; the ratio's is even about 1. */
  function scalesOf(pairs, limits) {
    const means = pairs.map(meanOf);
    const [low, high] = [Math.min(...means) / 1.3, Math.max(...means) * 1.3];
    const ratios = [
      ...pairs.map(({ today, draft }) => draft / today),
      ...limits.map((percent) => 1 + percent / 100).filter((ratio) => ratio > 0),
    ];
    const span = Math.max(LEAST_SPAN, ...ratios.map((ratio) => Math.max(ratio, 1 / ratio) * 1.05));
    const share = (value, from, to) => Math.log(value / from) / Math.log(to / from);
    return {
      low,
      high,
      span,
      x: (mean) => LEFT + share(mean, low, high) * (WIDTH - LEFT - RIGHT),
      y: (ratio) => TOP + (1 - share(ratio, 1 / span, span)) * (HEIGHT - TOP - BOTTOM),
    };
  }

  function axes({ low, high, span, x, y }, unit) {
    const text = (attributes, words) => miniCurve.shape("text", attributes, words);
    const middle = (LEFT + WIDTH - RIGHT) / 2;
    const ratios = [1 / span ** 0.8, 1, span ** 0.8].map((ratio) =>
      text({ x: LEFT - 6, y: y(ratio) + 4, "text-anchor": "end" }, `× ${ratio.toFixed(2)}`),
    );
    const means = [low * 1.3, high / 1.3].filter((mean, place, all) => all.indexOf(mean) === place);
    return [
      miniCurve.shape("rect", {
        x: LEFT,
        y: TOP,
        width: WIDTH - LEFT - RIGHT,
        height: HEIGHT - TOP - BOTTOM,
        class: "difference-frame",
      }),
      ...ratios,
      ...means.map((mean) =>
        text(
          { x: x(mean), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" },
          numberWords.amount(mean),
        ),
      ),
      text({ x: middle, y: HEIGHT - 6, "text-anchor": "middle" }, `mean of both, ${unit}`),
    ];
  }

  function level({ span, y }, ratio, kind) {
    if (ratio <= 1 / span || ratio >= span) return "";
    return miniCurve.shape("line", {
      x1: LEFT,
      x2: WIDTH - RIGHT,
      y1: y(ratio),
      y2: y(ratio),
      class: `difference-${kind}`,
    });
  }

  function point({ x, y }, pair, unit) {
    const { patient, visit, today, draft, sha12 } = pair;
    const [was, is] = [today, draft].map(numberWords.amount);
    const told = `${patient} ${visit}: today ${was}, draft ${is} ${unit}`;
    const link = miniCurve.shape(
      "a",
      { href: pageAddress.tube(sha12, {}) },
      miniCurve.shape(
        "circle",
        { cx: x(meanOf(pair)), cy: y(draft / today), r: 4 },
        miniCurve.shape("title", {}, visibleName(told)),
      ),
    );
    link.setAttribute("aria-label", visibleName(told));
    return link;
  }

  return { draw };
})();
