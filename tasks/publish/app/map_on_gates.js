// Cells of a patient's map, lit on the gating page of one of its tubes.
const mapOnGates = (() => {
  /**
   * Give a promise of the cells that an address names (b_cells:cluster:3) as a tube has them: their
   * events, their values and what is to be said of them; null for "".
   */
  async function of(named, tube) {
    if (!named) return null;
    const [asked, ...chosen] = named.split(":");
    const [compartment] = asked.split("@");
    const value = await load("map", `${tube.head.patient}/${compartment}`).catch(() => null);
    if (!value) return none(`This patient has no map of ${compartment}.`);
    const map = await mapData.open(value);
    const cells = mapCells.find(map, chosen.join(":"));
    const at = value.tubes.findIndex((each) => each.sha256 === tube.head.tube_sha256);
    if (!cells || at < 0) return none(`The map ${value.map} has no such cells of this tube.`);
    const events = [];
    cells.mask.forEach((lit, event) => lit && map.tube[event] === at && events.push(event));
    const values = await Promise.all(value.markers.map((_, number) => map.marker(number)));
    const changed = await mapSince.told(map, at);
    const since = changed && ` Since the map was drawn, this tube has changed (${changed}): lit are the cells of then.`;
    return { map, events, values, told: words(map, cells, events, at, asked) + since };
  }

  const none = (told) => ({ events: [], told });

  function words(map, { name }, events, at, asked) {
    const shown = map.tube.reduce((sum, tube) => sum + (tube === at ? 1 : 0), 0);
    const of = `${numberWords.count(events.length)} of the ${numberWords.count(shown)} cells of this tube`;
    const other = mapCells.otherMap(asked, map);
    return (
      (other && `${other} `) +
      `Lit in orange, on plots of two markers: ${name}, ${of} that the map ${map.value.map} shows. ` +
      "Pale: outside a plot's parent, or not known to lie in it. " +
      "Exploratory: no table, parameter or flag reads the map."
    );
  }

  /** Give the dots of lit cells on a plot, those outside its parent apart; a note where it has none. */
  function dots({ tube, plot, cells }, notes) {
    const isLit = cells.events.length > 0;
    const columns = [plot.x, plot.y].map((axis) => isLit && column(cells, tube.axes[axis]));
    if (!isLit || columns.includes(null)) {
      if (isLit) notes.push("The map has no values of these axes: no cell of it is lit here.");
      return { litDots: [], paleDots: [], grey: false };
    }
    const within = insideOf(cells.map, tube, plot.parent);
    if (!within) notes.push(UNKNOWN);
    const isHeld = within ?? (() => false);
    const dot = (event) => columns.map((place) => place(event));
    return {
      litDots: cells.events.filter(isHeld).map(dot),
      paleDots: cells.events.filter((event) => !isHeld(event)).map(dot),
      combined: false,
      grey: true,
    };
  }

  const UNKNOWN = "All pale: the map does not know which of its cells lie in this plot's parent.";

  /** Give where cells lie on an axis of the tube, or null: the map knows compensated markers alone. */
  function column({ map, values }, axis) {
    const number = axis.raw ? -1 : map.markerNumber(axis.label);
    return number < 0 ? null : (event) => mapHover.partPlace(map, number, values[number][event]);
  }

  /** Give a function that tells which cells a gate holds, or null where the map does not know. */
  function insideOf(map, tube, gate) {
    if (holdsAll(map, tube, gate)) return () => true;
    const { population } = tube.gates[gate];
    const number = map.value.populations.findIndex((each) => each.id === population);
    return number < 0 ? null : (event) => map.populations(event).includes(number);
  }

  /** Tell whether a gate is the map's compartment or lies above it. */
  function holdsAll(map, tube, gate) {
    for (let above = tube.find(map.value.population); above >= 0; above = tube.gates[above].parent)
      if (above === gate) return true;
    return gate < 0;
  }

  return { dots, of };
})();
