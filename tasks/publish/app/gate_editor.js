// Moving a threshold or a vertex in the enlarged plot: the counts follow, and a reason is asked for.
const gateEditor = (() => {
  class Editor {
    constructor(shown) {
      this.shown = shown;
      this.dialog = shown.dialog;
      this.address = `/api/tubes/${encodeURIComponent(shown.tube.head.tube_sha256)}`;
      this.panel = element("div", { class: "edit-panel", "aria-live": "polite" });
      this.dialog.words.after(this.panel);
      this.active = false;
      this.follow = oneAtATime(() => this.ask());
      this.clear();
    }

    clear() {
      this.thresholds = new Map();
      this.gates = new Map();
      this.preview = null;
      this.reason = this.kept = null;
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

    /** List what can be moved in the plot. */
    handles() {
      const { tube, plot } = this.dialog.asked;
      return gateHandles.of(tube, plot, this);
    }

    /** Take hold of what lies under the pointer; tells whether anything does. */
    grip(event) {
      if (!this.active) return false;
      const [frame, shown] = [this.dialog.frame(), this.dialog.window];
      this.held = gateHandles.near(this.handles(), frame, shown, event.offsetX, event.offsetY);
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
      if (handle.kind === "threshold") this.chosen = handle.name;
      gateHandles.move(this.shown.tube, this, handle, at);
      this.dialog.paint();
      this.follow();
    }

    /** Move the threshold that was touched last by a step, for those without a pointer. */
    nudge(direction) {
      const handles = this.handles().filter(({ kind }) => kind === "threshold");
      const handle = handles.find(({ name }) => name === this.chosen) ?? handles[0];
      if (handle) this.move(handle, gateHandles.step(this.dialog.scene.axes, handle, direction));
    }

    /** Ask what the counts are now. */
    async ask() {
      try {
        this.preview = await send(`${this.address}/preview`, this.boundaries());
        this.fault = "";
      } catch (error) {
        this.preview = null;
        this.fault = error.message;
      }
      if (!this.active) return;
      this.tell();
      this.dialog.paint();
    }

    boundaries() {
      return {
        thresholds: Object.fromEntries(this.thresholds),
        gates: Object.fromEntries(this.gates),
      };
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
      gateHandles.draw(canvas, this.dialog.frame(), this.dialog.window, this.handles());
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
      if (this.preview?.moved.length) parts.push(...this.effect());
      if (this.preview?.moved.length || this.reason?.value) parts.push(this.form());
      parts.push(this.elsewhere());
      // An answer that comes while the reason is typed must not turn its letters into shortcuts.
      const typed = this.kept?.contains(document.activeElement) && document.activeElement;
      this.panel.replaceChildren(...parts);
      if (typed && typed.isConnected) typed.focus({ preventScroll: true });
    }

    /** Say where a boundary is corrected that is wrong in all tubes: in a draft. */
    elsewhere() {
      this.drafts ??= draftList.linksFor(this.shown.tube.head.panel);
      return this.drafts;
    }

    effect() {
      const { moved, changes, curve, waits } = this.preview;
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
        waits ? element("p", { class: "alarm" }, waits) : null,
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
        ...this.boundaries(),
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

  return { Editor };
})();
