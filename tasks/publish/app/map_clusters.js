// The clusters of a map: how much of each every tube has, what they are, what no gate names.
const mapClusters = (() => {
  /**
   * Give what every tube has of lit cells; of a cluster the numbers of the data. Of a compartment
   * that was not detected, or not quantified, no share is given.
   */
  function amountsOf(map, mask, chosen) {
    const withheld = { share: null, low: null, high: null, withheld: true };
    const isTooFew = ({ tube, share }) =>
      share !== null && ["ND", "DNQ"].includes(map.value.tubes[tube].code);
    const estimated = mapCells
      .amounts(map, mask)
      .map((each) => (isTooFew(each) ? { ...each, ...withheld } : each));
    const [kind, index] = chosen.split(":");
    if (kind !== "cluster") return estimated;
    const counted = countedOf(map, Number(index));
    return estimated.map((each) => {
      const known = counted.get(each.tube) ?? {};
      return { ...each, ...known, withheld: each.withheld || (known.share === null && each.share !== null) };
    });
  }

  /**
   * Give what the data say of a cluster by tube, counted in all cells of it; a share is null where
   * they are too few. Of a compartment that was not detected it is the compartment's limit.
   */
  function countedOf(map, cluster) {
    const rows = map.value.amounts.filter((row) => row[1] === cluster);
    return new Map(
      rows.map(([tube, , share, per_ul, least, most, code, printed]) => [
        tube,
        { share, low: null, high: null, per_ul, least, most, code, printed },
      ]),
    );
  }

  /** Make the part of the page about clusters; light(chosen): lights one; patient: "" is all. */
  function make(map, light, patient) {
    const { clusters, stability } = map.value;
    if (!stability) return [element("p", { class: "faded" }, NONE)];
    const stable = clusters.filter((each) => each.stable).length;
    const lists = [
      element("p", {}, stability.sentence),
      element("h3", {}, "Cells no gate names"),
      listed(map, map.value.unnamed, stable ? noUnnamed(stable) : NO_STABLE, light),
      element("h3", {}, "Gates that span several clusters"),
      listed(map, map.value.spanning, stable ? NO_SPANNING : NO_STABLE, light),
      ...shifted(map, light),
    ];
    if (!clusters.length) return lists;
    return [
      ...lists,
      element("h3", {}, "Clusters and visits"),
      heatMap(map, light, patient),
      element("h3", { id: "what" }, "What the clusters are"),
      described(map),
    ];
  }

  const WHOLE = 0.9;
  const PARTS = 256;
  const NO_STABLE = "No stable cluster to judge.";
  const NO_SPANNING = "None: no gate holds several stable clusters that are apart.";
  const NONE = "Clusters were not looked for in this map.";

  function noUnnamed(stable) {
    const judged = stable === 1 ? "the one stable cluster" : `the ${stable} stable clusters`;
    return `None among ${judged}. Cells that shade into others are not found by this.`;
  }

  function listed(map, found, empty, light) {
    if (!found.length) return element("p", { class: "faded" }, empty);
    return element(
      "ul",
      { class: "map-list" },
      found.map(({ cluster, clusters, sentence }) => {
        const several = clusters?.length > 1;
        const buttons = (several ? clusters : [cluster]).map((each) =>
          element(
            "button",
            { type: "button", onclick: () => light(`cluster:${each}`) },
            several ? `Light cluster ${map.value.clusters[each].name}` : "Light these cells",
          ),
        );
        return element("li", {}, sentence, buttons.flatMap((button) => [" ", button]));
      }),
    );
  }

  function shifted(map, light) {
    const found = map.value.shifted;
    if (!found.length) return [];
    return [element("h3", {}, "More likely a shift of the stain"), listed(map, found, "", light)];
  }

  /** Cluster × tube: shaded by the share of the compartment, with the concentration in words. */
  function heatMap(map, light, patient) {
    const { clusters, patient: own } = map.value;
    const tubes = [...map.value.tubes.keys()].filter((at) => map.isOf(at, patient));
    const estimates = clusters.map((_, index) => {
      const mask = map.where((event) => map.cluster[event] === index);
      return amountsOf(map, mask, `cluster:${index}`).filter(({ tube }) => map.isOf(tube, patient));
    });
    const column = (at) => {
      const tube = map.value.tubes[at];
      const day = tubeVisits.dayWords(tube).trim().replace(/[()]/g, "");
      const words = own === null ? `${tube.patient} ${tube.visit}` : tube.visit;
      return [words, element("span", { class: "interval" }, day), mapSince.mark(map, at)];
    };
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, "cluster"),
      tubes.map((at) => element("th", { scope: "col", class: "n" }, column(at))),
    );
    const rows = clusters.map((_, index) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, lamp(map, index, light)),
        estimates[index].map(heatCell),
      ),
    );
    return [
      element(
        "div",
        { class: "scroll" },
        element(
          "table",
          { class: "map-heat" },
          element("thead", {}, head),
          element("tbody", {}, rows, outside(map, patient)),
        ),
      ),
      element("p", { class: "plot-notes map-heat-notes" }, HEAT),
    ];
  }

  /** Make the row of what lies in no cluster: share and cells; a kind that the map lacks is there. */
  function outside(map, patient) {
    const found = (map.value.outside ?? []).filter(([tube]) => map.isOf(tube, patient));
    if (!found.length) return null;
    const cells = found.map(([, share, seen]) => {
      const words = seen === 1 ? "1 cell" : `${numberWords.count(seen)} cells`;
      const told = [numberWords.percent(share, 1), element("span", { class: "interval" }, words)];
      return element("td", { class: "n" }, share === null ? "" : told);
    });
    return element("tr", {}, element("th", { scope: "row" }, "in no cluster"), cells);
  }

  const HEAT = [
    "Number: cells/µL, below it the 95 % interval and the share of the compartment.",
    "In no cluster: the share alone, with the number of cells.",
    "Bar: the share, from nothing to all of the tube's cells.",
    "The interval is the counting error alone: it does not say how surely a cluster ends where it does.",
  ].join(" ");

  function lamp(map, index, light) {
    const cluster = map.value.clusters[index];
    const act = () => light(`cluster:${index}`);
    const words = [cluster.name, map.difference(index)].filter(Boolean).join(" · ");
    const title = `Light the cells of cluster ${cluster.name}`;
    const unstable = cluster.stable ? null : element("span", { class: "interval" }, "unstable");
    return [element("button", { type: "button", class: "map-lamp", title, onclick: act }, words), unstable];
  }

  function heatCell(each) {
    const cell = element(
      "td",
      { class: "n", title: `${each.printed} cells/µL; ${mapChosen.shareWords(each)}` },
      each.printed,
      element("span", { class: "interval" }, intervalWords(each)),
      element("span", { class: "interval" }, each.share === null ? "" : numberWords.percent(each.share, 1)),
    );
    const percent = Math.round(100 * (each.share ?? 0));
    cell.style.background = `linear-gradient(to right, var(--heat) ${percent}%, transparent ${percent}%)`;
    return cell;
  }

  const intervalWords = ({ code, least, most }) =>
    code === "ND" || code === "NE" ? "" : numberWords.interval(least, most);

  /** Tell of each population whether it parts the cells: not of one that holds nearly all of them. */
  function tellingOf(map) {
    const total = (mask) => map.weights(mask).reduce((sum, each) => sum + each, 0);
    return map.value.populations.map((_, number) => total(map.held(number)) < WHOLE * total(null));
  }

  /** Phenotype, stability and the populations that share cells with each cluster. */
  function described(map) {
    const { clusters, populations } = map.value;
    const telling = tellingOf(map);
    const rows = clusters.map((cluster, index) => [
      cluster.name,
      map.difference(index) || "as the rest of the compartment",
      mediansOf(map, index),
      numberWords.percent(cluster.share, 1),
      `${cluster.stable ? "stable" : "unstable"} (${cluster.jaccard.toFixed(2)})`,
      cluster.overlaps
        .filter(([number]) => telling[number])
        .slice(0, 3)
        .map(
          ([number, ofCluster, ofPopulation]) =>
            `${populations[number]?.label ?? "?"}: ${numberWords.percent(ofCluster, 1)} of the cluster, ` +
            `${numberWords.percent(ofPopulation, 1)} of those on this map`,
        )
        .join("; ") || "no reported population",
    ]);
    const titles = ["cluster", "markers", "medians", "share, all patients", "stability", "shared with"];
    const table = mapChosen.table(titles, rows, 9);
    table.classList.add("map-what");
    return table;
  }

  /** Make a place that is filled with a cluster's medians of the map's markers, in all cells shown. */
  function mediansOf(map, cluster) {
    const place = element("span", {});
    const numbers = [...map.value.markers.keys()].filter((each) => map.value.markers[each].mapped);
    const told = numbers.map(async (number) => {
      const part = median(map, await map.marker(number), cluster);
      if (part < 0) return "";
      const axis = map.axis(number);
      return `${axis.label} ${axisReading.told(axis, mapHover.partPlace(map, number, part))}`;
    });
    Promise.all(told).then((words) => place.replaceChildren(words.filter(Boolean).join(" · ")));
    return place;
  }

  /** Give the weighted median of a marker's parts (0 to 255) in a cluster; -1 without a cell. */
  function median(map, parts, cluster) {
    const sums = new Float64Array(PARTS);
    parts.forEach((part, event) => {
      if (map.cluster[event] === cluster) sums[part] += map.weight[event];
    });
    const half = sums.reduce((total, each) => total + each, 0) / 2;
    let below = 0;
    return half ? sums.findIndex((each) => (below += each) >= half) : -1;
  }

  return { amountsOf, make };
})();
