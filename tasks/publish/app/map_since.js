// What became of a map's tubes since it was drawn. A correction writes the patient's series at once,
// and the map's data only by the next reconflow explore: the page compares the two.
const mapSince = (() => {
  const MOST = 6;
  const UNKNOWN =
    "Whether tubes were counted again since the map was drawn is not known before the next run.";

  /**
   * Give a promise of what the tables say otherwise: {tubes: Map of a tube's number to words,
   * missing: [words of tubes that the map lacks], unread: [patient], isKnown}.
   */
  async function of(map) {
    const found = { tubes: new Map(), missing: [], unread: [], isKnown: true };
    const patients = await patientsOf(map);
    const read = await Promise.all(patients.map((patient) => tubeVisits.series(patient)));
    patients.forEach((patient, at) => {
      if (read[at]) compare(map, patient, read[at], found);
      else if (map.value.tubes.some((tube) => tube.patient === patient)) found.unread.push(patient);
    });
    return found;
  }

  /** Name the patients of a page: of all together those of the study, some of them on no map yet. */
  async function patientsOf({ value }) {
    if (value.patient !== null) return [value.patient];
    const study = await load("study", "").catch(() => ({ patients: [] }));
    return [...new Set([...value.tubes, ...study.patients].map(({ patient }) => patient))];
  }

  function compare(map, patient, series, found) {
    map.value.tubes.forEach((tube, at) => {
      if (tube.patient !== patient) return;
      const words = changes(map.value, tube, series);
      if (words.length) found.tubes.set(at, words.join("; "));
      found.isKnown &&= isSameKind(tube, series);
    });
    const lacking = series.tubes.filter((tube) => isLacking(map.value, tube));
    found.missing.push(...lacking.map((tube) => `${patient} ${tubeVisits.short(tube)}`));
  }

  const entryOf = (series, { sha256 }) => series.tubes.find((each) => each.sha256 === sha256);

  /** Tell whether both say what counted a tube; a series of an earlier release does not. */
  function isSameKind(tube, series) {
    const now = entryOf(series, tube);
    return !now?.counted || Boolean(now.counted_as && tube.counted_as);
  }

  function isLacking({ panel, tubes }, tube) {
    const isShown = tube.counted && !tube.control && tube.visit && tube.review !== "excluded";
    const isOfMap = tube.panel === panel && tube.specimen === "blood";
    return isShown && isOfMap && !tubes.some(({ sha256 }) => sha256 === tube.sha256);
  }

  /** Say what the tables have otherwise of a tube: [words], [] where nothing is. */
  function changes(value, tube, series) {
    const now = entryOf(series, tube);
    if (!now?.counted) return ["no longer in the tables"];
    if (now.review === "excluded") return ["excluded"];
    const told = [recounted(value, tube, now), reviewed(tube, now), number(value, tube, series)];
    return told.filter(Boolean);
  }

  function recounted({ strategy }, tube, now) {
    if (!now.counted_as || !tube.counted_as || now.counted_as === tube.counted_as) return "";
    if (now.strategy !== strategy) return `counted again, under ${now.strategy}`;
    return now.corrected.length ? "corrected by a person" : "counted again";
  }

  function reviewed(tube, now) {
    if (tube.review === undefined || tube.review === now.review) return "";
    return now.review ? `reviewed: ${REVIEW_WORDS[now.review]}` : "its review holds no longer";
  }

  function number({ population }, tube, series) {
    const printed = series.counts[tube.sha12]?.[population]?.printed ?? "";
    if (printed === tube.printed) return "";
    return printed ? `now ${concentrationWords(printed)} in the tables` : "no result in the tables";
  }

  const concentrationWords = (printed) =>
    /^[<\d]/.test(printed) ? `${printed} cells/µL` : printed;

  /** Make what stands above a map that the tables are ahead of, or null. */
  function make(map, { tubes, missing, unread, isKnown }) {
    const { compartment } = map.value;
    const changed = [...tubes].map(([at, words]) => [link(map, at), `: ${words}`]);
    const lacking = missing.map((words) => [`${words}: counted, and not on this map`]);
    const unknown = [
      ...(isKnown ? [] : [UNKNOWN]),
      ...unread.map((patient) => `The tables of ${patient} cannot be read: what changed since is not known.`),
    ];
    if (!changed.length && !lacking.length && !unknown.length) return null;
    return element(
      "section",
      { class: "map-since", "aria-label": "Since this map was drawn" },
      ...listed([...changed, ...lacking], compartment),
      unknown.map((words) => element("p", {}, words)),
    );
  }

  function listed(found, compartment) {
    if (!found.length) return [];
    const lines = (parts) => element("ul", {}, parts.map((part) => element("li", {}, part)));
    const more = found.slice(MOST);
    return [
      element("p", {}, element("b", {}, headWords(found.length)), " The map shows them as they were."),
      lines(found.slice(0, MOST)),
      more.length
        ? element("details", {}, element("summary", {}, `and ${more.length} more`), lines(more))
        : null,
      element("p", {}, "Draw it again: ", element("code", {}, `reconflow explore --compartment ${compartment}`)),
    ].filter(Boolean);
  }

  const headWords = (number) =>
    `Since this map was drawn, ${number === 1 ? "a tube" : `${number} tubes`} changed:`;

  function link(map, at) {
    const { patient, sha12, visit } = map.value.tubes[at];
    return element("a", { href: pageAddress.tube(sha12, {}) }, `${patient} ${visit}`);
  }

  /** Mark a tube (its number) that changed since, for tables: an element, or "". */
  function mark(map, at) {
    const words = map.since?.tubes.get(at);
    if (!words) return "";
    return element("span", { class: "map-changed", title: words }, "changed since");
  }

  /** Make what a visit's caption says of tubes (their numbers) that changed since. */
  function marks(map, tubes) {
    const changed = tubes.filter((at) => map.since?.tubes.has(at));
    return changed.map((at) => {
      const whose = tubes.length > 1 ? `${map.value.tubes[at].patient} ` : "";
      const words = `${whose}since this map: ${map.since.tubes.get(at)}`;
      return element("span", { class: "map-changed" }, words);
    });
  }

  /** Say what one tube (its number) has otherwise by now, from its patient's series; "" is nothing. */
  async function told({ value }, at) {
    const series = await tubeVisits.series(value.tubes[at].patient);
    return series ? changes(value, value.tubes[at], series).join("; ") : "";
  }

  return { make, mark, marks, of, told };
})();
