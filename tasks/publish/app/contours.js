// Contours of a density: what a second tube leaves on a plot without hiding the first.
const contours = (() => {
  /** The shares of the events that lie within the contours, from the outermost inwards. */
  const SHARES = [0.95, 0.8, 0.5];
  const PASSES = 3;

  /** Smooth a square grid (bins × bins) by a binomial filter along both axes. */
  function smooth(counts, bins) {
    let grid = Float64Array.from(counts);
    for (let pass = 0; pass < PASSES; pass += 1) {
      grid = along(grid, bins, bins, 1);
      grid = along(grid, bins, 1, bins);
    }
    return grid;
  }

  function along(grid, bins, line, step) {
    const out = new Float64Array(grid.length);
    for (let row = 0; row < bins; row += 1) {
      for (let at = 0; at < bins; at += 1) {
        const here = row * line + at * step;
        const before = at ? grid[here - step] : grid[here];
        const after = at < bins - 1 ? grid[here + step] : grid[here];
        out[here] = (before + 2 * grid[here] + after) / 4;
      }
    }
    return out;
  }

  /** Give, for each share, the height above which the cells hold so much of the whole. */
  function levels(grid, shares = SHARES) {
    const heights = Float64Array.from(grid).sort().reverse();
    const whole = heights.reduce((sum, height) => sum + height, 0);
    const found = [];
    let held = 0;
    let next = shares.length - 1;
    for (const height of heights) {
      held += height;
      while (next >= 0 && held >= shares[next] * whole) {
        found[next] = height;
        next -= 1;
      }
    }
    return found;
  }

  /** List the stretches [x, y, x, y] (in bins, from the middle of bin 0) at a height. */
  function stretches(grid, bins, level) {
    const found = [];
    for (let x = 0; x < bins - 1; x += 1) {
      for (let y = 0; y < bins - 1; y += 1) cell(grid, bins, level, x, y, found);
    }
    return found;
  }

  function cell(grid, bins, level, x, y, found) {
    const at = x * bins + y;
    const corners = [grid[at], grid[at + bins], grid[at + bins + 1], grid[at + 1]];
    const above = corners.map((height) => height > level);
    if (above.every((is) => is === above[0])) return;
    const places = [
      [x, y],
      [x + 1, y],
      [x + 1, y + 1],
      [x, y + 1],
    ];
    const crossings = [];
    for (let side = 0; side < 4; side += 1) {
      const next = (side + 1) % 4;
      if (above[side] === above[next]) continue;
      const share = (level - corners[side]) / (corners[next] - corners[side]);
      const [from, to] = [places[side], places[next]];
      crossings.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
    }
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      found.push([...crossings[pair], ...crossings[pair + 1]]);
    }
  }

  /** List the contours of a density: {share, stretches} in display units of its axes. */
  function of(density) {
    const { bins, x, y } = density;
    const grid = smooth(density.counts, bins);
    const placed = (axis, bin) => axis.low + ((bin + 0.5) / bins) * (axis.high - axis.low);
    return levels(grid).map((level, number) => ({
      share: SHARES[number],
      stretches: stretches(grid, bins, level).map(([x1, y1, x2, y2]) => [
        placed(x, x1),
        placed(y, y1),
        placed(x, x2),
        placed(y, y2),
      ]),
    }));
  }

  return { levels, of, smooth, stretches };
})();
