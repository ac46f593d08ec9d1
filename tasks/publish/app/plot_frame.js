// The frame of a plot: where a display position lies in it, its ticks and its axis titles.
const plotFrame = (() => {
  const MARGIN = { left: 52, right: 10, top: 8, bottom: 42 };
  const FONT = 'system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif';

  /** Give the frame of a plot that is so many CSS pixels wide: a square within its margins. */
  function frameOf(width) {
    const size = Math.max(40, width - MARGIN.left - MARGIN.right);
    const grown = size > 440 ? 1.35 : 1;
    return {
      left: MARGIN.left,
      top: MARGIN.top,
      size,
      grown,
      height: size + MARGIN.top + MARGIN.bottom,
    };
  }

  const xPixel = (frame, [low, high], place) =>
    frame.left + ((place - low) / (high - low)) * frame.size;
  const yPixel = (frame, [low, high], place) =>
    frame.top + frame.size - ((place - low) / (high - low)) * frame.size;

  /** Give the display positions under a pixel of the plot, or null outside its frame. */
  function positionsAt(frame, shown, left, top) {
    const [x, y] = [(left - frame.left) / frame.size, 1 - (top - frame.top) / frame.size];
    if (x < 0 || x > 1 || y < 0 || y > 1) return null;
    const within = ([low, high], share) => low + share * (high - low);
    return { x: within(shown.x, x), y: within(shown.y, y) };
  }

  function haloed(pen, text, x, y, theme, colour) {
    pen.textAlign = "center";
    pen.lineJoin = "round";
    pen.strokeStyle = theme.paper;
    pen.lineWidth = 3.5;
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  }

  /** Set the font and shorten a text until it fits. */
  function fitted(pen, text, room, font) {
    pen.font = font;
    if (pen.measureText(text).width <= room) return text;
    let kept = [...text];
    while (kept.length > 4 && pen.measureText(`${kept.join("")}…`).width > room)
      kept = kept.slice(0, -1);
    return `${kept.join("")}…`;
  }

  /** Draw the frame with ticks, tick labels and titles. plot: pen, frame, scene, theme. */
  function draw(plot) {
    drawBox(plot);
    drawAxis(plot, "x");
    drawAxis(plot, "y");
  }

  function drawBox({ pen, frame, theme }) {
    pen.strokeStyle = theme.faded;
    pen.lineWidth = 1;
    pen.strokeRect(frame.left - 0.5, frame.top - 0.5, frame.size + 1, frame.size + 1);
  }

  function drawAxis(plot, side) {
    const { pen, frame, scene, theme } = plot;
    const axis = scene.axes[side];
    const pixel = side === "x" ? xPixel : yPixel;
    const ticks = axisReading
      .ticksIn(axis, scene.window[side])
      .map(([place, text]) => [pixel(frame, scene.window[side], place), text]);
    pen.font = `11px ${FONT}`;
    pen.fillStyle = theme.ink;
    pen.strokeStyle = theme.faded;
    pen.beginPath();
    ticks.forEach(([place]) => tick(plot, side, place));
    pen.stroke();
    const length = side === "x" ? (text) => pen.measureText(text).width : () => 11;
    const labels = axisReading.uncrowded(ticks, side === "x" ? 4 : 1, length);
    labels.forEach(([place, text]) => tickLabel(plot, side, place, text));
    drawTitle(plot, side, axisReading.title(axis));
  }

  function tick({ pen, frame }, side, place) {
    const end = side === "x" ? frame.top + frame.size : frame.left;
    if (side === "x") {
      pen.moveTo(place, end);
      pen.lineTo(place, end + 4);
    } else {
      pen.moveTo(end, place);
      pen.lineTo(end - 4, place);
    }
  }

  function tickLabel({ pen, frame }, side, place, text) {
    pen.textAlign = side === "x" ? "center" : "right";
    if (side === "x") pen.fillText(text, place, frame.top + frame.size + 16);
    else pen.fillText(text, frame.left - 7, place + 4);
  }

  function drawTitle({ pen, frame, theme }, side, title) {
    const text = fitted(pen, title, frame.size + 20, `11.5px ${FONT}`);
    pen.fillStyle = theme.ink;
    pen.textAlign = "center";
    const middle = frame.size / 2;
    if (side === "x") {
      pen.fillText(text, frame.left + middle, frame.top + frame.size + 35);
      return;
    }
    pen.save();
    pen.translate(12, frame.top + middle);
    pen.rotate(-Math.PI / 2);
    pen.fillText(text, 0, 0);
    pen.restore();
  }

  return { FONT, draw, fitted, haloed, of: frameOf, positionsAt, xPixel, yPixel };
})();
