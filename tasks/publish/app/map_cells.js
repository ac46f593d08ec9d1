// Cells of a map that a person chose: a population, a cluster, a product, or what a lasso holds.
const mapCells = (() => {
  /** Of a sample, fewer cells than this are not said to be detected. */
  const FEWEST_SEEN = 10;
  const NORMAL = 1.959964;
  const PARTS = 1000;
  const MOST_CORNERS = 60;

  /** Say in the address which region a lasso holds; corners are shares (0 to 1) of the map. */
  function lasso(corners) {
    const step = Math.ceil(corners.length / MOST_CORNERS);
    const kept = corners.filter((_, place) => place % step === 0);
    const parts = kept.map((corner) => corner.map((share) => Math.round(share * PARTS)).join(","));
    return `lasso:${parts.join(";")}`;
  }

  /** Say that an address (b_cells@1.0.0) asks for another map than the one that is shown, or "". */
  function otherMap(asked, { value, label }) {
    const [compartment, version] = asked.split("@");
    if (compartment && compartment !== value.compartment)
      return `There is no map of ${compartment} here: this one is of ${label}.`;
    if (!version || asked === value.map) return "";
    return (
      `This address was made for the map ${asked}; shown is ${value.map}. Clusters have other ` +
      "numbers on it and cells other places: what it lights may be other cells."
    );
  }

  /** Give the corners of the lasso that an address names, or []. */
  function corners(chosen) {
    if (!chosen.startsWith("lasso:")) return [];
    const read = chosen
      .slice(6)
      .split(";")
      .map((corner) => corner.split(",").map((part) => Number(part) / PARTS));
    const sound = read.every((corner) => corner.length === 2 && corner.every(Number.isFinite));
    return sound && read.length > 2 ? read : [];
  }

  /** Give what an address names as the events it means (a mask) and its name, or null. */
  function find(map, chosen) {
    const [kind, name] = [chosen.split(":")[0], chosen.slice(chosen.indexOf(":") + 1)];
    return { gate, cluster, product, lasso: within }[kind]?.(map, name, chosen) ?? null;
  }

  function gate(map, id) {
    const number = map.value.populations.findIndex((each) => each.id === id);
    if (number < 0) return null;
    return { name: amongWords(map, number), mask: map.held(number), isPart: id !== map.value.population };
  }

  /** Name a population as a map has it: what of it lies outside the compartment is not there. */
  function amongWords(map, number) {
    const { id, label } = map.value.populations[number];
    return id === map.value.population ? label : `${label} among the ${map.label}`;
  }

  function cluster(map, index) {
    const known = map.value.clusters[Number(index)];
    if (!known) return null;
    const difference = map.difference(index);
    const name = `cluster ${known.name}${difference ? ` (${difference})` : ""}`;
    return { name, mask: map.where((event) => map.cluster[event] === Number(index)) };
  }

  /** The cells of a product: those whose populations are, of the products, just these. */
  function product(map, ids) {
    const sets = map.value.sets.map((set) => productIds(map, set) === ids);
    if (!sets.includes(true)) return null;
    return { name: productName(map, ids), mask: map.where((event) => sets[map.code[event]]) };
  }

  /** Write which CAR products a set of populations has: their ids, joined by "+"; else "none". */
  function productIds(map, set) {
    const { populations, products } = map.value;
    const held = products.filter((number) => set.includes(number));
    return held.map((number) => populations[number].id).join("+") || "none";
  }

  function productName(map, ids) {
    const label = (id) => map.value.populations.find((each) => each.id === id)?.label ?? id;
    return ids === "none" ? "without a CAR of these" : ids.split("+").map(label).join(" and ");
  }

  function within(map, _, chosen) {
    const line = corners(chosen);
    if (!line.length) return null;
    return {
      name: "the region of the lasso",
      mask: map.where((event) => isInside(line, map.x[event], map.y[event])),
    };
  }

  /** Tell whether a place lies within a line that is closed by itself (even-odd rule). */
  function isInside(line, x, y) {
    let inside = false;
    line.forEach(([x1, y1], place) => {
      const [x2, y2] = line[(place + line.length - 1) % line.length];
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
    });
    return inside;
  }

  /**
   * Give the share of weighted cells with its 95 % interval: Wilson's, with Kish's effective
   * number of cells. sums: weight and squared weight of the lit, weight of all, the largest weight.
   */
  function shareOf({ lit, squared, all, largest }) {
    if (!all) return { share: null, low: null, high: null, effective: 0 };
    if (!lit) return { share: 0, low: 0, high: Math.min(1, (3 * largest) / all), effective: 0 };
    const share = Math.min(1, lit / all);
    const effective = lit ** 2 / squared;
    const weight = NORMAL ** 2 / (effective / share);
    const reach = Math.sqrt(weight * (share * (1 - share) + weight / 4));
    const limit = (sign) => (share + weight / 2 + sign * reach) / (1 + weight);
    return { share, low: limit(-1), high: share < 1 ? limit(1) : 1, effective };
  }

  /** Give for every tube what it has of marked events: shown, share, concentration with code. */
  function amounts(map, mask) {
    const { tubes, needed } = map.value;
    const sums = tubes.map(() => ({ shown: 0, lit: 0, squared: 0, all: 0, largest: 0 }));
    for (let event = 0; event < map.count; event += 1) {
      const [sum, weight] = [sums[map.tube[event]], map.weight[event]];
      sum.all += weight;
      sum.largest = Math.max(sum.largest, weight);
      if (!mask[event]) continue;
      sum.shown += 1;
      sum.lit += weight;
      sum.squared += weight ** 2;
    }
    return sums.map((sum, at) => {
      const part = shareOf(sum);
      return { tube: at, shown: sum.shown, ...part, ...concentration(tubes[at], sum, part, needed) };
    });
  }

  /**
   * Join a share with the compartment's concentration, on the logarithm and in quadrature. Where
   * the compartment was not detected, no part of it was; where it is not quantified, no part can be.
   * The limits are the study's, or the compartment's in that tube where its background raised them.
   * "<" is the limit of detection, or the upper limit where that is higher, as in the tables.
   */
  function concentration(whole, sum, part, needed) {
    const none = { per_ul: null, least: null, most: null };
    if (whole.code === "ND") return { code: "ND", printed: whole.printed, ...none };
    if (whole.code !== "Q" || part.share === null) return { code: "NE", printed: "NE", ...none };
    const per_ul = whole.per_ul * part.share;
    const [least, most] = part.share ? joined(whole, part) : [0, part.high * whole.high];
    const { isDetected, fewest } = detection(sum, needed, whole.detect ?? needed.detect);
    if (!isDetected) {
      const limit = Math.max((whole.per_ul * fewest) / sum.all, most);
      return { code: "ND", printed: `<${numberWords.amount(limit)}`, per_ul, least, most };
    }
    const isQuantified = part.effective >= needed.quantify && sum.lit >= (whole.quantify ?? 0);
    const code = isQuantified ? "Q" : "DNQ";
    return { code, printed: printed(code, per_ul), per_ul, least, most };
  }

  /**
   * Tell whether the tube has such cells, and how many events of it would be the fewest that count:
   * as many as its limit, seen in so many of the shown cells that no single one decides.
   */
  function detection({ shown, lit, squared, largest }, needed, limit) {
    const weight = lit ? squared / lit : largest;
    const seen = Math.min(needed.detect, FEWEST_SEEN);
    return { isDetected: shown >= seen && lit >= limit, fewest: Math.max(limit, seen * weight) };
  }

  function joined(whole, part) {
    const gap = (value, limit) => (limit > 0 ? Math.abs(Math.log(value / limit)) : Infinity);
    const spread = (side) => Math.hypot(gap(part.share, part[side]), gap(whole.per_ul, whole[side]));
    const per_ul = whole.per_ul * part.share;
    return [per_ul * Math.exp(-spread("low")), per_ul * Math.exp(spread("high"))];
  }

  const printed = (code, per_ul) =>
    `${numberWords.amount(per_ul)}${code === "DNQ" ? " (DNQ)" : ""}`;

  return { amounts, corners, find, isInside, lasso, otherMap, productIds, productName, shareOf };
})();
