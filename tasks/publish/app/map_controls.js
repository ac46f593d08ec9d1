// The bar above a map's multiples: colour, lit cells and, of a cohort, the patient.
const mapControls = (() => {
  class Controls {
    /** set(changes): changes what the page shows. */
    constructor(map, set) {
      const { groups, markers } = mapColouring.choices(map);
      this.by = select([
        ...groups.map(option),
        optgroup("Markers", markers),
      ]);
      this.cells = select([
        option({ value: "", words: "nothing" }),
        optgroup(`Populations, among the ${map.label}`, map.value.populations.map(populationChoice)),
        optgroup("Clusters", clusterChoices(map)),
        optgroup("CAR products", productChoices(map)),
      ]);
      this.patient = map.value.patient === null ? select(patientChoices(map)) : null;
      const off = { type: "button", onclick: () => set({ cells: "" }) };
      this.off = element("button", off, "Nothing lit ", element("kbd", {}, "Esc"));
      this.by.addEventListener("change", () => set({ by: this.by.value }));
      this.cells.addEventListener("change", () => set({ cells: this.cells.value }));
      this.patient?.addEventListener("change", () => set({ patient: this.patient.value }));
      this.bar = element(
        "div",
        { class: "map-bar" },
        element("label", {}, "Colour by ", this.by),
        element("label", {}, "Light ", this.cells),
        this.patient ? element("label", {}, "Patients ", this.patient) : null,
        this.off,
        element("span", { class: "faded map-hint" }, HINT),
      );
    }

    /** Show what is chosen; cells: the lit ones, or null. */
    update({ by, cells: chosen, patient }, cells) {
      this.by.value = by || "gate";
      if (!this.by.value) this.by.value = "gate";
      this.tellOther(cells && !this.hasOption(chosen) ? cells.name : "", chosen);
      this.cells.value = cells ? chosen : "";
      if (this.patient) this.patient.value = patient;
      this.off.disabled = !chosen;
    }

    hasOption(value) {
      return [...this.cells.options].some((each) => each.value === value && !each.dataset.other);
    }

    /** Let the list name what was not chosen from it: a lasso. */
    tellOther(name, value) {
      this.cells.querySelector("[data-other]")?.remove();
      if (name) this.cells.append(element("option", { value, "data-other": "1" }, name));
    }
  }

  const HINT = [
    "Circle cells with the mouse to light them at all visits; click a map to enlarge it, and circle",
    "there by finger too.",
  ].join(" ");

  const option = ({ value, words }) => element("option", { value }, words);
  const select = (parts) => element("select", {}, parts.filter(Boolean));

  function optgroup(label, choices) {
    return choices.length ? element("optgroup", { label }, choices.map(option)) : null;
  }

  const populationChoice = ({ id, label }) => ({ value: `gate:${id}`, words: label });

  function clusterChoices(map) {
    return map.value.clusters.map(({ name }, index) => ({
      value: `cluster:${index}`,
      words: [name, map.difference(index)].filter(Boolean).join(" · "),
    }));
  }

  function productChoices(map) {
    if (!map.value.products.length) return [];
    const kinds = [...new Set(map.value.sets.map((set) => mapCells.productIds(map, set)))].sort();
    return kinds.map((ids) => ({ value: `product:${ids}`, words: mapCells.productName(map, ids) }));
  }

  function patientChoices(map) {
    const names = [...new Set(map.value.tubes.map(({ patient }) => patient))];
    const choices = names.map((name) => ({ value: name, words: name }));
    return [{ value: "", words: "all together" }, ...choices].map(option);
  }

  return { Controls };
})();
