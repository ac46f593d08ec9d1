// What the colours of a map mean: groups with their counts, or a marker's scale with its ticks.
const mapLegend = (() => {
  /** Make the legend of a colouring; light(chosen): lights the cells of a group; cells are lit. */
  function make(map, colouring, light, cells = null) {
    const parts = colouring.axis ? scale(colouring.axis) : groups(map, colouring, light);
    return element("div", { class: "map-legend" }, cells ? litWords(cells) : null, parts);
  }

  function litWords({ name }) {
    return element(
      "p",
      { class: "map-lit" },
      element("span", { class: "map-lit-dot", "aria-hidden": "true" }),
      `Orange: ${name}. Grey: all other cells; they have the colours below when nothing is lit.`,
    );
  }

  function groups(map, colouring, light) {
    const rows = colouring.groups.filter(({ shown }) => shown).map((group) => row(group, light));
    return [
      element("ul", { class: "map-groups" }, rows),
      element("p", { class: "plot-notes" }, explained(map, colouring)),
    ];
  }

  function row(group, light) {
    const swatch = element("span", { class: "map-swatch", "aria-hidden": "true" }, group.key);
    swatch.style.borderColor = mapColouring.colour(group);
    const percent = numberWords.percent(group.share, 1);
    const words = [
      swatch,
      element("span", { class: "map-group" }, element("bdi", {}, group.name)),
      element("span", { class: "map-share" }, percent),
      element("span", { class: "map-shown faded" }, `${numberWords.count(group.shown)} shown`),
    ];
    if (!group.chosen) return element("li", {}, element("span", { class: "map-row" }, words));
    const title = `Light the cells of ${group.lights ?? group.name}`;
    const act = () => light(group.chosen);
    return element(
      "li",
      {},
      element("button", { type: "button", class: "map-row", title, onclick: act }, words),
    );
  }

  function explained(map, { by, groups: all }) {
    const grey = all.slice(0, -1).some(({ colour, shown }) => colour < 0 && shown);
    return [
      {
        gate: GATES,
        cluster: "Clusters were found in the markers, not on the map.",
        product: "By the gates of the CAR stains.",
        patient: "",
      }[by],
      "Counts and shares are of all tubes of this page; shares are weighted, as rare cells come whole.",
      grey ? "The smallest groups have no colour of their own: choose one to light it." : "",
      "Numbers stand where most cells of a group lie. Grey ground: the map's reference.",
    ]
      .filter(Boolean)
      .join(" ");
  }

  const GATES = [
    "Each cell has the colour of the smallest population that holds it; others are the cells of a",
    "population that are in no smaller one.",
  ].join(" ");

  function scale(axis) {
    const bar = element("div", { class: "map-scale", "aria-hidden": "true" });
    const stops = mapColouring.scale().filter((_, at) => at % 15 === 0);
    bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
    const across = (place) => `${(100 * (place - axis.low)) / (axis.high - axis.low)}%`;
    const labels = axisReading
      .ticksIn(axis, [axis.low, axis.high])
      .filter(([, text]) => text)
      .map(([place, text]) => {
        const label = element("span", {}, text);
        label.style.left = across(place);
        return label;
      });
    return [
      element("p", { class: "map-scale-title" }, `${axis.label}, compensated`),
      bar,
      element("div", { class: "map-ticks" }, labels),
      element("p", { class: "plot-notes" }, labels.length ? "" : "Dark is low, bright is high."),
    ];
  }

  return { make };
})();
