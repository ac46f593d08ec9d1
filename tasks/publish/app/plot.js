// Draw one plot on a canvas: density or dots, outlines and what is laid over them.
const plotDrawing = (() => {
  const { FONT, fitted, haloed, xPixel, yPixel } = plotFrame;
  const painted = new WeakMap();

  const ofScreen = () => Math.max(2, window.devicePixelRatio || 1);

  /** Draw a scene (plot_scene.js) on a canvas that is so many CSS pixels wide. */
  function draw(canvas, scene, width, density = ofScreen()) {
    const frame = plotFrame.of(width);
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(frame.height * density);
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    const plot = { pen, frame, scene, theme: colourScale.theme() };
    pen.fillStyle = plot.theme.paper;
    pen.fillRect(0, 0, width, frame.height);
    clipped(plot, drawContents);
    plotFrame.draw(plot);
    if (scene.words) drawWords(plot, scene.words);
  }

  function clipped(plot, contents) {
    const { pen, frame } = plot;
    pen.save();
    pen.beginPath();
    pen.rect(frame.left, frame.top, frame.size, frame.size);
    pen.clip();
    contents(plot);
    pen.restore();
  }

  function drawContents(plot) {
    const { scene, theme } = plot;
    if (scene.density) drawDensity(plot);
    drawDots(plot, scene.dots, theme.dot, radiusFor(scene.dots));
    drawLimits(plot);
    scene.contours.forEach((contour) => drawContour(plot, contour));
    drawDots(plot, scene.otherDots, theme.other, 2);
    drawDots(plot, scene.paleDots, theme.lit, 1.4, 0.35);
    drawDots(
      plot,
      scene.litDots,
      scene.combined ? theme.gate : theme.lit,
      radiusFor(scene.litDots),
    );
    scene.outlines.forEach((outline) => drawOutline(plot, outline));
    scene.before?.forEach((lines) => drawDashed(plot, lines, theme.gate, [3, 4]));
    scene.dashed.forEach((lines) => drawDashed(plot, lines, theme.other, [6, 6]));
    drawLabels(plot);
  }

  const radiusFor = (dots) => (dots.length < 40 ? 3.2 : 1.8);

  function drawDensity({ pen, frame, scene, theme }) {
    const { density, window: shown } = scene;
    const [left, right] = [density.x.low, density.x.high].map((place) =>
      xPixel(frame, shown.x, place),
    );
    const [bottom, top] = [density.y.low, density.y.high].map((place) =>
      yPixel(frame, shown.y, place),
    );
    pen.imageSmoothingEnabled = false;
    pen.drawImage(
      imageOf(density, scene.grey ? theme.grey : theme.density, theme),
      left,
      top,
      right - left,
      bottom - top,
    );
  }

  function imageOf(density, stops, theme) {
    const name = `${theme.name} ${stops.length}`;
    if (!painted.has(density)) painted.set(density, new Map());
    const images = painted.get(density);
    if (!images.has(name)) images.set(name, paint(density, stops));
    return images.get(name);
  }

  function paint(density, stops) {
    const image = document.createElement("canvas");
    image.width = image.height = density.bins;
    const pixels = new ImageData(colourScale.pixels(density, stops), density.bins, density.bins);
    image.getContext("2d").putImageData(pixels, 0, 0);
    return image;
  }

  function drawDots({ pen, frame, scene }, dots, colour, radius, alpha = 0.85) {
    pen.fillStyle = colour;
    pen.globalAlpha = alpha;
    for (const [x, y] of dots) {
      pen.beginPath();
      pen.arc(
        xPixel(frame, scene.window.x, x),
        yPixel(frame, scene.window.y, y),
        radius * frame.grown,
        0,
        2 * Math.PI,
      );
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  /** Draw the limits within which a threshold is believed as faint lines across the plot. */
  function drawLimits({ pen, frame, scene, theme }) {
    pen.strokeStyle = theme.limit;
    pen.globalAlpha = 0.75;
    pen.lineWidth = 1;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    for (const { side, place } of scene.limits) {
      if (side === "x") {
        const x = xPixel(frame, scene.window.x, place);
        pen.moveTo(x, frame.top);
        pen.lineTo(x, frame.top + frame.size);
      } else {
        const y = yPixel(frame, scene.window.y, place);
        pen.moveTo(frame.left, y);
        pen.lineTo(frame.left + frame.size, y);
      }
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  function drawContour({ pen, frame, scene, theme }, { share, stretches }) {
    pen.strokeStyle = theme.other;
    pen.lineWidth = share > 0.9 ? 0.9 : 1.4;
    pen.beginPath();
    for (const [x1, y1, x2, y2] of stretches) {
      pen.moveTo(xPixel(frame, scene.window.x, x1), yPixel(frame, scene.window.y, y1));
      pen.lineTo(xPixel(frame, scene.window.x, x2), yPixel(frame, scene.window.y, y2));
    }
    pen.stroke();
  }

  /** Trace a polyline; what lies on the frame is moved inwards, where a line is seen beside it. */
  function trace({ pen, frame, scene }, line) {
    const inset = (pixel, start) =>
      Math.min(start + frame.size - 1.5, Math.max(start + 1.5, pixel));
    const whole = scene.whole;
    pen.beginPath();
    for (const [x, y] of line) {
      const [px, py] = [xPixel(frame, scene.window.x, x), yPixel(frame, scene.window.y, y)];
      pen.lineTo(whole ? inset(px, frame.left) : px, whole ? inset(py, frame.top) : py);
    }
  }

  function drawOutline(plot, { lines, strong }) {
    const { pen, theme } = plot;
    pen.lineJoin = "round";
    for (const line of lines) {
      trace(plot, line);
      pen.fillStyle = theme.tint;
      if (strong) pen.fill();
      pen.strokeStyle = theme.paper;
      pen.lineWidth = strong ? 4 : 3;
      pen.stroke();
      pen.strokeStyle = theme.gate;
      pen.lineWidth = strong ? 2 : 1.2;
      pen.stroke();
    }
  }

  function drawDashed(plot, lines, colour, dashes) {
    const { pen } = plot;
    for (const line of lines) {
      trace(plot, line);
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.setLineDash(dashes);
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  /** Write names and shares of gates beside or within their outlines, where several share a plot. */
  function drawLabels({ pen, frame, scene, theme }) {
    const named = scene.outlines.filter(({ label, lines }) => label && lines.length);
    const font = (strong) => `${strong ? 600 : 400} ${frame.grown > 1 ? 13 : 11}px ${FONT}`;
    const pixels = ([x, y]) => [xPixel(frame, scene.window.x, x), yPixel(frame, scene.window.y, y)];
    const gates = named.map(({ label, lines }) => ({
      ...label,
      lines: lines.map((line) => line.map(pixels)),
    }));
    const measured = font(named.some(({ strong }) => strong));
    pen.font = measured;
    const height = 13 * frame.grown;
    const placed = plotLabels.place(gates, frame, {
      height,
      width: (text) => pen.measureText(text).width,
      cut: (text, room) => fitted(pen, text, room, measured),
    });
    placed.forEach(({ words, middle, top }, number) => {
      pen.font = font(named[number].strong);
      words.forEach((line, row) => {
        haloed(pen, line, middle, top + height * (row + 0.8), theme, theme.ink);
      });
    });
  }

  function drawWords({ pen, frame, theme }, words) {
    const text = fitted(pen, words, frame.size - 10, `13px ${FONT}`);
    haloed(pen, text, frame.left + frame.size / 2, frame.top + frame.size / 2, theme, theme.faded);
  }

  return { draw };
})();

/**
 * Draw the plot of one gate of a tube (the value of a data file of kind tube) on a canvas, as wide
 * as the canvas is shown. Gives a promise of true, or of false when the tube has no such gate.
 */
async function drawThumbnail(canvas, value, gateName) {
  const tube = tubeData.open(value);
  const number = tube.find(gateName);
  if (number < 0) return false;
  const shared = tubeData.plots(tube).find(({ gates }) => gates.includes(number));
  const plot = { ...shared, gates: [number] };
  const scene = await plotScene.of({ tube, plot, chosen: number });
  plotDrawing.draw(canvas, scene, canvas.clientWidth || 260);
  return true;
}
