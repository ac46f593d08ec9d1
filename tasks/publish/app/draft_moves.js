// What is moved on the page of a draft and not kept yet, and what the tubes would count with it.
const draftMoves = (() => {
  class Moves {
    /**
     * address: the draft's, below /api; tubes(): the tubes laid out, by sha12; changed(): called
     * when something moved or an answer came.
     */
    constructor({ address, tubes, changed }) {
      Object.assign(this, { address, tubes, changed });
      this.follow = oneAtATime(() => this.ask());
      this.moves = 0;
      this.held = false;
      this.clear();
    }

    /** Forget what was moved. Places are display positions in the tube `at`, values the file's. */
    clear() {
      this.places = { thresholds: new Map(), gates: new Map() };
      this.typed = { thresholds: new Map(), gates: new Map() };
      this.at = "";
      this.preview = null;
      this.answers = new Map();
      this.fault = "";
      this.answered = this.moves;
    }

    get any() {
      const { places, typed } = this;
      return [places, typed].some(({ thresholds, gates }) => thresholds.size + gates.size > 0);
    }

    /** Tell whether the last answer is of what is moved now, and as a night would count it. */
    get current() {
      return this.answered === this.moves && this.preview?.exact !== false;
    }

    /** Tell whether a threshold or a gate's outline is moved; kind: "threshold" or "gate". */
    has(kind, name) {
      return [this.places, this.typed].some((moved) => moved[`${kind}s`].has(name));
    }

    /** Give what a tube counts with what is moved, or undefined. */
    answer(sha12) {
      return this.answers.get(sha12);
    }

    /** Give where what is moved lies in a tube: {thresholds, gates}, as gateHandles takes it. */
    placesIn({ sha12 }) {
      const answer = this.answers.get(sha12);
      const thresholds = new Map();
      const gates = new Map();
      for (const name of this.typed.thresholds.keys())
        if (answer?.thresholds[name]) thresholds.set(name, answer.thresholds[name].value[1]);
      for (const name of this.typed.gates.keys())
        if (answer?.outlines[name]?.length) gates.set(name, answer.outlines[name][0].slice(0, -1));
      this.places.thresholds.forEach((place, name) => thresholds.set(name, place));
      this.places.gates.forEach((corners, name) => gates.set(name, corners));
      return { thresholds, gates };
    }

    /** Move a handle in a tube to display positions {x, y}: the counts of all tubes follow. */
    move(laid, handle, at) {
      if (this.at !== laid.sha12) this.settle(laid.sha12);
      const here = this.placesIn(laid);
      gateHandles.move(laid.tube, here, handle, at);
      const kind = `${handle.kind}s`;
      this.places[kind].set(handle.name, here[kind].get(handle.name));
      this.typed[kind].delete(handle.name);
      this.moved();
    }

    /** Set a threshold to a number of the file. */
    type(name, value) {
      this.places.thresholds.delete(name);
      this.typed.thresholds.set(name, value);
      this.moved();
    }

    /** Note that the hand holds a line or a corner: answers may be nearly right meanwhile. */
    hold() {
      this.held = true;
    }

    /** Note that the hand let go: what was answered meanwhile is asked again if it is not exact. */
    letGo() {
      this.held = false;
      if (this.any && !this.current) this.moved();
    }

    moved() {
      this.moves += 1;
      this.changed();
      this.follow();
    }

    /** Read positions in another tube from now on: what was moved before is kept as file values. */
    settle(at) {
      for (const [kind, values] of [
        ["thresholds", this.preview?.values],
        ["gates", this.preview?.vertices],
      ])
        for (const name of [...this.places[kind].keys()]) {
          if (!values || !(name in values)) continue;
          this.typed[kind].set(name, values[name]);
          this.places[kind].delete(name);
        }
      this.at = at;
    }

    discard() {
      this.clear();
      this.changed();
    }

    asked() {
      const given = Object.fromEntries;
      return {
        tubes: this.tubes(),
        at: this.at || this.tubes()[0],
        thresholds: given(this.places.thresholds),
        gates: given(this.places.gates),
        values: given(this.typed.thresholds),
        vertices: given(this.typed.gates),
        still: this.held,
      };
    }

    async ask() {
      if (!this.any) return;
      const { moves } = this;
      try {
        const preview = await send(`${this.address}/preview`, this.asked());
        if (!this.any) return;
        this.preview = preview;
        this.answers = new Map(preview.tubes.map((each) => [each.sha12, each]));
        this.fault = "";
      } catch (error) {
        this.preview = null;
        this.answers = new Map();
        this.fault = error.message;
      }
      this.answered = moves;
      this.changed();
    }
  }

  return { Moves };
})();
