// Say beside the pointer which values lie under it, and how many events its bin holds.
const plotHover = (() => {
  const tip = element("div", { class: "plot-tip", hidden: true });

  /** Let a canvas tell its values; scene gives what is drawn on it now, or null. */
  function attach(canvas, scene) {
    const tell = (event) => show(canvas, scene(), event);
    canvas.addEventListener("pointermove", tell);
    canvas.addEventListener("pointerdown", tell);
    canvas.addEventListener("pointerleave", hide);
  }

  function hide() {
    tip.hidden = true;
  }

  function show(canvas, scene, event) {
    const box = canvas.getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    const at = scene && plotFrame.positionsAt(plotFrame.of(box.width), scene.window, left, top);
    if (!at) {
      hide();
      return;
    }
    tell(canvas, event, sentences(scene, at));
  }

  /** Show sentences beside the pointer, within the window. */
  function tell(canvas, event, told) {
    tip.replaceChildren(...told.map((text) => element("span", {}, text)));
    tip.hidden = false;
    (canvas.closest("dialog") ?? document.body).append(tip);
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, room))}px`;
    tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 10)}px`;
  }

  /** Say what lies at display positions: both axes' values, and the events of the bin. */
  function sentences(scene, at) {
    const { x, y } = scene.axes;
    const told = [x, y].map(
      (axis, side) => `${axisReading.title(axis)}: ${axisReading.told(axis, side ? at.y : at.x)}`,
    );
    return [...told, binWords(scene.density, at)].filter(Boolean);
  }

  function binWords(density, at) {
    if (!density) return "";
    const bin = (axis, place) => {
      const share = (place - axis.low) / (axis.high - axis.low);
      return Math.min(density.bins - 1, Math.max(0, Math.floor(share * density.bins)));
    };
    const count = density.counts[bin(density.x, at.x) * density.bins + bin(density.y, at.y)];
    return `${numberWords.events(count)} in this bin`;
  }

  return { attach, hide, sentences, tell };
})();
