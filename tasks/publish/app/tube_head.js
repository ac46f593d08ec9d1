// The head of a tube's page: where it comes from, what counted it, its flags and its thresholds.
const tubeHead = (() => {
  const SEVERITY_WORDS = { stop: "Stop", look: "Look", know: "Know" };

  function fact(title, ...contents) {
    const given = contents.filter((content) => content);
    return given.length
      ? element("li", {}, element("b", {}, title), element("bdi", {}, given))
      : null;
  }

  function pinned(text, hash) {
    if (!text) return null;
    return [
      text,
      hash ? " " : null,
      hash ? element("code", { title: hash }, hash.slice(0, 12)) : null,
    ];
  }

  /** Make the list of facts of a tube; own is its entry in the patient's series, or null. */
  function facts(tube, own) {
    const { head } = tube;
    const entries = [
      fact("File", head.file),
      fact("Collected", timeWords(head.collected)),
      fact("Acquired", timeWords(head.acquired)),
      fact("Specimen", head.specimen),
      fact("Control", head.control ? tubeVisits.controlWords(head.control) : null),
      fact("Instrument", head.instrument || head.cytometer),
      fact("Operator", head.operator),
      fact("Batch", head.batch),
      fact("Events", eventWords(head)),
      fact("Counting beads", head.beads),
      fact("Strategy", ...(pinned(head.strategy, head.strategy_sha256) ?? [])),
      fact("Panel", ...(pinned(panelName(head), head.panel_sha256) ?? [])),
      fact("Calibration", ...(pinned(head.calibration, head.calibration_sha256) ?? [])),
      fact("Review", own?.review),
      fact("Files", ...linkedSentence("thresholds.csv, qc.json", "")),
      fact("Tube", ...(pinned(" ", head.tube_sha256) ?? [])),
    ];
    return element("ul", { class: "facts tube-facts" }, entries);
  }

  const panelName = ({ panel, panel_version: version }) =>
    !version || version.startsWith(`${panel}@`) ? version || panel : `${panel} ${version}`;

  /** Write a time of a data file (ISO) as date, hours and minutes. */
  function timeWords(text) {
    const parts = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(.*)$/.exec(
      text || "",
    );
    return parts
      ? `${parts[1]} ${parts[2]}${parts[3] === "Z" ? " UTC" : ` ${parts[3]}`}`.trim()
      : text;
  }

  function eventWords({ events, kept }) {
    if (typeof events !== "number") return "";
    if (typeof kept !== "number" || kept >= 1) return numberWords.events(events);
    return `${numberWords.events(events)}, ${(100 * kept).toFixed(1)} % of the acquisition counted`;
  }

  /** Say that a tube was taken out of every series, and where it stands why. */
  function excluded(tube, own) {
    if (own?.review !== "excluded") return null;
    const report = `${root()}patients/${encodeURIComponent(tube.head.patient)}`;
    return element(
      "p",
      { class: "alarm" },
      "Excluded: a person took this tube out of every series; its rows are used for nothing. ",
      "By whom, when and why stands in the ",
      element("a", { href: `${report}/report.html` }, "patient's report"),
      ".",
    );
  }

  /** List the flags of populations alone: what they mean stands in the patient's series. */
  function ofPopulations(tube, known, results) {
    const own = new Set(tube.value.flags.map(({ word }) => word));
    const found = new Map();
    for (const gate of tube.gates) {
      const words = new Set([...gate.flags, ...(results[gate.population]?.flags ?? [])]);
      for (const word of [...words].filter((each) => !own.has(each))) {
        found.set(word, [...(found.get(word) ?? []), gateWords.name(gate)]);
      }
    }
    const flag = ([word, names]) => {
      const { severity = "know", sentence = "" } = known[word] ?? {};
      return { word, severity, sentence: `${names.join(", ")}${sentence ? `: ${sentence}` : ""}` };
    };
    return [...found].map(flag);
  }

  /** Make the list of flags, the worst first, each with the sign of its severity. */
  function flags(tube, known, results) {
    const order = ({ severity }) => SEVERITIES.indexOf(severity);
    const raised = [...tube.value.flags, ...ofPopulations(tube, known, results)];
    raised.sort((one, other) => order(one) - order(other));
    const { corrected, uncalibrated, stain } = tube.head;
    const more = { corrected, uncalibrated, cd19_brightness_off: stain };
    const entries = raised.map(({ word, severity, sentence }) =>
      element(
        "li",
        { class: `tube-flag severity-line-${severity}` },
        severityMark(severity),
        element("b", {}, `${SEVERITY_WORDS[severity] ?? "Know"} `),
        element("code", {}, word),
        " ",
        linkedSentence([sentence, more[word]].filter(Boolean).join(" "), ""),
      ),
    );
    if (!entries.length)
      return element("p", { class: "faded" }, "No flag was raised on this tube.");
    return element("ul", { class: "tube-flags" }, entries);
  }

  /** Make the table of thresholds in words; a gate's name leads to its plot. */
  function thresholds(tube) {
    if (!tube.thresholds.length)
      return element("p", { class: "faded" }, "No gate of this tube uses a threshold.");
    const titles = [
      "threshold",
      "on",
      "value",
      "declared",
      "believed within",
      "source",
      "what was tried",
      "why",
      "gates",
    ];
    const numeric = new Set(["value", "declared"]);
    return element(
      "div",
      { class: "scroll" },
      element(
        "table",
        { class: "thresholds" },
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            titles.map((title) =>
              element("th", { scope: "col", class: numeric.has(title) && "n" }, title),
            ),
          ),
        ),
        element(
          "tbody",
          {},
          tube.thresholds.map((threshold, number) => thresholdRow(tube, threshold, number)),
        ),
      ),
    );
  }

  function thresholdRow(tube, threshold, number) {
    const { marker, detector, declared, value, source, rationale } = threshold;
    const written = (pair) => (pair ? numberWords.exact(pair[0]) : "–");
    const users = tube.gates.filter((gate) => gate.thresholds.includes(number));
    const links = users.flatMap((gate, place) => [
      place ? ", " : null,
      element("a", { href: gateWords.address(gate) }, element("bdi", {}, gateWords.name(gate))),
    ]);
    const moved = value && declared && value[0] !== declared[0];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, threshold.name),
      element("td", {}, marker && marker !== detector ? `${marker} (${detector})` : detector),
      element("td", { class: "n" }, moved ? element("b", {}, written(value)) : written(value)),
      element("td", { class: "n" }, written(declared)),
      element("td", {}, gateWords.limits(threshold) || "–"),
      element("td", {}, source),
      element(
        "td",
        {},
        threshold.tried.map((tried) => element("div", {}, gateWords.tried(tried))),
      ),
      element("td", { class: "why" }, rationale),
      element("td", { class: "users" }, links),
    );
  }

  return { excluded, facts, flags, thresholds };
})();
