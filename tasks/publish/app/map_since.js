// What became of a map's tubes since it was drawn. A correction writes the patient's series at once,
// and the map's data only by the next reconflow explore: the page compares the two.
const mapSince = (() => {
  const MOST = 6;
  const MOST_AT_VISIT = 3;
  const UNKNOWN =
    "Whether tubes were counted again since the map was drawn is not known before the next run.";

  /**
   * Give a promise of what the tables say otherwise: {tubes: Map of a tube's number to words,
   * reviewed: the same of tubes on which a person decided and no more, missing: [words of tubes that
   * the map lacks], unread: [patient], isKnown}.
   */
  async function of(map) {
    const found = { tubes: new Map(), reviewed: new Map(), missing: [], unread: [], isKnown: true };
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
      const [words, review] = [changes(map.value, tube, series), reviewed(tube, series)];
      if (words.length) found.tubes.set(at, [...words, review].filter(Boolean).join("; "));
      else if (review) found.reviewed.set(at, review);
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

  /** Tell whether a map lacks a tube; of one that could not be read its notes say why. */
  function isLacking({ panel, tubes, unread = [] }, tube) {
    const isShown = tube.counted && !tube.control && tube.visit && tube.review !== "excluded";
    const isOfMap = tube.panel === panel && tube.specimen === "blood";
    const known = [...tubes.map(({ sha256 }) => sha256), ...unread];
    return isShown && isOfMap && !known.includes(tube.sha256);
  }

  /** Say what the tables have otherwise of a tube, but for its review: [words]. */
  function changes(value, tube, series) {
    const now = entryOf(series, tube);
    if (!now?.counted) return ["no longer in the tables"];
    if (now.review === "excluded") return ["excluded"];
    return [recounted(value, tube, now), number(value, tube, series)].filter(Boolean);
  }

  /** Say what counted a tube otherwise; a series or a map of an earlier release names no correction. */
  function recounted({ strategy }, tube, now) {
    if (!now.counted_as || !tube.counted_as || now.counted_as === tube.counted_as) return "";
    if (now.strategy !== strategy) return `counted again, under ${now.strategy}`;
    const isKnown = now.correction !== undefined && tube.correction !== undefined;
    if (!isKnown || now.correction === tube.correction) return "counted again";
    return now.correction ? "corrected by a person" : "correction taken back";
  }

  function reviewed(tube, series) {
    const review = entryOf(series, tube)?.review ?? "";
    if (tube.review === undefined || tube.review === review || review === "excluded") return "";
    return review ? `a reviewer decided: ${REVIEW_WORDS[review]}` : "its review holds no longer";
  }

  function number({ population }, tube, series) {
    const printed = series.counts[tube.sha12]?.[population]?.printed ?? "";
    if (printed === tube.printed) return "";
    return printed ? `now ${concentrationWords(printed)} in the tables` : "no result in the tables";
  }

  const concentrationWords = (printed) =>
    /^[<\d]/.test(printed) ? `${printed} cells/µL` : printed;

  /** Make what stands above a map that the tables are ahead of, or null. */
  function make(map, { tubes, reviewed: decided, missing, unread, isKnown }) {
    const lines = (told) => [...told].map(([at, words]) => [link(map, at), `: ${words}`]);
    const lacking = missing.map((words) => [`${words}: counted, and not on this map`]);
    const changed = [...lines(tubes), ...lacking];
    const unknown = [
      ...(isKnown ? [] : [UNKNOWN]),
      ...unread.map((patient) => `The tables of ${patient} cannot be read: what changed since is not known.`),
    ];
    const parts = [
      ...changedParts(changed, map.value.compartment),
      ...reviewedParts(lines(decided)),
      ...unknown.map((words) => element("p", {}, words)),
    ];
    if (!parts.length) return null;
    const kind = changed.length ? "map-since" : "map-since map-quiet";
    return element("section", { class: kind, "aria-label": "Since this map was drawn" }, parts);
  }

  function changedParts(found, compartment) {
    if (!found.length) return [];
    const number = found.length === 1 ? "a tube has" : `${found.length} tubes have`;
    const head = element("b", {}, `Since this map was drawn, ${number} changed.`);
    return [
      element("p", {}, head, " The map shows what was then:"),
      ...listed(found),
      element("p", {}, "Draw it again: ", element("code", {}, `reconflow explore --compartment ${compartment}`)),
    ];
  }

  function reviewedParts(found) {
    if (!found.length) return [];
    const head = element("b", {}, "Reviewed since this map was drawn");
    return [element("p", {}, head, " (their cells and numbers are the same):"), ...listed(found)];
  }

  /** List lines; what is beyond the first few is folded away. */
  function listed(found) {
    const list = (parts) => element("ul", {}, parts.map((part) => element("li", {}, part)));
    const more = found.slice(MOST);
    const folded = element("details", {}, element("summary", {}, `and ${more.length} more`), list(more));
    return [list(found.slice(0, MOST)), ...(more.length ? [folded] : [])];
  }

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

  /** Make what a visit's caption says of tubes (their numbers) that changed or were reviewed since. */
  function marks({ since, value }, tubes) {
    if (!since) return [];
    const whose = (at) => (tubes.length > 1 ? `${value.tubes[at].patient} ` : "");
    const said = (told, kind, done) => {
      const found = tubes.filter((at) => told.has(at));
      const each = found.map((at) => `${whose(at)}since this map, ${told.get(at)}`);
      const words = found.length > MOST_AT_VISIT ? [`${found.length} tubes ${done} since this map`] : each;
      return words.map((text) => element("span", { class: kind }, text));
    };
    return [
      ...said(since.tubes, "map-changed", "changed"),
      ...said(since.reviewed, "map-changed map-quiet", "reviewed"),
    ];
  }

  /** Say what one tube (its number) has otherwise by now; "" is nothing. */
  async function told({ value }, at) {
    const series = await tubeVisits.series(value.tubes[at].patient);
    return series ? changes(value, value.tubes[at], series).join("; ") : "";
  }

  return { make, mark, marks, of, told };
})();
