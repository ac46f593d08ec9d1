// Where the names of gates stand in a plot that several gates share: within the frame, no name over
// another, and across an outline only where there is no other room.
const plotLabels = (() => {
  const [GAP, NARROWEST, MOST_LINES] = [4, 76, 3];
  /** What a place costs: a pixel over another name, an outline crossed, another gate's inside. */
  const COSTS = { name: 10, outline: 100, elsewhere: 60 };

  /**
   * Place the names of gates. gates: {name, share, lines} with outlines in pixels; frame: {left,
   * top, size}; type: {height of a line, width(text), cut(text, room)}. Gives, a gate each, the
   * lines of text, the middle they are centred at, and the top of the first line.
   */
  function place(gates, frame, type) {
    const boxes = gates.map(({ lines }) => boxOf(lines.flat(), frame));
    const edges = gates.flatMap(({ lines }) => lines.flatMap(edgesOf));
    const area = (box) => (box.right - box.left) * (box.bottom - box.top);
    const tightest = [...gates.keys()].sort((one, other) => area(boxes[one]) - area(boxes[other]));
    const taken = [];
    const placed = [];
    for (const number of tightest) {
      const words = wrapped(gates[number], boxes[number], frame, type);
      const spots = spotsFor(words, boxes[number], frame, type);
      const others = boxes.filter((_, other) => other !== number);
      const cost = (spot) =>
        costOf(spot, taken, edges) + strayCost(spot, boxes[number], others);
      const best = spots.reduce((least, spot) => (cost(spot) < cost(least) ? spot : least));
      taken.push(best);
      placed[number] = { words, middle: (best.left + best.right) / 2, top: best.top };
    }
    return placed;
  }

  /** Give the box of points, cut at the frame. */
  function boxOf(points, frame) {
    const held = (pixel, start) => Math.min(start + frame.size, Math.max(start, pixel));
    const across = points.map(([x]) => held(x, frame.left));
    const down = points.map(([, y]) => held(y, frame.top));
    return {
      left: Math.min(...across),
      right: Math.max(...across),
      top: Math.min(...down),
      bottom: Math.max(...down),
    };
  }

  const edgesOf = (line) => line.slice(1).map((point, place) => [line[place], point]);

  /** Break a name into lines that fit its gate, the share after it. */
  function wrapped({ name, share }, box, frame, type) {
    const room = Math.min(frame.size - 2 * GAP, Math.max(NARROWEST, box.right - box.left - 2 * GAP));
    const lines = [];
    for (const word of name.split(/(?<=[ _-])/)) {
      const longer = `${lines.at(-1) ?? ""}${word}`;
      if (lines.length && (type.width(longer.trim()) <= room || lines.length === MOST_LINES))
        lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    const cut = lines.map((line) => type.cut(line.trim(), room));
    const last = `${cut.at(-1)} ${share}`;
    return type.width(last) <= room ? [...cut.slice(0, -1), last] : [...cut, share];
  }

  /** List the spots at which a gate's name may stand, the usual ones first. */
  function spotsFor(words, box, frame, type) {
    const width = Math.max(...words.map(type.width));
    const height = words.length * type.height;
    const columns = [
      (box.left + box.right - width) / 2,
      box.left + GAP,
      box.right - GAP - width,
    ];
    const rows = [box.top + GAP, box.bottom - GAP - height];
    const middle = (box.top + box.bottom - height) / 2;
    const inside = rows.flatMap((top) => columns.map((left) => [left, top]));
    const beside = [
      ...columns.flatMap((left) => [
        [left, box.top - GAP - height],
        [left, box.bottom + GAP],
      ]),
      [box.left - GAP - width, middle],
      [box.right + GAP, middle],
    ];
    const held = (start, length, from) =>
      Math.max(from + 2, Math.min(from + frame.size - length - 2, start));
    return [...inside, ...beside].map(([x, y]) => {
      const [left, top] = [held(x, width, frame.left), held(y, height, frame.top)];
      return { left, top, right: left + width, bottom: top + height };
    });
  }

  function costOf(spot, taken, edges) {
    const over = taken.reduce((sum, other) => sum + shared(spot, other), 0);
    const crossed = edges.filter(([from, to]) => crosses(from, to, spot)).length;
    return COSTS.name * over + COSTS.outline * crossed;
  }

  /** Give what it costs that a name outside its gate stands in another one. */
  function strayCost(spot, own, others) {
    const within = (box) =>
      spot.left >= box.left && spot.right <= box.right &&
      spot.top >= box.top && spot.bottom <= box.bottom;
    return within(own) ? 0 : COSTS.elsewhere * (0.1 + others.filter(within).length);
  }

  /** Give the area that two boxes share. */
  function shared(one, other) {
    const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    return Math.max(0, width) * Math.max(0, height);
  }

  /** Tell whether a stretch of an outline runs through a box (cut at its four sides in turn). */
  function crosses([x1, y1], [x2, y2], box) {
    let [from, to] = [0, 1];
    const sides = [
      [x2 - x1, box.left - x1, box.right - x1],
      [y2 - y1, box.top - y1, box.bottom - y1],
    ];
    for (const [run, near, far] of sides) {
      if (run === 0 && (near > 0 || far < 0)) return false;
      if (run === 0) continue;
      const ends = [near / run, far / run];
      from = Math.max(from, Math.min(...ends));
      to = Math.min(to, Math.max(...ends));
    }
    return from < to;
  }

  return { place };
})();
