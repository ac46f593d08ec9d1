// What a person can take hold of in a plot: the lines of thresholds and the corners of polygons.
// moved holds what was moved already: {thresholds: Map of name to place, gates: of name to corners}.
const gateHandles = (() => {
  const NEAR = 9;
  const NUDGES = 200;

  /** List what can be moved in a plot: {kind, name, vertex, side, place or at}. */
  function of(tube, plot, moved) {
    const used = new Set(plot.gates.flatMap((gate) => tube.gates[gate].thresholds));
    const lines = [...used].flatMap((number) => lineOf(tube.thresholds[number], plot, moved));
    return [...plot.gates.flatMap((number) => cornersOf(tube.gates[number], moved)), ...lines];
  }

  function lineOf({ name, axis, value }, plot, { thresholds }) {
    const side = { [plot.y]: "y", [plot.x]: "x" }[axis];
    if (!side || !value || value[1] === null) return [];
    return [{ kind: "threshold", name, side, place: thresholds.get(name) ?? value[1] }];
  }

  function cornersOf(gate, moved) {
    if (gate.kind !== "polygon" || !gate.outlines.length) return [];
    const { name } = gate;
    return corners(gate, moved).map((at, vertex) => ({ kind: "gate", name, vertex, at }));
  }

  const corners = (gate, { gates }) => gates.get(gate.name) ?? gate.outlines[0].slice(0, -1);

  /** Give where a handle lies on the canvas; left or top is null along a line. */
  function pixel(frame, shown, { side, place, at }) {
    const left = plotFrame.xPixel(frame, shown.x, at ? at[0] : place);
    const top = plotFrame.yPixel(frame, shown.y, at ? at[1] : place);
    return { left: side === "y" ? null : left, top: side === "x" ? null : top };
  }

  /** Give the handle at a pixel of the canvas, a corner rather than a line, or null. */
  function near(handles, frame, shown, across, down) {
    const away = (handle) => {
      const { left, top } = pixel(frame, shown, handle);
      return Math.max(
        left === null ? 0 : Math.abs(left - across),
        top === null ? 0 : Math.abs(top - down),
      );
    };
    return (
      handles
        .filter((handle) => away(handle) <= NEAR)
        .sort((one, other) => Boolean(other.at) - Boolean(one.at) || away(one) - away(other))[0] ??
      null
    );
  }

  /** Note in moved that a handle was moved to display positions {x, y}. */
  function move(tube, moved, handle, at) {
    if (handle.kind === "threshold") {
      moved.thresholds.set(handle.name, at[handle.side]);
      return;
    }
    const now = corners(tube.gates[tube.find(handle.name)], moved).map((corner) => [...corner]);
    now[handle.vertex] = [at.x, at.y];
    moved.gates.set(handle.name, now);
  }

  /** Give where a step in a direction (1 or -1) takes a threshold's handle on the plot's axes. */
  function step(axes, handle, direction) {
    const axis = axes[handle.side];
    return { [handle.side]: handle.place + (direction * (axis.high - axis.low)) / NUDGES };
  }

  /** Draw handles over a plot. */
  function draw(canvas, frame, shown, handles) {
    const pen = canvas.getContext("2d");
    handles.forEach((handle) => drawOne(pen, frame, pixel(frame, shown, handle)));
  }

  /** Draw thresholds as thin lines across a plot, before the outlines that they make are known. */
  function drawLines(canvas, frame, shown, handles) {
    const pen = canvas.getContext("2d");
    const end = { x: frame.left + frame.size, y: frame.top + frame.size };
    pen.strokeStyle = colourScale.theme().gate;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const { left, top } of handles.map((handle) => pixel(frame, shown, handle))) {
      pen.moveTo(left ?? frame.left, top ?? frame.top);
      pen.lineTo(left ?? end.x, top ?? end.y);
    }
    pen.stroke();
  }

  function drawOne(pen, frame, { left, top }) {
    const theme = colourScale.theme();
    const across = left ?? frame.left + frame.size / 2;
    const down = top ?? frame.top + frame.size / 2;
    pen.fillStyle = theme.paper;
    pen.strokeStyle = theme.gate;
    pen.lineWidth = 2;
    pen.beginPath();
    if (top === null) pen.rect(across - 4, down - 14, 8, 28);
    else if (left === null) pen.rect(across - 14, down - 4, 28, 8);
    else pen.arc(across, down, 6, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }

  return { draw, drawLines, move, near, of, step };
})();
