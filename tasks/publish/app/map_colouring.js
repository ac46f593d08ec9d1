// How the cells of a map are coloured: by group (gate, cluster, product, patient) or by a marker.
const mapColouring = (() => {
  /** After Paul Tol's "muted" (light) and Okabe and Ito (dark): told apart by colour-blind eyes. */
  const LIGHT = "332288 44aa99 cc6677 117733 88ccee aa4499 999933 882255 ddaa33 6699cc".split(" ");
  const DARK = "e69f00 56b4e9 009e73 f0e442 cc79a7 8f9cff ff7a3d bfe8c9 c0a080 a6f0f0".split(" ");
  const OTHERS = { light: "aeb6bf", dark: "59636e" };
  const MOST = LIGHT.length;

  /** List what cells can be coloured by: [{value, words}], markers apart from groups. */
  function choices(map) {
    const { clusters, products, patient, markers } = map.value;
    const groups = [
      { value: "gate", words: "gate" },
      clusters.length ? { value: "cluster", words: "cluster" } : null,
      products.length ? { value: "product", words: "CAR product" } : null,
      patient === null ? { value: "patient", words: "patient" } : null,
    ];
    return {
      groups: groups.filter(Boolean),
      markers: markers.map(({ name }) => ({ value: `marker:${name}`, words: name })),
    };
  }

  /**
   * Give a promise of a colouring. Of groups: {groups: [{key, name, lights, chosen, shown, share, place}],
   * owner}, owner the number of each event's group; of a marker: {axis, owner}, owner 0 to 255.
   */
  async function of(map, by) {
    const number = by.startsWith("marker:") ? map.markerNumber(by.slice(7)) : -1;
    if (number >= 0) return { by, axis: map.axis(number), owner: await map.marker(number) };
    const kinds = { cluster: byCluster, product: byProduct, patient: byPatient };
    const known = choices(map).groups.some(({ value }) => value === by);
    return grouped(map, known ? by : "gate", ((known && kinds[by]) || byGate)(map));
  }

  /** The smallest population that holds a cell: of one that holds smaller ones, the other cells. */
  function byGate(map) {
    const { populations, sets } = map.value;
    const sizes = populations.map((_, number) => total(map, map.held(number)));
    const smallest = sets.map((set) =>
      set.reduce((best, number) => (best < 0 || sizes[number] < sizes[best] ? number : best), -1),
    );
    const holdsOthers = (number) => sets.some((set, at) => set.includes(number) && smallest[at] !== number);
    return {
      names: populations.map(({ id, label }, number) => ({
        name: holdsOthers(number) ? `${label}, others` : label,
        lights: label,
        chosen: `gate:${id}`,
      })),
      others: "in no population",
      owner: (event) => smallest[map.code[event]],
    };
  }

  function byCluster(map) {
    const named = ({ stable }, at) =>
      `${map.difference(at) || "as the other cells"}${stable ? "" : " (unstable)"}`;
    return {
      names: map.value.clusters.map((each, at) => ({
        key: each.name,
        name: named(each, at),
        chosen: `cluster:${at}`,
      })),
      others: "between the clusters",
      owner: (event) => (map.cluster[event] === mapData.NO_CLUSTER ? -1 : map.cluster[event]),
    };
  }

  function byProduct(map) {
    const ids = map.value.sets.map((set) => mapCells.productIds(map, set));
    const kinds = [...new Set(ids)].filter((each) => each !== "none").sort();
    return {
      names: kinds.map((each) => ({
        name: mapCells.productName(map, each),
        chosen: `product:${each}`,
      })),
      others: mapCells.productName(map, "none"),
      owner: (event) => kinds.indexOf(ids[map.code[event]]),
    };
  }

  function byPatient(map) {
    const names = [...new Set(map.value.tubes.map(({ patient }) => patient))];
    return {
      names: names.map((name) => ({ name, chosen: "" })),
      others: "",
      owner: (event) => names.indexOf(map.value.tubes[map.tube[event]].patient),
    };
  }

  function total(map, mask) {
    return map.weights(mask).reduce((sum, each) => sum + each, 0);
  }

  /** Number the groups that hold any cell; those of most dots have colours; the last is all others. */
  function grouped(map, by, { names, others, owner }) {
    const sums = [...names, null].map(() => ({ shown: 0, weight: 0 }));
    const owners = Int16Array.from({ length: map.count }, (_, event) => owner(event));
    owners.forEach((number, event) => {
      const sum = sums.at(number);
      sum.shown += 1;
      sum.weight += map.weight[event];
    });
    const all = sums.reduce((sum, { weight }) => sum + weight, 0);
    const rank = [...names.keys()].sort((one, other) => sums[other].shown - sums[one].shown);
    const coloured = new Set(rank.slice(0, MOST));
    const kept = [...names.keys()].filter((number) => sums[number].shown);
    const place = new Map(kept.map((number, at) => [number, at]));
    const groups = kept.map((number, at) => ({
      key: String(at + 1),
      ...names[number],
      colour: coloured.has(number) ? [...coloured].sort((a, b) => a - b).indexOf(number) : -1,
      shown: sums[number].shown,
      share: all ? sums[number].weight / all : 0,
    }));
    const rest = sums.at(-1);
    const share = all ? rest.weight / all : 0;
    groups.push({ name: others, key: "", chosen: "", colour: -1, shown: rest.shown, share });
    return { by, groups, owner: owners.map((number) => place.get(number) ?? groups.length - 1) };
  }

  /** Give the colour of a group, as CSS writes it. */
  function colour({ colour: number }) {
    const { name } = colourScale.theme();
    return `#${number < 0 ? OTHERS[name] : (name === "dark" ? DARK : LIGHT)[number]}`;
  }

  /** Give the 256 colours of a marker's scale. */
  function scale() {
    return colourScale.ramp(colourScale.theme().density).map((rgb) => `rgb(${rgb.join(",")})`);
  }

  return { choices, colour, of, scale };
})();
