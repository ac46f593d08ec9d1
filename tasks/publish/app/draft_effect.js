// What a draft does to the counts of the tubes laid out: population by tube, today against draft.
const draftEffect = (() => {
  const NOTABLE = 0.1;

  class Table {
    constructor() {
      this.all = element("input", { type: "checkbox", onchange: () => this.update(...this.shown) });
      this.body = element("div", { class: "scroll", tabindex: "0", role: "region" });
      this.body.setAttribute("aria-label", "Counts by population and tube");
      this.told = element("p", { class: "faded" });
      this.section = element(
        "section",
        { class: "draft-effect" },
        element("h2", { id: "counts" }, "Counts in these tubes"),
        element("label", {}, this.all, " also populations that count the same"),
        this.told,
        this.body,
      );
    }

    /** Write the counts of the tubes laid out, with what is moved. */
    update(tubes, moves) {
      this.shown = [tubes, moves];
      const rows = populationsOf(tubes).map((population) => rowOf(population, tubes, moves));
      const shown = rows.filter(({ differs }) => differs || this.all.checked);
      const counted = moves.any && moves.answers.size > 0;
      const words = moves.any && !counted ? uncounted(moves) : toldOf(rows, shown, counted);
      this.told.replaceChildren(words);
      this.body.replaceChildren(shown.length ? tableOf(tubes, shown, counted) : "");
    }
  }

  /** List the reported populations of some tubes, in the order of the first that has each. */
  function populationsOf(tubes) {
    const found = new Map();
    for (const { tube } of tubes)
      for (const gate of tube.gates)
        if (gate.population && !found.has(gate.population)) found.set(gate.population, gate);
    return [...found.values()];
  }

  function rowOf({ population, label, name }, tubes, moves) {
    const cells = tubes.map((laid) => countsOf(population, laid, moves));
    const isOther = (cell) => cell && (cell.now !== cell.today || cell.now !== cell.kept);
    return { label: label || name, cells, differs: cells.some(isOther) };
  }

  /** Count a population in a tube: {today, kept, now}; today is null where it is not counted. */
  function countsOf(population, { sha12, tube, today }, moves) {
    const number = tube.find(population);
    if (number < 0) return null;
    const { name, events } = tube.gates[number];
    const moved = moves.answer(sha12)?.gates[name];
    return {
      today: today?.gates[name]?.events ?? null,
      kept: events,
      now: moved ? moved[0] : events,
    };
  }

  /** Say that no tube was counted with what is moved: not yet, or it was refused. */
  function uncounted({ fault, preview }) {
    if (!fault && !preview) return "Counting…";
    return "Nothing was counted with it. The counts are those of the draft as it is kept.";
  }

  function toldOf(rows, shown, moved) {
    const number = rows.filter(({ differs }) => differs).length;
    const what = moved ? "with what is moved" : "with the draft";
    if (!number) return `Every population counts the same today and ${what}.`;
    const notable = shown.some(({ cells }) => cells.some((cell) => cell && isNotable(cell)));
    const marks = notable ? " ▲ ▼: more than 10 % above, below today." : "";
    return `${number} of ${rows.length} populations count otherwise ${what}.${marks}`;
  }

  function tableOf(tubes, rows, moved) {
    const heads = tubes.map((laid) =>
      element(
        "th",
        { scope: "col", class: "n" },
        visibleName(`${laid.patient} ${laid.visit}`),
        laid.control ? element("span", { class: "draft-was" }, laid.control) : null,
      ),
    );
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "population"), heads)),
      element(
        "tbody",
        {},
        rows.map(({ label, cells }) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, label),
            cells.map((cell) => cellOf(cell, moved)),
          ),
        ),
      ),
    );
  }

  function cellOf(cell, moved) {
    if (!cell) return element("td", { class: "n faded" }, "–");
    return element(
      "td",
      { class: "n" },
      element("b", {}, numberWords.count(cell.now)),
      ratioMark(cell),
      element("span", { class: "draft-was" }, wasWords(cell, moved)),
    );
  }

  /** Say what counts otherwise: today's count, and the draft's where something is moved. */
  function wasWords({ today, kept, now }, moved) {
    if (today === now && kept === now) return "the same";
    const draft = moved ? ` · draft ${numberWords.count(kept)}` : "";
    if (today === null) return `not counted today${draft}`;
    return `today ${numberWords.count(today)}${draft}`;
  }

  const isNotable = ({ today, now }) =>
    today !== null && now !== today && Math.abs(now - today) > NOTABLE * today;

  /** Write how many times today's count it is; more than a tenth off is marked by shape too. */
  function ratioMark(cell) {
    if (cell.today === null || cell.now === cell.today) return null;
    const times = cell.today ? `× ${(cell.now / cell.today).toFixed(2)}` : "new";
    const mark = isNotable(cell) ? (cell.now > cell.today ? "▲ " : "▼ ") : "";
    return element("span", { class: mark ? "ratio notable" : "ratio" }, `${mark}${times}`);
  }

  return { Table };
})();
