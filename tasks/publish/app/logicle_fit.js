// The logicle scale of an axis, found again from the places of its ticks.
const logicleFit = (() => {
  const STEPS = 60;
  const STEEPEST = 60;
  const NEAR = 0.01;

  /** Find where a rising function reaches a value, by halving. */
  function solve(rising, value, low, high) {
    for (let step = 0; step < STEPS; step += 1) {
      const middle = (low + high) / 2;
      if (rising(middle) < value) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  /**
   * Give the logicle function (Moore and Parks 2012, A = 0) up to a factor: of a place, for its
   * steepness b and the place w of zero.
   */
  function shape(b, w) {
    const d = solve((tried) => 2 * Math.log(tried / b) + w * (tried + b), 0, 1e-9, b);
    const negative = Math.exp(2 * w * (b + d));
    const middle = Math.exp(b * w) - negative * Math.exp(-d * w);
    return (place) => Math.exp(b * place) - negative * Math.exp(-d * place) - middle;
  }

  /**
   * Give the function from places to values that runs through the ticks ({place, value}: zero and
   * the decades above it), or null where no logicle scale does.
   */
  function of(zero, decades) {
    const [first, last] = [decades[0], decades.at(-1)];
    const w = zero.place;
    const ratio = (b) => shape(b, w)(last.place) / shape(b, w)(first.place);
    const b = solve(ratio, last.value / first.value, 0.5, STEEPEST);
    const found = shape(b, w);
    const value = (place) => (found(place) * last.value) / found(last.place);
    const fits = decades.every((tick) => Math.abs(value(tick.place) / tick.value - 1) < NEAR);
    return w >= 0 && fits ? value : null;
  }

  return { of };
})();
