// Draw a map of cells on a canvas: the grey ground, cells in their colours, tags, what is lit.
const mapPlot = (() => {
  const FEW = 500;
  const MANY = 4000;
  const FEWEST_TAGGED = 12;
  /** Groups with such a share of the cells drawn are drawn by turns: none hides another. */
  const COMMON = 0.1;
  const TURNS = 8;
  const grounds = new WeakMap();

  /** Give the height of a map that is so many pixels wide: its axes have the same unit. */
  function height(map, width) {
    const { x, y } = map.value.limits;
    const ratio = (y[1] - y[0]) / (x[1] - x[0]);
    return Math.round(width * Math.min(1.25, Math.max(0.6, ratio)));
  }

  /**
   * Draw a scene on a canvas that is so many CSS pixels wide. scene: map, events (numbers),
   * colouring, mask (of lit events, or null), corners (of the lasso).
   */
  function draw(canvas, scene, width) {
    const size = { width, height: height(scene.map, width) };
    const density = Math.max(2, window.devicePixelRatio || 1);
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(size.height * density);
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    const plot = { pen, size, scene, theme: colourScale.theme() };
    pen.fillStyle = plot.theme.paper;
    pen.fillRect(0, 0, width, size.height);
    drawGround(plot);
    if (scene.mask) drawLit(plot);
    else drawCells(plot);
    if (scene.colouring.groups && !scene.mask) drawTags(plot);
    drawLasso(plot);
    if (!scene.events.length) drawWords(plot, "no cell here");
  }

  function drawGround({ pen, size, scene, theme }) {
    const { ground } = scene.map;
    pen.globalAlpha = theme.name === "dark" ? 0.45 : 0.4;
    pen.imageSmoothingEnabled = true;
    pen.drawImage(image(ground, theme), 0, 0, size.width, size.height);
    pen.globalAlpha = 1;
  }

  function image(ground, theme) {
    if (!grounds.has(ground)) grounds.set(ground, {});
    const images = grounds.get(ground);
    images[theme.name] ??= paint(ground, theme);
    return images[theme.name];
  }

  function paint(ground, theme) {
    const made = document.createElement("canvas");
    made.width = made.height = ground.bins;
    const pixels = colourScale.pixels(ground, theme.grey);
    made.getContext("2d").putImageData(new ImageData(pixels, ground.bins, ground.bins), 0, 0);
    return made;
  }

  function radius({ size, scene }, number) {
    const grown = size.width > 450 ? 1.5 : 1;
    return (number > MANY ? 1.1 : 1.5) * grown * (scene.events.length < 200 ? 1.4 : 1);
  }

  /** Draw cells: common groups by turns and rare ones on top; of a marker the low ones first. */
  function drawCells(plot) {
    const { events, colouring } = plot.scene;
    const bins = new Map();
    for (const event of events) {
      const owner = colouring.owner[event];
      if (!bins.has(owner)) bins.set(owner, []);
      bins.get(owner).push(event);
    }
    plot.pen.globalAlpha = 0.85;
    const parts = colouring.axis ? byValue(bins) : byGroup(bins, colouring, events.length);
    const half = radius(plot, events.length);
    for (const { colour, of } of parts) dots(plot, of, colour, half);
    plot.pen.globalAlpha = 1;
  }

  function byValue(bins) {
    const colours = mapColouring.scale();
    const values = [...bins.keys()].sort((one, other) => one - other);
    return values.map((value) => ({ colour: colours[value], of: bins.get(value) }));
  }

  function byGroup(bins, { groups }, all) {
    const size = (owner) => (owner === groups.length - 1 ? Infinity : bins.get(owner).length);
    const owners = [...bins.keys()].sort((one, other) => size(other) - size(one));
    const part = (owner, of) => ({ colour: mapColouring.colour(groups[owner]), of });
    const isCommon = (owner) => Number.isFinite(size(owner)) && size(owner) >= COMMON * all;
    const turn = (number) =>
      owners.filter(isCommon).map((owner) => {
        const own = bins.get(owner);
        const [from, to] = [number, number + 1].map((end) => Math.round((end / TURNS) * own.length));
        return part(owner, own.slice(from, to));
      });
    const whole = (wanted) => owners.filter(wanted).map((owner) => part(owner, bins.get(owner)));
    return [
      ...whole((owner) => size(owner) === Infinity),
      ...Array.from({ length: TURNS }, (_, number) => turn(number)).flat(),
      ...whole((owner) => size(owner) < COMMON * all),
    ];
  }

  function dots({ pen, size, scene }, events, colour, half) {
    const { x, y } = scene.map;
    // Squares are drawn in a fifth of the time, and dots so small look the same.
    const isMany = scene.events.length > FEW;
    pen.fillStyle = colour;
    pen.beginPath();
    for (const event of events) {
      const [across, down] = [x[event] * size.width, (1 - y[event]) * size.height];
      if (isMany) {
        pen.rect(across - half, down - half, 2 * half, 2 * half);
      } else {
        pen.moveTo(across + half, down);
        pen.arc(across, down, half, 0, 2 * Math.PI);
      }
    }
    pen.fill();
  }

  function drawLit(plot) {
    const { scene, theme } = plot;
    const lit = scene.events.filter((event) => scene.mask[event]);
    const others = scene.events.filter((event) => !scene.mask[event]);
    plot.pen.globalAlpha = 0.55;
    dots(plot, others, theme.grey[1].replace(/^/, "#"), radius(plot, scene.events.length) * 0.8);
    plot.pen.globalAlpha = 0.95;
    dots(plot, lit, theme.lit, radius(plot, lit.length) * 1.2);
    plot.pen.globalAlpha = 1;
  }

  /**
   * Write the number of each group where most of its cells lie, so that colour is not alone: above
   * them, else beside or below them; where there is no room, the smaller group has none.
   */
  function drawTags(plot) {
    const { pen, size, scene, theme } = plot;
    const tall = size.width > 450 ? 15 : 11.5;
    pen.font = `600 ${tall}px ${plotFrame.FONT}`;
    const tagged = taggedGroups(scene).sort((one, other) => other.events.length - one.events.length);
    const taken = [];
    for (const { key, events } of tagged) {
      const [x, y] = middle(scene.map, events);
      const half = pen.measureText(key).width / 2 + 1;
      const box = roomFor(x * size.width, (1 - y) * size.height, { half, tall, size, taken });
      if (!box) continue;
      taken.push(box);
      plotFrame.haloed(pen, key, box.x, box.y, theme, theme.ink);
    }
  }

  function taggedGroups({ colouring, events }) {
    const bins = new Map();
    for (const event of events) {
      const { key } = colouring.groups[colouring.owner[event]];
      if (!bins.has(key)) bins.set(key, []);
      bins.get(key).push(event);
    }
    const found = [...bins].map(([key, own]) => ({ key, events: own }));
    return found.filter(({ key, events: own }) => key && own.length >= FEWEST_TAGGED);
  }

  /** Give where a number (x: its middle, y: its foot) fits beside a place without hiding another. */
  function roomFor(x, y, { half, tall, size, taken }) {
    const places = [[0, -7], [0, tall + 5], [half + 8, tall / 3], [-half - 8, tall / 3]];
    const boxes = places.map(([across, down]) => ({
      x: Math.min(size.width - half, Math.max(half, x + across)),
      y: Math.min(size.height - 3, Math.max(tall, y + down)),
      half,
    }));
    const isFree = (box) =>
      taken.every(
        (other) => Math.abs(other.x - box.x) >= other.half + half || Math.abs(other.y - box.y) >= tall,
      );
    return boxes.find(isFree) ?? null;
  }

  /** Give the place of the cell that most of its group lie around: of a grid's fullest part. */
  function middle({ x, y }, events) {
    const parts = new Map();
    for (const event of events) {
      const part = Math.floor(x[event] * 16) * 16 + Math.floor(y[event] * 16);
      if (!parts.has(part)) parts.set(part, []);
      parts.get(part).push(event);
    }
    const fullest = [...parts.values()].reduce((best, each) => (each.length > best.length ? each : best));
    const mean = (column) => fullest.reduce((sum, event) => sum + column[event], 0) / fullest.length;
    return [mean(x), mean(y)];
  }

  function drawLasso({ pen, size, scene, theme }) {
    if (!scene.corners?.length) return;
    pen.beginPath();
    for (const [x, y] of scene.corners) pen.lineTo(x * size.width, (1 - y) * size.height);
    pen.closePath();
    pen.strokeStyle = theme.paper;
    pen.lineWidth = 4;
    pen.stroke();
    pen.strokeStyle = theme.ink;
    pen.lineWidth = 1.6;
    pen.setLineDash([5, 4]);
    pen.stroke();
    pen.setLineDash([]);
  }

  function drawWords({ pen, size, theme }, words) {
    pen.font = `13px ${plotFrame.FONT}`;
    plotFrame.haloed(pen, words, size.width / 2, size.height / 2, theme, theme.faded);
  }

  return { draw, height };
})();
