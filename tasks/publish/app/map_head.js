// What is to be known of a map before it is read: that it is exploratory, what it is made of.
const mapHead = (() => {
  /** Make the head of a map: facts, warnings. compared: a place for what the tables say by now. */
  function make(map, compared) {
    const { value } = map;
    const warnings = value.notes.map((note) => element("li", {}, note));
    return [
      element("ul", { class: "facts" }, facts(map, compared)),
      warnings.length ? element("ul", { class: "map-notes" }, warnings) : null,
    ].filter(Boolean);
  }

  function facts({ value, label }, compared) {
    const { reference } = value;
    const mapped = value.markers.filter((each) => each.mapped).map(({ name }) => name);
    const fact = (name, ...words) => element("li", {}, element("b", {}, name), ...words);
    return [
      fact("Cells", label),
      fact("Map", element("code", {}, value.map), " ", element("code", {}, value.map_sha256.slice(0, 12))),
      fact("Reference, of all patients", referenceWords(reference)),
      fact("Laid out by", mapped.join(", ")),
      fact("Gated by", element("code", {}, value.strategy)),
      ...(value.counted_until ? [fact("Counted", countedWords(value), compared)] : []),
    ];
  }

  const countedWords = ({ counted_until: until }) => `until ${until.slice(0, 16).replace("T", " ")} UTC`;

  /** Say whether the tables have anything else of these tubes by now. */
  function comparedWords({ tubes, missing, unread, isKnown }) {
    if (tubes.size || missing.length) return ", older than the tables (see above)";
    return isKnown && !unread.length ? ", as in the tables" : "";
  }

  function referenceWords({ events, tubes, made, reason, seed }) {
    const tubeWords = tubes === 1 ? "1 tube" : `${numberWords.count(tubes)} tubes`;
    const since = made ? `, made ${made.slice(0, 10)}${reason ? ` (${reason})` : ""}` : "";
    const chance = typeof seed === "number" ? `, seed ${seed}` : "";
    return `${numberWords.count(events)} cells of ${tubeWords}${since}${chance}`;
  }

  /** Make what stands at the end: batches, markers left out, composition, libraries. */
  function foot(map) {
    const { value } = map;
    return [
      element("h2", { id: "composition" }, "Composition over time"),
      ...(value.patient === null ? overTime(value) : ofCohort(value)),
      ...(value.groups ? betweenGroups(value) : []),
      element("h2", { id: "batches" }, "Shifts between batches"),
      ...shifts(value.shifts),
      element("h2", { id: "how" }, "How the map was made"),
      ...howMade(value),
    ];
  }

  function ofCohort({ compartment }) {
    const { ofAll = "" } = document.getElementById("map").dataset;
    const href = `${root()}cohort/map.html#map=${encodeURIComponent(compartment)}`;
    const link = ofAll.split(" ").includes(compartment)
      ? element("a", { href }, "All patients on the map")
      : "Their page is made by reconflow explore without --patient.";
    return [element("p", {}, "Differences between visits are compared over all patients. ", link)];
  }

  function overTime({ composition, clusters }) {
    if (!composition) return [element("p", { class: "faded" }, NOT_COMPARED)];
    const visits = (row) => `${row.from} → ${row.to}`;
    const heads = ["visits", "patients", "change of the share"];
    return compared(composition, (rows) => changes(rows, clusters, visits, heads));
  }

  function betweenGroups({ groups, clusters }) {
    const [first] = groups.rows;
    const heads = ["visit", "patients", first ? `share in ${first.to}, over that in ${first.from}` : ""];
    return [
      element("h2", { id: "groups" }, `Differences by ${groups.column}`),
      ...compared(groups, (rows) => changes(rows, clusters, ({ visit }) => visit, heads)),
    ];
  }

  /** Show what was found: the sentence, what may be claimed, and all comparisons to unfold. */
  function compared({ sentence, rows }, table) {
    const clear = rows.filter(({ adjusted }) => adjusted !== null && adjusted < CLAIMED);
    const all = rows.length === 1 ? "The one comparison" : `All ${rows.length} comparisons`;
    return [
      element("p", {}, sentence),
      clear.length ? table(clear) : null,
      rows.length ? element("details", {}, element("summary", {}, all), table(rows)) : null,
    ].filter(Boolean);
  }

  /** Table changes; a name that is a cluster's is said to be one. */
  function changes(found, clusters, where, heads) {
    const named = (name) => (clusters.some((each) => each.name === name) ? `cluster ${name}` : name);
    const rows = found.map((row) => [
      element("bdi", {}, named(row.name)),
      where(row),
      String(row.patients),
      row.ratio === null ? "–" : `× ${numberWords.amount(row.ratio)}`,
      row.low === null ? "" : numberWords.interval(row.low, row.high),
      row.p === null ? "–" : row.p.toPrecision(2),
      row.adjusted === null ? "–" : row.adjusted.toPrecision(2),
    ]);
    return mapChosen.table(["cells", ...heads, "95 % interval", "p", "p, all comparisons"], rows, 2);
  }

  function shifts(found) {
    if (!found.length)
      return [element("p", { class: "faded" }, "No cells that should be everywhere alike were measured.")];
    const large = found.filter(({ sd, judges }) => judges !== false && Math.abs(sd) >= LARGE);
    const none = `No batch is shifted by ${LARGE} SD of the cells or more on a marker that was measured.`;
    return [
      element("p", {}, SHIFTS),
      large.length ? shiftTable(large) : element("p", {}, none),
      element("details", {}, element("summary", {}, `All ${found.length} measurements`), shiftTable(found)),
    ];
  }

  function shiftTable(found) {
    const rows = found.map((row) => [
      [row.instrument, row.batch].filter(Boolean).join(" ") || "no batch",
      row.gate,
      row.marker,
      tubesWords(row),
      signed(row.shift, 3),
      signed(row.sd, 2),
    ]);
    return mapChosen.table(MEASURED, rows, 3);
  }

  /** Say how many tubes of a batch were measured, and how many of them are the reference's own. */
  function tubesWords({ tubes, of_reference: own }) {
    return own === undefined ? String(tubes) : `${tubes} (${own})`;
  }

  const MEASURED = [
    "instrument and batch",
    "cells",
    "marker",
    "tubes (of them in the reference)",
    "shift (display scale, 0 to 1)",
    "in SD of the cells",
  ];
  const NOT_COMPARED =
    "Nothing to compare: no patient has enough of these cells both at the first visit and at a later one.";
  const CLAIMED = 0.05;
  const LARGE = 0.5;
  const SHIFTS = [
    "Medians of cells that should be everywhere alike, in the batches of these tubes, against those in",
    "the tubes that the map was made of. Values are shown as they were measured: a batch that stains",
    "otherwise lies elsewhere on the map.",
  ].join(" ");

  const signed = (value, places) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(places)}`;

  function howMade({ left_out: leftOut, reference, compartment }) {
    const libraries = Object.entries(reference.libraries).map((each) => each.join(" "));
    const said = leftOut.map(({ marker, why }) => `${marker}: ${why}`);
    return [
      element("p", {}, `Markers that colour the map and do not lay it out: ${said.join("; ") || "none"}.`),
      libraries.length ? element("p", {}, `Libraries: ${libraries.join(", ")}.`) : null,
      element(
        "p",
        { class: "faded" },
        "Another map: ",
        element("code", {}, `reconflow explore --compartment ${compartment} --new-map REASON`),
      ),
    ].filter(Boolean);
  }

  return { comparedWords, foot, make };
})();
