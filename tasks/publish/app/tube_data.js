// A tube's data file, its packed numbers unpacked when they are asked for.
const tubeData = (() => {
  const opened = new WeakMap();

  class Tube {
    constructor(value) {
      this.value = value;
      this.head = value.head;
      this.axes = value.axes;
      this.gates = value.gates;
      this.thresholds = value.thresholds;
      this.numbers = numbersOf(value.gates);
      this.densities = new Map();
    }

    /** Give the number of a gate by its name or by the population it holds, or -1. */
    find(name) {
      return this.numbers.has(name) ? this.numbers.get(name) : -1;
    }

    /** Give a promise of one density: its axes, bins, and counts (Uint32Array, x * bins + y). */
    density(number) {
      if (!this.densities.has(number)) this.densities.set(number, unpackDensity(this, number));
      return this.densities.get(number);
    }

    /** Give a promise of the sample: columns (Uint8Array an axis), codes, sets. */
    sample() {
      this.unpacked ??= unpackSample(this.value.sample, this.axes.length);
      return this.unpacked;
    }

    /** Give a promise of the sample's events (numbers) that a gate holds; -1 holds all. */
    async held(gate) {
      const { codes, sets } = await this.sample();
      const holds = sets.map((set) => gate < 0 || set.includes(gate));
      const events = [];
      codes.forEach((code, event) => holds[code] && events.push(event));
      return events;
    }

    /** Give the share (0 to 1) of a gate's events that the sample holds; -1 is all events. */
    share(gate, events) {
      if (gate < 0) return events ? Math.min(1, this.value.sample.events / events) : 0;
      return this.value.sample.shares[gate] ?? 0;
    }
  }

  function numbersOf(gates) {
    const byPopulation = gates.map((gate, number) => [gate.population, number]);
    const byName = gates.map((gate, number) => [gate.name, number]);
    return new Map([...byPopulation.filter(([population]) => population), ...byName]);
  }

  /** Give the tube of a data file's value; the same one each time. */
  function open(value) {
    if (!opened.has(value)) opened.set(value, new Tube(value));
    return opened.get(value);
  }

  async function unpackDensity(tube, number) {
    const packed = tube.value.densities[number];
    const bytes = await inflate(packed.counts);
    const counts = new Uint32Array(bytes.buffer, 0, packed.bins * packed.bins);
    const most = counts.reduce((high, count) => Math.max(high, count), 0);
    const { bins, events } = packed;
    return { x: tube.axes[packed.x], y: tube.axes[packed.y], bins, events, counts, most };
  }

  async function unpackSample(packed, axes) {
    const [bytes, codes] = await Promise.all([inflate(packed.columns), inflate(packed.codes)]);
    const column = (axis) => bytes.subarray(axis * packed.events, (axis + 1) * packed.events);
    return {
      columns: Array.from({ length: axes }, (_, axis) => column(axis)),
      codes: new Uint16Array(codes.buffer, 0, packed.events),
      sets: packed.sets,
    };
  }

  /** Give the display position of the part (0 to 255) of an axis that holds a sampled event. */
  function position(axis, part) {
    return axis.low + ((part + 0.5) / 256) * (axis.high - axis.low);
  }

  /** List the plots of a tube: gates with outlines over the same density share one. */
  function plots(tube) {
    const found = new Map();
    tube.gates.forEach((gate, number) => {
      const own = gate.outlines.length ? "" : ` ${number}`;
      const name = `${gate.parent} ${gate.x} ${gate.y} ${gate.density}${own}`;
      if (!found.has(name)) found.set(name, { ...placeOf(gate), gates: [] });
      found.get(name).gates.push(number);
    });
    return [...found.values()];
  }

  function placeOf({ parent, x, y, density, parent_events: events, outlines }) {
    return { parent, x, y, density, events, combined: !outlines.length };
  }

  return { open, plots, position };
})();
