// Gather what one plot shows: a scene that can be drawn at once, at any size and in any colours.
const plotScene = (() => {
  const FEW = 1000;
  /** Of so few events of another tube no contours are made: each is a dot. */
  const FEW_OTHERS = 150;

  /**
   * Give a promise of the scene of one plot. asked: tube, plot (of tubeData.plots), chosen and
   * light (numbers of gates, -1 none), cells (of a map, as mapOnGates.of gives them), declared (lay
   * declared outlines over), other (another tube to lay over), named (words on which one it is),
   * version (what another version draws there: dashed, notes), window (the part shown).
   */
  async function of(asked) {
    const { tube, plot } = asked;
    const axes = { x: tube.axes[plot.x], y: tube.axes[plot.y] };
    const full = wholeWindow(axes);
    const scene = { axes, window: asked.window ?? full, combined: plot.combined, notes: [] };
    scene.whole = same(scene.window.x, full.x) && same(scene.window.y, full.y);
    scene.outlines = outlinesOf(asked);
    scene.limits = limitsOf(tube, plot);
    scene.dashed = asked.declared ? declaredOf(tube, plot) : (asked.version?.dashed ?? []);
    scene.notes.push(...(asked.version?.notes ?? []));
    Object.assign(scene, await eventsOf(tube, plot));
    Object.assign(scene, await litOf(asked, scene.notes));
    Object.assign(scene, await otherOf(asked, axes, scene.notes));
    return scene;
  }

  const same = (one, other) => one[0] === other[0] && one[1] === other[1];

  /** Give the whole of both axes. */
  function wholeWindow({ x, y }) {
    return { x: [x.low, x.high], y: [y.low, y.high] };
  }

  function outlinesOf({ tube, plot, chosen = -1 }) {
    return plot.gates.map((number) => {
      const gate = tube.gates[number];
      const alone = plot.gates.length === 1;
      const share = numberWords.percent(gate.events, gate.parent_events);
      return {
        lines: gate.outlines,
        strong: alone || number === chosen,
        label: alone ? null : { name: shortName(gate), share },
      };
    });
  }

  /** Give a gate's name without what its label says in brackets at the end. */
  const shortName = (gate) => (gate.label || gate.name).replace(/\s*\([^()]*\)$/, "");

  function declaredOf(tube, plot) {
    return plot.gates.map((number) => tube.gates[number].declared).filter((lines) => lines.length);
  }

  /** List where the limits of the thresholds of a plot lie on its axes. */
  function limitsOf(tube, plot) {
    const numbers = new Set(plot.gates.flatMap((gate) => tube.gates[gate].thresholds));
    return [...numbers].flatMap((number) => {
      const { axis, low, high } = tube.thresholds[number];
      const side = { [plot.y]: "y", [plot.x]: "x" }[axis];
      if (!side) return [];
      return [low, high]
        .filter((pair) => pair && pair[1] !== null)
        .map((pair) => ({ side, place: pair[1] }));
    });
  }

  /** Give the parent's events: each as a dot where they are few and all sampled, else a density. */
  async function eventsOf(tube, plot) {
    if (!plot.events) return { density: null, dots: [], words: "no events in parent" };
    if (plot.events <= FEW && tube.share(plot.parent, plot.events) >= 1) {
      return { density: null, dots: await dotsOf(tube, plot, await tube.held(plot.parent)) };
    }
    return { density: await tube.density(plot.density), dots: [] };
  }

  async function dotsOf(tube, plot, events) {
    const { columns } = await tube.sample();
    const [x, y] = [plot.x, plot.y];
    return events.map((event) => [
      tubeData.position(tube.axes[x], columns[x][event]),
      tubeData.position(tube.axes[y], columns[y][event]),
    ]);
  }

  /** Give the events that are lit: those of the lit population, or of a combination. */
  async function litOf(asked, notes) {
    const { tube, plot, light = -1, cells } = asked;
    if (cells) return mapOnGates.dots(asked, notes);
    const gate = light >= 0 ? light : plot.combined ? plot.gates[0] : -1;
    if (gate < 0) return { litDots: [], paleDots: [], grey: false };
    const within = new Set(await tube.held(plot.parent));
    const events = await tube.held(gate);
    const inside = events.filter((event) => within.has(event));
    const outside = events.filter((event) => !within.has(event));
    if (light < 0) notes.push(sampledWords(inside.length, tube.gates[gate].events));
    return {
      litDots: await dotsOf(tube, plot, inside),
      paleDots: await dotsOf(tube, plot, outside),
      combined: light < 0 && plot.combined,
      grey: true,
    };
  }

  function sampledWords(shown, events) {
    if (!events) return "";
    if (shown >= events) return "Red: each of its events.";
    return `Red: ${numberWords.count(shown)} of its events, an even sample.`;
  }

  /** Give what another tube lays over the plot: contours or dots, and its outlines. */
  async function otherOf({ tube, plot, other, named, declared }, axes, notes) {
    const none = { contours: [], otherDots: [] };
    if (!other) return none;
    notes.push(named);
    const theirs = counterpart(tube, plot, other);
    if (!theirs) {
      notes.push("The tube laid over has no such gate.");
      return none;
    }
    const theirAxes = [other.axes[theirs.x], other.axes[theirs.y]];
    if (!axisReading.alike(axes.x, theirAxes[0]) || !axisReading.alike(axes.y, theirAxes[1])) {
      notes.push("The tube laid over is drawn on other axes.");
      return none;
    }
    if (!theirs.events) notes.push("The tube laid over has no events in the parent.");
    const outlines = theirs.gates.map((number) => other.gates[number].outlines);
    return {
      grey: true,
      ...(await theirEvents(other, theirs)),
      ...(declared ? {} : { dashed: outlines }),
    };
  }

  function counterpart(tube, plot, other) {
    const names = plot.gates.map((number) => tube.gates[number].name);
    const number = names.map((name) => other.find(name)).find((found) => found >= 0) ?? -1;
    if (number < 0) return null;
    const theirs = tubeData.plots(other).find(({ gates }) => gates.includes(number));
    return {
      ...theirs,
      gates: names.map((name) => other.find(name)).filter((found) => found >= 0),
    };
  }

  async function theirEvents(other, plot) {
    if (!plot.events) return { contours: [], otherDots: [] };
    if (plot.events <= FEW_OTHERS) {
      return { contours: [], otherDots: await dotsOf(other, plot, await other.held(plot.parent)) };
    }
    return { contours: contours.of(await other.density(plot.density)), otherDots: [] };
  }

  return { of, wholeWindow };
})();
