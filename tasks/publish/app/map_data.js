// The data of a map of cells, its packed numbers unpacked once.
const mapData = (() => {
  const NO_CLUSTER = 255;
  const BINS = 96;
  const WHOLE = 0.9;
  const ALL = 0.99;
  const opened = new WeakMap();

  class CellMap {
    constructor(value, columns) {
      this.value = value;
      this.count = value.events.count;
      this.label = value.label.replace(/\s*\([^()]*\)$/, "");
      Object.assign(this, columns);
      this.unpacked = new Map();
    }

    /** Give a promise of a marker's values (Uint8Array, even parts of its low to high). */
    marker(number) {
      if (!this.unpacked.has(number))
        this.unpacked.set(number, inflate(this.value.events.values[number]));
      return this.unpacked.get(number);
    }

    /** Give the number of a marker by its name, or -1. */
    markerNumber(name) {
      return this.value.markers.findIndex((each) => each.name === name);
    }

    /** Give a marker as an axis of plots has it, for ticks and for reading values off it. */
    axis(number) {
      const { name, low, high, ticks } = this.value.markers[number];
      return { label: name, detector: "", scale: ticks.length ? "logicle" : "linear", ticks, low, high };
    }

    /** Give the numbers of the populations that hold an event. */
    populations(event) {
      return this.value.sets[this.code[event]];
    }

    /** Mark the events (Uint8Array) for which a question is answered with yes. */
    where(question) {
      const mask = new Uint8Array(this.count);
      for (let event = 0; event < this.count; event += 1) mask[event] = question(event) ? 1 : 0;
      return mask;
    }

    /** Mark the events that a population (its number) holds. */
    held(population) {
      const holds = this.value.sets.map((set) => set.includes(population));
      return this.where((event) => holds[this.code[event]]);
    }

    /** Tell whether a population (its number) holds as good as all cells, and so tells nothing. */
    isWhole(population) {
      const sum = (weights) => weights.reduce((total, each) => total + each, 0);
      return sum(this.weights(this.held(population))) >= ALL * sum(this.weights());
    }

    /**
     * Say in which markers a cluster (its number) differs from the other cells, as a comparison: it
     * does not name the cells. "" where it differs in none; one that holds nearly all has no rest.
     */
    difference(cluster) {
      const { phenotype, share } = this.value.clusters[cluster];
      if (share >= WHOLE) return "nearly all cells";
      const found = { low: [], high: [] };
      for (const [, marker, word] of phenotype.matchAll(/(.+?) (high|low)(?:, |$)/g))
        found[word].push(marker);
      const words = Object.entries(found)
        .filter(([, markers]) => markers.length)
        .map(([word, markers]) => `${markers.join(", ")} ${word}er`);
      return words.length ? `${words.join(" and ")} than the rest` : "";
    }

    /** Sum up the weights of marked events (of all without a mask) by tube. */
    weights(mask = null) {
      const sums = new Float64Array(this.value.tubes.length);
      for (let event = 0; event < this.count; event += 1)
        if (!mask || mask[event]) sums[this.tube[event]] += this.weight[event];
      return sums;
    }

    /**
     * List what the small multiples show: visit, day, numbers of tubes, events; of one patient,
     * where one is named.
     */
    visits(patient = "") {
      const { visits, tubes } = this.value;
      const found = visits.map(({ visit, day }) => ({
        visit,
        day,
        tubes: [...tubes.keys()].filter((at) => tubes[at].visit === visit && this.isOf(at, patient)),
      }));
      return found
        .filter((each) => each.tubes.length)
        .map((each) => ({
          ...each,
          day: patient ? tubes[each.tubes[0]].day : each.day,
          events: this.eventsOf(new Set(each.tubes)),
        }));
    }

    /** Tell whether a tube (its number) is of a patient; "" is anybody. */
    isOf(tube, patient) {
      return !patient || this.value.tubes[tube].patient === patient;
    }

    eventsOf(tubes) {
      const events = [];
      this.tube.forEach((tube, event) => tubes.has(tube) && events.push(event));
      return events;
    }

    /** Give the grey ground: how many cells of the map's reference lie in each bin. */
    get ground() {
      this.binned ??= this.referenceCounts ?? binned(this);
      return this.binned;
    }
  }

  /** Count the events shown over the map, where the data do not say how the reference lies. */
  function binned({ count, x, y }) {
    const counts = new Uint32Array(BINS * BINS);
    const bin = (share) => Math.min(BINS - 1, Math.floor(share * BINS));
    for (let event = 0; event < count; event += 1) counts[bin(x[event]) * BINS + bin(y[event])] += 1;
    return density(BINS, counts);
  }

  function density(bins, counts) {
    return { bins, counts, most: counts.reduce((high, each) => Math.max(high, each), 0) };
  }

  /** Give a promise of the map of a data file's value; the same one each time. */
  function open(value) {
    if (!opened.has(value)) opened.set(value, unpack(value));
    return opened.get(value);
  }

  async function unpack(value) {
    const { events, reference } = value;
    const names = ["x", "y", "tube", "row", "code", "weight", "cluster"];
    const bytes = await Promise.all(names.map((name) => inflate(events[name])));
    const [x, y, tube, row, code, weight, cluster] = bytes;
    const short = (each) => new Uint16Array(each.buffer, 0, events.count);
    const long = (each) => new Uint32Array(each.buffer, 0, events.count);
    const share = (each) => Float32Array.from(short(each), (part) => (part + 0.5) / 65536);
    return new CellMap(value, {
      x: share(x),
      y: share(y),
      tube: short(tube),
      row: long(row),
      code: short(code),
      weight: Float64Array.from(long(weight), (thousandths) => thousandths / 1000),
      cluster,
      referenceCounts: await referenceDensity(reference),
    });
  }

  async function referenceDensity(reference) {
    if (!reference?.counts) return null;
    const bytes = await inflate(reference.counts);
    return density(reference.bins, new Uint32Array(bytes.buffer, 0, reference.bins ** 2));
  }

  return { NO_CLUSTER, open };
})();
