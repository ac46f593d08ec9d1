// Draw a lasso on a map's canvas; a press that is not moved asks for the map to be enlarged.
const mapLasso = (() => {
  const STILL = 5;

  /**
   * Let a canvas be circled. touch: by a finger too, which then does not move the page; drawn: is
   * given the corners while they grow; done: the corners in the end; pressed: a press alone.
   */
  function attach(canvas, { touch = false, drawn, done, pressed }) {
    let line = null;
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = { x: event.clientX, y: event.clientY };
      if (event.pointerType === "touch" && !touch) return;
      canvas.setPointerCapture(event.pointerId);
      line = [placeOf(canvas, event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!line || !moved(start, event)) return;
      line.push(placeOf(canvas, event));
      drawn(line);
    });
    canvas.addEventListener("pointerup", (event) => {
      const isPress = start && !moved(start, event);
      if (line && line.length > 3) done(line);
      else if (isPress) pressed?.();
      line = start = null;
    });
    canvas.addEventListener("pointercancel", () => (line = start = null));
  }

  const moved = (start, event) =>
    Math.hypot(event.clientX - start.x, event.clientY - start.y) > STILL;

  /** Give the place of a pointer as shares (0 to 1) of the map, y from below. */
  function placeOf(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const held = (share) => Math.min(1, Math.max(0, share));
    return [
      held((event.clientX - box.left) / box.width),
      held(1 - (event.clientY - box.top) / box.height),
    ];
  }

  return { attach, placeOf };
})();
