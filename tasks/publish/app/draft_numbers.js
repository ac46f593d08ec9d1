// The numbers of a draft, by marker, and the gates that they make.
const draftNumbers = (() => {
  const number = (value) => numberWords.exact(value);

  /** Give the words that mark a threshold, and the sentences below its name. */
  function remarks({ source, edited, unmeasured, fixed }) {
    return {
      badges: [edited && "by hand", unmeasured && "not measured", fixed && "fixed"].filter(Boolean),
      sentences: [...new Set([source, unmeasured, fixed])].filter(Boolean),
    };
  }

  /** The table of the thresholds: what the draft says, what counts today. */
  class Table {
    /** choose(name): shows a gate that the threshold makes. */
    constructor(choose) {
      this.choose = choose;
      this.rows = new Map();
      this.section = element("section", { "aria-labelledby": "draft-numbers" });
    }

    /** List the thresholds of a draft. */
    lay({ thresholds }) {
      this.rows = new Map(thresholds.map((each) => [each.name, this.row(each)]));
      const heads = ["threshold", "draft", "today"].map((title, place) =>
        element("th", { scope: "col", class: place > 0 && "n" }, title),
      );
      const lines = [...this.rows.values()].map(({ line }) => line);
      this.section.replaceChildren(
        element("h2", { id: "draft-numbers" }, "Numbers"),
        lines.length
          ? element(
              "table",
              { class: "draft-thresholds" },
              element("thead", {}, element("tr", {}, heads)),
              element("tbody", {}, lines),
            )
          : element("p", { class: "faded" }, "This draft has no thresholds of its own."),
      );
    }

    row(threshold) {
      const { name, marker, kept, today } = threshold;
      const { badges, sentences } = remarks(threshold);
      const press = () => this.choose(name);
      const cell = element("td", { class: "n" });
      const line = element(
        "tr",
        {},
        element(
          "th",
          { scope: "row" },
          element("button", { type: "button", class: "as-link", onclick: press }, marker || name),
          marker && marker !== name ? element("code", {}, ` ${name}`) : null,
          ...badges.map((word) => element("span", { class: "draft-badge" }, word)),
          ...sentences.map((told) => element("span", { class: "draft-was" }, visibleName(told))),
        ),
        cell,
        element("td", { class: "n" }, today.map(number).join(", ") || "–"),
      );
      return { line, cell, kept };
    }

    /** Write what is moved beside what is kept. */
    update(moves) {
      this.rows.forEach(({ line, cell, kept }, name) => {
        const isMoved = moves.has("threshold", name);
        const moved = isMoved ? moves.preview?.values[name] : undefined;
        line.classList.toggle("moved", isMoved);
        cell.replaceChildren(...(moved === undefined ? [number(kept)] : movedFrom(kept, moved)));
      });
    }
  }

  const movedFrom = (kept, moved) => [
    element("b", {}, `→ ${number(moved)}`),
    element("span", { class: "draft-was" }, `draft ${number(kept)}`),
  ];

  /** The gates as nested lists. */
  class Gates {
    constructor(shown) {
      this.page = shown;
      this.links = new Map();
      this.list = element("div");
      this.section = element(
        "section",
        { "aria-labelledby": "draft-gates" },
        element("h2", { id: "draft-gates" }, "Gates"),
        this.list,
      );
    }

    /** List the gates of a tube. */
    lay(tube) {
      this.links.clear();
      const nested = (parent) => {
        const below = tube.gates.filter((gate) => gate.parent === parent);
        if (!below.length) return null;
        return element(
          "ul",
          { class: "draft-gates" },
          below.map((gate) =>
            element("li", {}, this.link(tube, gate), nested(tube.gates.indexOf(gate)) ?? ""),
          ),
        );
      };
      this.list.replaceChildren(nested(-1) ?? "");
    }

    link(tube, gate) {
      const boundaries = this.page.boundariesOf(tube, gate);
      const link = element(
        "a",
        {
          href: gateWords.address(gate),
          class: boundaries.some((each) => this.page.may(...each)) ? null : "faded",
          onclick: (event) => {
            event.preventDefault();
            this.page.choose(gate.name);
          },
        },
        gateWords.name(gate),
      );
      this.links.set(gate.name, { link, boundaries });
      return link;
    }

    /** Mark the chosen gate, and those whose boundaries are moved. */
    update(chosen, moves) {
      this.links.forEach(({ link, boundaries }, name) => {
        if (name === chosen) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
        link.classList.toggle("moved", boundaries.some((each) => moves.has(...each)));
      });
    }

    /** Give the name of the gate so many rows further down. */
    beside(name, by) {
      const names = [...this.links.keys()];
      const place = names.indexOf(name) + by;
      return names[Math.min(names.length - 1, Math.max(0, place))];
    }
  }

  return { Gates, Table };
})();
