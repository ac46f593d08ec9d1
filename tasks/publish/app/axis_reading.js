// Read values off an axis of which only ticks are known, and choose the ticks that are drawn.
const axisReading = (() => {
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const readings = new WeakMap();
  const TIMES = { "": 1, K: 1e3, M: 1e6 };

  /** Give the value that a tick's text names (10³, -10³, 50K), or NaN. */
  function named(text) {
    const power = /^([-−]?)10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)$/.exec(text);
    if (power) {
      const digits = [...power[2]].map((digit) => SUPERSCRIPTS.indexOf(digit)).join("");
      return (power[1] ? -1 : 1) * 10 ** Number(digits);
    }
    const plain = /^([-−]?[\d.]+)([KM]?)$/.exec(text.replaceAll(",", ""));
    return plain ? Number(plain[1].replace("−", "-")) * TIMES[plain[2]] : NaN;
  }

  function anchors(axis) {
    return axis.ticks
      .map(([place, text]) => ({ place, value: named(text) }))
      .filter((anchor) => Number.isFinite(anchor.value))
      .sort((one, other) => one.place - other.place);
  }

  /**
   * Give the channel value at a display position, or NaN where ticks do not tell. It is read off
   * the logicle scale that runs through the ticks; where none does, it is interpolated.
   */
  function valueAt(axis, position) {
    if (axis.scale === "linear") return position;
    if (!readings.has(axis)) readings.set(axis, reading(axis));
    return readings.get(axis)(position);
  }

  function reading(axis) {
    const known = anchors(axis);
    const zero = known.find((anchor) => anchor.value === 0);
    const decades = known.filter((anchor) => anchor.value > 0);
    if (!zero || decades.length < 2) return () => NaN;
    const above = logicleFit.of(zero, decades) ?? interpolated(zero, decades);
    return (position) =>
      position < zero.place ? -above(2 * zero.place - position) : above(position);
  }

  /** Interpolate the logarithm between decades, and evenly below the first. */
  function interpolated(zero, decades) {
    return (position) => {
      const first = decades[0];
      if (position < first.place) {
        return (first.value * (position - zero.place)) / (first.place - zero.place);
      }
      let upper = decades.findIndex((anchor) => anchor.place >= position);
      upper = upper < 0 ? decades.length - 1 : Math.max(1, upper);
      const [low, high] = [decades[upper - 1], decades[upper]];
      const share = (position - low.place) / (high.place - low.place);
      return low.value * (high.value / low.value) ** share;
    };
  }

  /** Give the display position of a channel value, found by halving. */
  function positionOf(axis, value) {
    if (axis.scale === "linear") return value;
    let [low, high] = [axis.low, axis.high];
    for (let step = 0; step < 40; step += 1) {
      const middle = (low + high) / 2;
      if (valueAt(axis, middle) < value) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  /** Say in words which value lies at a display position: "about 4,200", or near which tick. */
  function told(axis, position) {
    const value = valueAt(axis, position);
    if (Number.isFinite(value)) return `about ${numberWords.rounded(value)}`;
    const labelled = axis.ticks.filter(([, text]) => text);
    if (!labelled.length) return "no ticks";
    const away = ([place]) => Math.abs(place - position);
    const nearest = labelled.reduce((best, tick) => (away(tick) < away(best) ? tick : best));
    return `near ${nearest[1]}`;
  }

  /** List the ticks within a window; where too few are labelled, steps between them are added. */
  function ticksIn(axis, [low, high]) {
    const given = axis.ticks.filter(([place]) => place >= low && place <= high);
    if (given.filter(([, text]) => text).length > 1) return given;
    return [...given, ...stepsIn(axis, low, high)].sort((one, other) => one[0] - other[0]);
  }

  function stepsIn(axis, low, high) {
    const [from, to] = [valueAt(axis, low), valueAt(axis, high)];
    if (!Number.isFinite(from) || !Number.isFinite(to)) return [];
    const step = roundStep((to - from) / 4);
    const taken = new Set(axis.ticks.map(([, text]) => named(text)));
    const steps = [];
    for (let count = Math.ceil(from / step); count * step <= to; count += 1) {
      const value = count * step;
      if (!taken.has(value)) steps.push([positionOf(axis, value), numberWords.rounded(value)]);
    }
    return steps;
  }

  function roundStep(most) {
    const magnitude = 10 ** Math.floor(Math.log10(most));
    return magnitude * Math.max(...[1, 2, 5].filter((times) => times * magnitude <= most));
  }

  /**
   * Keep the labels that do not touch: zero first, then from the high end, where populations are
   * told apart. Ticks are [pixel, text]; length gives a text's extent in pixels.
   */
  function uncrowded(ticks, gap, length) {
    const kept = [];
    const labelled = ticks.filter(([, text]) => text).reverse();
    labelled.sort((one, other) => (other[1] === "0") - (one[1] === "0"));
    for (const [place, text] of labelled) {
      const clear = ([other, word]) =>
        Math.abs(place - other) >= (length(text) + length(word)) / 2 + gap;
      if (kept.every(clear)) kept.push([place, text]);
    }
    return kept;
  }

  /** Tell whether positions of two axes mean the same values: same scale, same ticks. */
  function alike(one, other) {
    if (["scale", "label", "raw"].some((part) => one[part] !== other[part])) return false;
    if (one.scale === "linear") return true;
    const places = new Map(one.ticks.map(([place, text]) => [text, place]));
    const shared = other.ticks.filter(([, text]) => text && places.has(text));
    return (
      shared.length > 1 && shared.every(([at, text]) => Math.abs(at - places.get(text)) < 1e-4)
    );
  }

  /** Write an axis' title as a laboratory does: CD19 (PE-Cy7-A). */
  function title(axis) {
    const { label, detector, raw } = axis;
    const short = !label || label === detector ? detector : `${label} (${detector})`;
    return raw ? `${short}, uncompensated` : short;
  }

  return { alike, named, positionOf, ticksIn, title, told, uncrowded, valueAt };
})();
