// The tree of a tube's gates as a table: count, share of the parent, concentration with interval.
const populationTree = (() => {
  const DEEPEST = 9;

  /** List gates depth first: {number, depth, below}; below counts the gates under one. */
  function ordered(gates) {
    const children = new Map();
    gates.forEach((gate, number) => {
      if (!children.has(gate.parent)) children.set(gate.parent, []);
      children.get(gate.parent).push(number);
    });
    const found = [];
    const visit = (number, depth) => {
      const entry = { number, depth, below: 0 };
      found.push(entry);
      for (const child of children.get(number) ?? []) entry.below += 1 + visit(child, depth + 1);
      return entry.below;
    };
    (children.get(-1) ?? []).forEach((number) => visit(number, 1));
    return found;
  }

  /** Give the gate whose branch, without events, hides each gate: number → number. */
  function folded(gates) {
    const hidden = new Map();
    gates.forEach((gate, number) => {
      if (gate.parent < 0) return;
      if (hidden.has(gate.parent)) hidden.set(number, hidden.get(gate.parent));
      else if (!gates[gate.parent].events && !gate.events) hidden.set(number, gate.parent);
    });
    return hidden;
  }

  class PopulationTree {
    /** counts: the series' counts of this tube by population; choose and light: callbacks. */
    constructor({ tube, counts, codes, severities, unit, choose, light }) {
      Object.assign(this, { tube, counts, codes, severities, choose, light });
      this.rows = new Map();
      this.hidden = folded(tube.gates);
      this.folds = new Map();
      const titles = ["population", "events", "% of parent", unit, "light"];
      const body = element(
        "tbody",
        {},
        this.allEvents(),
        ordered(tube.gates).flatMap((entry) => this.branch(entry)),
      );
      this.table = element(
        "table",
        { class: "population-tree" },
        element("caption", {}, "Populations"),
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            titles.map((title, place) =>
              element("th", { scope: "col", class: place > 0 && place < 4 && "n" }, title),
            ),
          ),
        ),
        body,
      );
    }

    allEvents() {
      const first = this.tube.gates.find((gate) => gate.parent < 0);
      const events = first ? first.parent_events : this.tube.head.events;
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, "All events"),
        element("td", { class: "n" }, numberWords.count(events ?? 0)),
        element("td", { colspan: 3 }),
      );
    }

    branch({ number, depth, below }) {
      const row = this.row(number, depth);
      this.rows.set(number, row);
      row.hidden = this.hidden.has(number);
      const opens = below > 0 && !this.tube.gates[number].events && !this.hidden.has(number);
      return opens ? [row, this.fold(number, depth, below)] : [row];
    }

    fold(number, depth, below) {
      const words = below === 1 ? "1 below, without events" : `${below} below, all without events`;
      const button = element(
        "button",
        {
          type: "button",
          class: "fold",
          "aria-expanded": "false",
          onclick: () => this.unfold(number),
        },
        words,
      );
      this.folds.set(number, button);
      const name = element(
        "td",
        { colspan: 5, class: `depth-${Math.min(depth + 1, DEEPEST)}` },
        button,
      );
      return element("tr", { class: "fold-row" }, name);
    }

    /** Show or hide again the branch below a gate without events. */
    unfold(number, open = this.folds.get(number).getAttribute("aria-expanded") !== "true") {
      this.folds.get(number).setAttribute("aria-expanded", String(open));
      for (const [gate, root] of this.hidden)
        if (root === number) this.rows.get(gate).hidden = !open;
    }

    row(number, depth) {
      const gate = this.tube.gates[number];
      const choose = (event) => {
        event.preventDefault();
        this.choose(number);
      };
      const link = element(
        "a",
        { href: gateWords.address(gate), onclick: choose },
        element("bdi", {}, gateWords.name(gate)),
      );
      const lamp = element("button", {
        type: "button",
        class: "lamp",
        "aria-pressed": "false",
        onclick: () => this.light(number),
      });
      lamp.setAttribute("aria-label", `Light the events of ${gateWords.name(gate)} in every plot`);
      lamp.title = lamp.getAttribute("aria-label");
      const classes = gate.population ? "reported" : "helper";
      return element(
        "tr",
        { class: classes },
        element(
          "th",
          { scope: "row", class: `depth-${Math.min(depth, DEEPEST)}` },
          link,
          this.mark(gate),
        ),
        element("td", { class: "n" }, numberWords.count(gate.events)),
        element("td", { class: "n" }, numberWords.percent(gate.events, gate.parent_events)),
        element("td", { class: "n" }, this.concentration(gate)),
        element("td", { class: "lamp-cell" }, lamp),
      );
    }

    mark(gate) {
      if (!gate.flags.length) return null;
      const severity = gateWords.worst(gate.flags.map((word) => this.severities[word] ?? "know"));
      return severityMark(severity, `${severity}: ${gate.flags.join(", ")}`);
    }

    /**
     * Write the printed result, under it its code and its interval, and whether another tube's row
     * is the one of the visit.
     */
    concentration(gate) {
      const count = this.counts[gate.population];
      if (!count) return null;
      const interval = numberWords.interval(count.low, count.high);
      const code = count.code
        ? element("abbr", { title: this.codes[count.code] ?? "" }, count.code)
        : null;
      const below = element(
        "span",
        { class: "interval" },
        code,
        code && interval ? " · " : null,
        interval || null,
      );
      return [count.printed, below, ...this.remarks(count)];
    }

    /** Say what else matters about a result: a correction, another row that is the visit's. */
    remarks({ corrected, used }) {
      const remark = (title, words) => element("abbr", { class: "interval", title }, words);
      return [
        corrected ? remark("A person set a threshold or a gate of it", "corrected") : null,
        used === false
          ? remark("Tables and curves take another row, or none where the tube is excluded", "not the visit's")
          : null,
      ].filter(Boolean);
    }

    /** Mark the chosen and the lit gate; the chosen one's branch is unfolded. */
    update(chosen, lit) {
      if (this.hidden.has(chosen)) this.unfold(this.hidden.get(chosen), true);
      this.rows.forEach((row, number) => {
        row.classList.toggle("chosen", number === chosen);
        row.classList.toggle("lit", number === lit);
        if (number === chosen) row.setAttribute("aria-current", "true");
        else row.removeAttribute("aria-current");
        row.querySelector(".lamp").setAttribute("aria-pressed", String(number === lit));
      });
    }

    /** Bring the chosen gate's row into view. */
    reveal() {
      this.table.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    }

    /** List the gates in the order of their rows, without those folded away. */
    visible() {
      return [...this.rows].filter(([, row]) => !row.hidden).map(([number]) => number);
    }
  }

  return { PopulationTree, folded, ordered };
})();
