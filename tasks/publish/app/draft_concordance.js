// Comparing, over all tubes that would be counted with a draft, its results with today's.
const draftConcordance = (() => {
  const PAUSE = 1000;
  const LISTED = 50;
  const WHAT = [
    "Counts every tube that this draft would count, and compares the patients' tables",
    "with today's. Nothing is written.",
  ].join(" ");

  class Panel {
    constructor(shown) {
      this.page = shown;
      this.address = `${shown.address}/concordance`;
      this.button = element(
        "button",
        { type: "button", onclick: () => this.start() },
        "Compare all tubes",
      );
      this.progress = element("progress", { hidden: true, "aria-label": "Tubes compared" });
      this.told = element("p", { role: "status" });
      this.result = element("div");
      this.section = element(
        "section",
        { class: "draft-concordance", "aria-labelledby": "concordance" },
        element("h2", { id: "concordance" }, "Concordance"),
        element(
          "p",
          { class: "faded" },
          WHAT,
        ),
        element("p", {}, shown.edits ? this.button : null, " ", this.progress),
        this.told,
        this.result,
      );
    }

    async start() {
      this.button.disabled = true;
      try {
        await send(this.address, { stamp: this.page.draft.stamp });
        await this.refresh();
      } catch (error) {
        this.told.replaceChildren(element("span", { class: "alarm" }, error.message));
        this.button.disabled = false;
      }
    }

    /** Ask how far it is, and again until it is done. */
    async refresh() {
      clearTimeout(this.timer);
      const standing = await ask(this.address);
      const busy = ["running", "waiting"].includes(standing.state);
      if (this.wasBusy && !busy) await this.page.reload();
      this.wasBusy = busy;
      this.show(standing, busy);
      if (busy) this.timer = setTimeout(() => this.refresh().catch(tellFault), PAUSE);
    }

    show(standing, busy) {
      const { result, done, of, current } = standing;
      this.button.disabled = busy;
      this.button.textContent = result && current ? "Compare all tubes again" : "Compare all tubes";
      this.progress.hidden = !busy;
      if (of) Object.assign(this.progress, { max: of, value: done });
      this.told.replaceChildren(stateWords(standing));
      this.told.className = result && !current ? "draft-note" : "";
      if (this.shown === result) return;
      this.shown = result;
      this.page.release.update();
      this.result.replaceChildren(...(result && !busy ? resultParts(result) : []));
    }
  }

  function stateWords({ state, done, of, by, fault, result, current }) {
    const words = {
      none: "No comparison was made since the review server started.",
      waiting: "Waiting until the pass under way has ended.",
      running: `${done} of ${of} tubes are compared (begun by ${by}).`,
      failed: `The comparison failed: ${fault}`,
      done: "",
    }[state];
    if (state !== "done" || !result) return visibleName(words ?? "");
    return current
      ? `Of the draft as it is kept now: ${result.compared}`
      : `It holds no more: the draft, or what counts, was another then. ${result.compared}`;
  }

  function resultParts(result) {
    const place = element("div", { class: "draft-difference" });
    const draw = (population) =>
      place.replaceChildren(differencePlot.draw(pairsOf(result, population)));
    const farthest = [...result.populations]
      .filter(({ ratio }) => ratio > 0)
      .sort((one, other) => Math.abs(Math.log(other.ratio)) - Math.abs(Math.log(one.ratio)))[0];
    const shown = farthest ?? result.populations[0];
    if (shown) draw(shown);
    return [
      ...result.missing.map((words) => element("p", { class: "draft-note" }, visibleName(words))),
      changedPart(result),
      element("div", { class: "draft-agreement" }, agreementTable(result.populations, draw), place),
    ];
  }

  function pairsOf({ pairs }, { population, label, unit, limit_low: low, limit_high: high }) {
    return {
      label,
      unit: unitWords(unit),
      pairs: pairs.filter((pair) => pair.population === population),
      limits: [low, high].filter((limit) => limit !== null),
    };
  }

  function changedPart({ changed, populations }) {
    if (!changed.length)
      return element("p", {}, "No result's code and no clinical parameter would be another.");
    const labels = new Map(populations.map(({ population, label }) => [population, label]));
    const line = ({ patient, visit, day, population, what, today, draft }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, visibleName(`${patient} ${visit ?? ""}`)),
        element("td", { class: "n" }, day ?? ""),
        [labels.get(population) ?? population, what, today, draft].map((text) =>
          element("td", {}, visibleName(text ?? "")),
        ),
      );
    const shown = changed.slice(0, LISTED).map(line);
    const more = changed.length > LISTED ? `, ${LISTED} are listed` : "";
    const number = numberWords.count(changed.length);
    const times = changed.length === 1 ? "1 code or parameter" : `${number} codes and parameters`;
    return element(
      "details",
      { open: true },
      element("summary", {}, `${times} would be another${more}`),
      tableOf(["patient, visit", "day", "population", "what", "today", "draft"], shown),
    );
  }

  function tableOf(titles, rows) {
    const heads = titles.map((title) => element("th", { scope: "col" }, title));
    return element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, heads)),
        element("tbody", {}, rows),
      ),
    );
  }

  function agreementTable(populations, draw) {
    if (!populations.length) return element("p", {}, "No population has a result to compare.");
    return tableOf(
      ["population", "pairs", "draft ÷ today", "bias %", "limits of agreement %", "concordance"],
      populations.map((each) => agreementRow(each, draw)),
    );
  }

  /** Write a number with so many decimals, never as -0.0; what is not known as a dash. */
  function decimals(value, places) {
    if (value === null) return "–";
    const text = value.toFixed(places);
    return Number(text) === 0 ? text.replace("-", "") : text;
  }

  function between(low, high, places) {
    if (low === null || high === null) return "–";
    return `${decimals(low, places)} to ${decimals(high, places)}`;
  }

  /** Write a unit of the tables as pages do. */
  const unitWords = (unit) => (unit === "1/uL" ? "cells/µL" : unit);

  function agreementRow(each, draw) {
    const { label, pairs, ratio, bias_percent: bias, concordance, note } = each;
    const unit = unitWords(each.unit);
    const interval = between(each.concordance_low, each.concordance_high, 3);
    const notable = ratio !== null && Math.abs(ratio - 1) > 0.1;
    const mark = notable ? (ratio > 1 ? "▲ " : "▼ ") : "";
    const cell = (words, ...more) => element("td", { class: "n" }, words, ...more);
    return element(
      "tr",
      {},
      element(
        "th",
        { scope: "row" },
        element("button", { type: "button", class: "as-link", onclick: () => draw(each) }, label),
        element("span", { class: "draft-was" }, note ? `${unit}; ${note}` : unit),
      ),
      cell(numberWords.count(pairs)),
      element("td", { class: notable ? "n ratio notable" : "n" }, `${mark}${decimals(ratio, 3)}`),
      cell(decimals(bias, 1)),
      cell(between(each.limit_low, each.limit_high, 1)),
      cell(decimals(concordance, 4), element("span", { class: "draft-was" }, interval)),
    );
  }

  return { Panel };
})();
