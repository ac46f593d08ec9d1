// Moving a threshold or a vertex in the enlarged plot: the counts follow, and a reason is asked for.
const gateEditor = (() => {
  const NEAR = 9;

  class Editor {
    constructor(shown) {
      this.shown = shown;
      this.dialog = shown.dialog;
      this.address = `/api/tubes/${encodeURIComponent(shown.tube.head.tube_sha256)}`;
      this.panel = element("div", { class: "edit-panel", "aria-live": "polite" });
      this.dialog.words.after(this.panel);
      this.active = false;
      this.clear();
    }

    clear() {
      this.thresholds = new Map();
      this.gates = new Map();
      this.preview = null;
      this.panel.replaceChildren();
    }

    /** Begin to correct the plot that is enlarged, or end it without saving. */
    toggle() {
      this.active = !this.active;
      this.clear();
      if (this.active) {
        this.tell();
        this.follow();
      }
      this.dialog.refresh();
    }

    end() {
      if (this.active) this.toggle();
    }

    /** List what can be moved in the plot: {kind, name, vertex, side, place or at}. */
    handles() {
      const { tube, plot } = this.dialog.asked;
      const used = new Set(plot.gates.flatMap((gate) => tube.gates[gate].thresholds));
      const lines = [...used].flatMap((number) => this.lineOf(tube.thresholds[number], plot));
      const corners = plot.gates.flatMap((number) => this.cornersOf(tube.gates[number]));
      return [...corners, ...lines];
    }

    lineOf({ name, axis, value }, plot) {
      const side = { [plot.y]: "y", [plot.x]: "x" }[axis];
      if (!side || !value || value[1] === null) return [];
      return [{ kind: "threshold", name, side, place: this.thresholds.get(name) ?? value[1] }];
    }

    cornersOf(gate) {
      if (gate.kind !== "polygon" || !gate.outlines.length) return [];
      return this.vertices(gate).map((at, vertex) => ({
        kind: "gate",
        name: gate.name,
        vertex,
        at,
      }));
    }

    vertices(gate) {
      return this.gates.get(gate.name) ?? gate.outlines[0].slice(0, -1);
    }

    pixel({ side, place, at }) {
      const [frame, shown] = [this.dialog.frame(), this.dialog.window];
      const left = plotFrame.xPixel(frame, shown.x, at ? at[0] : place);
      const top = plotFrame.yPixel(frame, shown.y, at ? at[1] : place);
      return { left: side === "y" ? null : left, top: side === "x" ? null : top };
    }

    /** Take hold of what lies under the pointer; tells whether anything does. */
    grip(event) {
      if (!this.active) return false;
      const away = (handle) => {
        const { left, top } = this.pixel(handle);
        return Math.max(
          left === null ? 0 : Math.abs(left - event.offsetX),
          top === null ? 0 : Math.abs(top - event.offsetY),
        );
      };
      const near = this.handles().filter((handle) => away(handle) <= NEAR);
      this.held =
        near.sort(
          (one, other) => Boolean(other.at) - Boolean(one.at) || away(one) - away(other),
        )[0] ?? null;
      return this.held !== null;
    }

    /** Move what is held to the pointer; tells whether anything is. */
    drag(event) {
      if (!this.active || !this.held) return false;
      const at = plotFrame.positionsAt(
        this.dialog.frame(),
        this.dialog.window,
        event.offsetX,
        event.offsetY,
      );
      if (at) this.move(this.held, at);
      return true;
    }

    drop() {
      this.held = null;
    }

    move(handle, at) {
      if (handle.kind === "threshold") this.thresholds.set(handle.name, at[handle.side]);
      else {
        const gate = this.shown.tube.gates[this.shown.tube.find(handle.name)];
        const moved = this.vertices(gate).map((vertex) => [...vertex]);
        moved[handle.vertex] = [at.x, at.y];
        this.gates.set(handle.name, moved);
      }
      this.dialog.paint();
      this.follow();
    }

    /** Move the threshold that was touched last by a step, for those without a pointer. */
    nudge(direction) {
      const handles = this.handles().filter(({ kind }) => kind === "threshold");
      const handle = handles.find(({ name }) => name === this.chosen) ?? handles[0];
      if (!handle) return;
      const { axes } = this.dialog.scene;
      const axis = axes[handle.side];
      const place = handle.place + (direction * (axis.high - axis.low)) / 200;
      this.move(handle, { [handle.side]: place });
    }

    /** Ask what the counts are now: one question at a time, always the latest. */
    async follow() {
      this.asking = true;
      if (this.waits) return;
      this.waits = true;
      try {
        while (this.asking) {
          this.asking = false;
          const asked = {
            thresholds: Object.fromEntries(this.thresholds),
            gates: Object.fromEntries(this.gates),
          };
          this.preview = await send(`${this.address}/preview`, asked);
          this.fault = "";
        }
      } catch (error) {
        this.preview = null;
        this.fault = error.message;
      } finally {
        this.waits = false;
      }
      if (!this.active) return;
      this.tell();
      this.dialog.paint();
    }

    /** Give the outlines that are drawn instead of the tube's own. */
    outlines(scene) {
      if (!this.active || !this.preview) return scene;
      const { plot, tube } = this.dialog.asked;
      const moved = scene.outlines.map((outline, place) => {
        const lines = this.preview.outlines[tube.gates[plot.gates[place]].name];
        return lines ? { ...outline, lines } : outline;
      });
      return { ...scene, outlines: moved };
    }

    /** Draw the handles over the plot. */
    paint(canvas) {
      if (!this.active) return;
      const pen = canvas.getContext("2d");
      const frame = this.dialog.frame();
      this.handles().forEach((handle) => drawHandle(pen, frame, this.pixel(handle)));
    }

    tell() {
      const parts = [element("h3", {}, "Correction of this tube")];
      if (!this.handles().length)
        parts.push(
          element(
            "p",
            {},
            "This plot has no threshold or vertex that can be moved. What it cuts is set in another gate.",
          ),
        );
      else if (!this.thresholds.size && !this.gates.size && !this.fault)
        parts.push(
          element(
            "p",
            {},
            "Drag a line or a corner (or use [ and ]). The counts follow; nothing is saved before you give a reason.",
          ),
        );
      if (this.fault) parts.push(element("p", { class: "alarm", role: "alert" }, this.fault));
      if (this.preview?.moved.length) parts.push(...this.effect(), this.form());
      this.panel.replaceChildren(...parts);
    }

    effect() {
      const { moved, changes, curve } = this.preview;
      const rows = changes.map(({ label, before, after, printed_before: was, printed: is }) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, label),
          ...[before, after].map((n) => element("td", { class: "n" }, numberWords.count(n))),
          element("td", { class: "n" }, was ?? ""),
          element("td", { class: "n" }, is ?? ""),
        ),
      );
      const head = ["population", "events", "now", "result", "now"].map((title, place) =>
        element("th", { scope: "col", class: place > 0 && "n" }, title),
      );
      return [
        ...moved.map(({ words, beyond }) =>
          element("p", { class: beyond ? "alarm" : "" }, words, beyond ? ` ${beyond}` : ""),
        ),
        rows.length
          ? element(
              "div",
              { class: "scroll" },
              element(
                "table",
                {},
                element("thead", {}, element("tr", {}, head)),
                element("tbody", {}, rows),
              ),
            )
          : element("p", {}, "No reported population changes."),
        curve ? miniCurve.draw(curve) : null,
      ].filter(Boolean);
    }

    form() {
      if (this.reason) return this.kept;
      this.reason = element("textarea", {
        rows: 2,
        maxlength: 2000,
        required: true,
        name: "reason",
      });
      this.second = element("input", { name: "second", maxlength: 100, autocomplete: "off" });
      this.token = element("input", {
        name: "token",
        type: "password",
        maxlength: 200,
        autocomplete: "off",
      });
      this.wrong = element("p", { class: "alarm", role: "alert", hidden: true });
      const save = (event) => {
        event.preventDefault();
        this.save();
      };
      this.kept = element(
        "form",
        { onsubmit: save, class: "edit-form" },
        element("label", {}, "Why (kept with your name)", this.reason),
        element(
          "details",
          {},
          element("summary", {}, "Second person (needed beyond the limits)"),
          element("label", {}, "Name", this.second),
          element("label", {}, "Token", this.token),
        ),
        this.wrong,
        element(
          "p",
          {},
          element("button", { type: "submit" }, "Save the correction"),
          " ",
          element("button", { type: "button", onclick: () => this.end() }, "Discard"),
        ),
      );
      return this.kept;
    }

    async save() {
      const asked = {
        thresholds: Object.fromEntries(this.thresholds),
        gates: Object.fromEntries(this.gates),
        reason: this.reason.value,
        second: this.second.value,
        second_token: this.token.value,
        stamp: this.shown.review.standing.stamp,
      };
      this.wrong.hidden = true;
      this.panel.setAttribute("aria-busy", "true");
      try {
        await send(`${this.address}/corrections`, asked);
        location.reload();
      } catch (error) {
        this.wrong.textContent = error.message;
        this.wrong.hidden = false;
      } finally {
        this.panel.removeAttribute("aria-busy");
      }
    }
  }

  /** Draw what can be moved: a grip on a line where left or top is null, else a corner. */
  function drawHandle(pen, frame, { left, top }) {
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

  return { Editor };
})();
