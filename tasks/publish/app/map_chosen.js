// What lit cells of a map are: which populations, clusters and tubes, and how many in each visit.
const mapChosen = (() => {
  const LEAST = 0.005;

  /** Make the tables about lit cells. cells: {name, mask}; chosen, patient: as in the address. */
  function make(map, cells, { cells: chosen, patient }) {
    const lit = cells.mask.reduce((sum, each) => sum + each, 0);
    const [part, all] = [map.weights(cells.mask), map.weights()].map(sum);
    if (!lit) return [element("p", {}, `There is no cell in ${cells.name}.`)];
    const head = [
      `${cells.name[0].toUpperCase()}${cells.name.slice(1)}: ${numberWords.count(lit)} of the `,
      `${numberWords.count(map.count)} cells shown, standing for ${numberWords.percent(part, all)} of `,
      `the cells of the map in these tubes.`,
    ].join("");
    return [
      element("p", { role: "status" }, element("b", {}, head)),
      element(
        "div",
        { class: "map-chosen" },
        element("section", {}, element("h3", {}, "In each tube"), tubes(map, cells, { chosen, patient })),
        element("section", {}, element("h3", {}, "Populations"), populations(map, cells.mask)),
        element("section", {}, element("h3", {}, "Clusters"), clusters(map, cells.mask)),
      ),
    ];
  }

  const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);

  /** Make a table; rows are lists of cells, numbers stand to the right from the second column on. */
  function table(titles, rows, first = 1) {
    const numbers = (place) => place >= first && "n";
    const cell = (text, place) =>
      place
        ? element("td", { class: numbers(place) }, text)
        : element("th", { scope: "row" }, text);
    return element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            titles.map((title, place) =>
              element("th", { scope: "col", class: numbers(place) }, title),
            ),
          ),
        ),
        element("tbody", {}, rows.map((row) => element("tr", {}, row.map(cell)))),
      ),
    );
  }

  function tubes(map, cells, { chosen, patient }) {
    const cohort = map.value.patient === null;
    const found = mapClusters.amountsOf(map, cells.mask, chosen);
    const ours = found.filter(({ tube }) => map.isOf(tube, patient));
    const rows = ours.map((each) => {
      const tube = map.value.tubes[each.tube];
      const name = `${cohort ? `${tube.patient} ` : ""}${tube.visit}${tubeVisits.dayWords(tube)}`;
      const href = pageAddress.tube(tube.sha12, { cells: `${map.value.map}:${chosen}` });
      const link = each.shown
        ? element("a", { href, title: "Light these cells on the tube's gating page" }, name)
        : name;
      return [
        [link, " ", mapSince.mark(map, each.tube)],
        numberWords.count(each.shown),
        shareWords(each),
        each.printed,
        each.code === "ND" || each.code === "NE" ? "" : numberWords.interval(each.least, each.most),
      ];
    });
    const titles = ["visit", "cells shown", "share of the cells", "cells/µL", "95 % interval"];
    const notes = cells.isPart ? `${NOTES} ${partWords(map)}` : NOTES;
    return [table(titles, rows), element("p", { class: "plot-notes" }, notes)];
  }

  const NOTES = [
    "A visit leads to its tube's gating page with these cells lit.",
    "DNQ: detected, too few to be quantified; <: not detected, the number is the limit of detection",
    "or the upper 95 % limit where that is higher, as in the tables; NE: not evaluable, because all of these cells together are not quantified",
    "there. Estimated from the cells shown, except for clusters, which are counted in all cells.",
    "An interval is the counting error alone: it does not say how surely a cluster or a lasso ends",
    "where it does.",
  ].join(" ");

  const partWords = (map) =>
    `Cells of the population that are no ${map.label} are not on this map: the tables count them too, ` +
    "and theirs is the concentration that is reported.";

  /** Write a share with its interval: 3.1 % (2.2 to 4.3). */
  function shareWords({ share, low, high, withheld }) {
    if (share === null) return withheld ? "too few cells" : "no cell of it";
    const percent = (part) => numberWords.amount(100 * part);
    if (!share && high !== null) return `0 (at most ${percent(high)} %)`;
    const interval = low === null ? "" : ` (${percent(low)} to ${percent(high)})`;
    return `${percent(share)} %${interval}`;
  }

  function populations(map, mask) {
    const all = sum(map.weights(mask));
    const rows = map.value.populations.map(({ label }, number) => {
      const held = map.held(number);
      const both = sum(map.weights(held.map((each, event) => each & mask[event])));
      return { label, of: both / all, share: both / sum(map.weights(held)) };
    });
    const inNone = map.where((event) => mask[event] && !map.populations(event).length);
    const outside = sum(map.weights(inNone)) / all;
    const listed = rows
      .filter(({ of }, number) => of >= LEAST && !map.isWhole(number))
      .sort((one, other) => other.of - one.of);
    const cells = listed.map(({ label, of, share }) => [
      element("bdi", {}, label),
      numberWords.percent(of, 1),
      numberWords.percent(share, 1),
    ]);
    if (outside >= LEAST) cells.push(["in no population", numberWords.percent(outside, 1), ""]);
    if (!cells.length) return element("p", { class: "faded" }, `In no population below ${map.label}.`);
    return table(["population", "of the lit cells", "of those on this map"], cells);
  }

  function clusters(map, mask) {
    if (!map.value.clusters.length) return element("p", { class: "faded" }, "No clusters were looked for.");
    const all = sum(map.weights(mask));
    const rows = map.value.clusters.map((cluster, number) => {
      const own = map.where((event) => map.cluster[event] === number);
      const both = sum(map.weights(own.map((each, event) => each & mask[event])));
      const whole = sum(map.weights(own));
      const name = `${cluster.name} ${map.difference(number)}`;
      return { name, of: both / all, share: whole ? both / whole : 0 };
    });
    const listed = rows.filter(({ of }) => of >= LEAST).sort((one, other) => other.of - one.of);
    const cells = listed.map(({ name, of, share }) => [
      name,
      numberWords.percent(of, 1),
      numberWords.percent(share, 1),
    ]);
    return cells.length
      ? table(["cluster", "of the lit cells", "of the cluster"], cells)
      : element("p", { class: "faded" }, "They lie between the clusters.");
  }

  return { make, shareWords, table };
})();
