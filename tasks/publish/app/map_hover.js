// Say of the cell under the pointer what it is: populations, cluster, tube and marker values.
const mapHover = (() => {
  const REACH = 9;

  /** Let a canvas tell its cells; scene gives what is drawn on it now, or null. */
  function attach(canvas, scene) {
    const tell = (event) => {
      if (event.buttons) plotHover.hide();
      else show(canvas, scene(), event);
    };
    canvas.addEventListener("pointermove", tell);
    canvas.addEventListener("pointerleave", plotHover.hide);
  }

  async function show(canvas, scene, event) {
    const cell = scene ? nearest(canvas, scene, event) : -1;
    if (cell < 0) {
      plotHover.hide();
      return;
    }
    const told = await sentences(scene.map, cell);
    plotHover.tell(canvas, event, told);
  }

  /** Give the cell nearest to the pointer within its reach, or -1. */
  function nearest(canvas, { map, events }, event) {
    const { width, height } = canvas.getBoundingClientRect();
    const [x, y] = mapLasso.placeOf(canvas, event);
    let [best, least] = [-1, REACH ** 2];
    for (const cell of events) {
      const away = ((map.x[cell] - x) * width) ** 2 + ((map.y[cell] - y) * height) ** 2;
      if (away < least) [best, least] = [cell, away];
    }
    return best;
  }

  /** Say what a cell is. */
  async function sentences(map, cell) {
    const { populations, tubes, clusters, markers } = map.value;
    const tube = tubes[map.tube[cell]];
    const held = map.populations(cell).map((number) => populations[number].label);
    const values = await Promise.all(markers.map((_, number) => map.marker(number)));
    const told = markers.map((marker, number) => {
      const place = partPlace(map, number, values[number][cell]);
      return `${marker.name} ${axisReading.told(map.axis(number), place)}`;
    });
    return [
      `${tube.patient} ${tube.visit}`,
      held.length ? held.join(", ") : "in no population",
      clusters.length ? clusterWords(map, map.cluster[cell]) : "",
      `${told.join(" · ")}`,
    ].filter(Boolean);
  }

  function clusterWords(map, index) {
    const cluster = map.value.clusters[index];
    if (!cluster) return "between the clusters";
    return `cluster ${cluster.name} ${map.difference(index)}`.trim();
  }

  /** Give the display position of an even part (0 to 255) of a marker's limits. */
  function partPlace(map, number, part) {
    const { low, high } = map.value.markers[number];
    return low + ((part + 0.5) / 256) * (high - low);
  }

  return { attach, partPlace };
})();
