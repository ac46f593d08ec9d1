// What stands beside a plot: its gates with share, count and concentration, thresholds, cuts.
const gateCaptions = (() => {
  /** Make the caption of a plot in the grid. choose(number) is called when a gate's name is. */
  function caption(tube, plot, results, choose) {
    return [
      element(
        "span",
        { class: "plot-parent" },
        "of ",
        element("bdi", {}, gateWords.parentName(tube, plot.parent)),
        ` · ${numberWords.events(plot.events)}`,
      ),
      element(
        "ul",
        { class: "plot-gates" },
        plot.gates.map((number) => gateLine(tube, number, results, choose)),
      ),
      ...cuts(tube, plot),
      element(
        "span",
        { class: "plot-thresholds" },
        thresholdWords(tube, plot),
      ),
    ];
  }

  function gateLine(tube, number, results, choose) {
    const gate = tube.gates[number];
    const act = (event) => {
      event.preventDefault();
      choose(number);
    };
    const result = results[gate.population];
    return element(
      "li",
      {},
      element(
        "a",
        { href: gateWords.address(gate), onclick: act },
        element("bdi", {}, gateWords.name(gate)),
      ),
      element(
        "span",
        { class: "plot-numbers" },
        element("b", {}, numberWords.percent(gate.events, gate.parent_events)),
        element("span", {}, numberWords.count(gate.events)),
        result ? element("span", {}, resultWords(result)) : null,
      ),
    );
  }

  /** Write a printed result with its unit; codes and percentages stand by themselves. */
  function resultWords({ printed, unit }) {
    if (/%|^N[DE]$/.test(printed) || !unit) return printed;
    const [, value, mark] = /^(.*?)( \(\w+\))?$/.exec(printed);
    return `${value} ${unit.replace("cells/", "/")}${mark ?? ""}`;
  }

  /** Say what the gates of a plot cut on axes that are not drawn, or what they combine. */
  function hiddenCuts(tube, plot) {
    return [...new Set(plot.gates.flatMap((number) => tube.gates[number].hidden))];
  }

  function cuts(tube, plot) {
    const told = hiddenCuts(tube, plot);
    return told.length ? [element("span", { class: "plot-hidden" }, told.join("; "))] : [];
  }

  function thresholdsOf(tube, plot) {
    const numbers = new Set(plot.gates.flatMap((number) => tube.gates[number].thresholds));
    return [...numbers].map((number) => tube.thresholds[number]);
  }

  /** Say in short where the thresholds of a plot lie. */
  function thresholdWords(tube, plot) {
    return thresholdsOf(tube, plot).map(gateWords.thresholdShort).join(" · ");
  }

  /** Say a plot in sentences: the text alternative of its picture. */
  function told(tube, plot) {
    return plot.gates.map((number) => gateWords.sentence(tube, number)).join(" ");
  }

  /** Make the words beside an enlarged plot. */
  function words(tube, plot, results) {
    const limited = thresholdsOf(tube, plot);
    return [
      element(
        "p",
        { class: "plot-parent" },
        "of ",
        element("bdi", {}, gateWords.parentName(tube, plot.parent)),
        ` · ${numberWords.events(plot.events)}`,
      ),
      element(
        "ul",
        { class: "plot-told" },
        sentences(tube, plot, results).map((sentence) => element("li", {}, sentence)),
      ),
      ...cuts(tube, plot),
      limited.length ? element("h3", {}, "Thresholds") : null,
      limited.length ? element("ul", { class: "plot-told" }, limited.map(thresholdLine)) : null,
      flagLine(tube, plot),
    ].filter(Boolean);
  }

  /** Say each gate of a plot in one or two sentences, with its result. */
  function sentences(tube, plot, results) {
    return plot.gates.map(
      (number) => gateWords.sentence(tube, number) + resultLine(tube.gates[number], results),
    );
  }

  /** Give the code of a result where its printed form does not hold it already. */
  const codeOf = ({ printed, code }) => (printed.includes(code) ? "" : code);

  function resultLine(gate, results) {
    const result = results[gate.population];
    if (!result) return "";
    const interval = numberWords.interval(result.low, result.high);
    return ` ${[resultWords(result), interval, codeOf(result)].filter(Boolean).join(", ")}.`;
  }

  function thresholdLine(threshold) {
    const limits = gateWords.limits(threshold);
    const declared =
      threshold.declared && threshold.value && threshold.declared[0] !== threshold.value[0];
    return element(
      "li",
      {},
      gateWords.thresholdShort(threshold),
      declared ? `; declared ${numberWords.exact(threshold.declared[0])}` : "",
      limits ? `; believed within ${limits} (dotted lines)` : "",
      threshold.rationale ? element("span", { class: "why" }, ` ${threshold.rationale}`) : null,
    );
  }

  function flagLine(tube, plot) {
    const flags = new Set(plot.gates.flatMap((number) => tube.gates[number].flags));
    return flags.size ? element("p", {}, `Flags: ${[...flags].join(", ")}`) : null;
  }

  return { caption, codeOf, hiddenCuts, resultWords, sentences, thresholdWords, told, words };
})();
