// The page of a draft: its numbers, one gate in several tubes, what that does, keeping, release.
(() => {
  const CHANGED = "The draft changed meanwhile: load this page again.";

  class DraftPage {
    constructor(draft, who) {
      Object.assign(this, { draft, who });
      this.address = draftAddress(draft.key);
      this.edits = who.name && who.role !== "reader";
      this.moves = new draftMoves.Moves({
        address: this.address,
        tubes: () => this.row.cards.map(({ laid }) => laid.sha12),
        changed: () => this.update(),
      });
      const address = new URLSearchParams(location.hash.slice(1));
      this.gate = address.get("gate") ?? "";
      this.asked = (address.get("tubes") ?? "").split(",");
    }

    build(main) {
      this.head = element("div", { class: "draft-head" });
      this.row = new draftPlots.Row(this);
      this.numbers = new draftNumbers.Table((name) => this.chooseThreshold(name));
      this.gates = new draftNumbers.Gates(this);
      this.bar = new draftBar.Bar(this);
      this.effect = new draftEffect.Table();
      this.keep = new draftKeep.Bar(this.moves, (reason) => this.save(reason));
      this.concordance = new draftConcordance.Panel(this);
      this.release = new draftRelease.Panel(this);
      this.tubes = new draftTubes.Chooser(this.draft, (tubes) => this.lay(tubes));
      this.told = element("p", { class: "bar-told", role: "status" });
      main.append(
        this.head,
        element(
          "div",
          { class: "draft-work" },
          this.work(),
          this.effect.section,
          this.keep.section,
        ),
        this.concordance.section,
        this.release.section,
      );
      draftKeys.listen(this);
      addEventListener("beforeunload", (event) => {
        if (this.moves.any) event.preventDefault();
      });
    }

    work() {
      const { bar, legend } = this.bar;
      return element(
        "div",
        { class: "tube-gates" },
        element("div", { class: "tube-tree" }, this.numbers.section, this.gates.section),
        element(
          "section",
          { class: "tube-plots", "aria-label": "Plots" },
          bar,
          this.told,
          this.row.grid,
          legend,
        ),
      );
    }

    /** Take over what the server says of the draft. */
    take(draft) {
      this.draft = draft;
      const free = (list) => list.filter(({ fixed }) => this.edits && !fixed);
      this.movable = {
        threshold: new Set(free(draft.thresholds).map(({ name }) => name)),
        gate: new Set(free(draft.polygons).map(({ gate }) => gate)),
      };
      this.head.replaceChildren(...draftHead.parts(draft));
      this.numbers.lay(draft);
    }

    /** Tell whether a threshold or a gate's outline can be moved; kind: "threshold" or "gate". */
    may(kind, name) {
      return this.movable[kind].has(name);
    }

    /** List what makes a gate: [kind, name] of its outline and of its thresholds. */
    boundariesOf(tube, gate) {
      return [
        ["gate", gate.name],
        ...gate.thresholds.map((number) => ["threshold", tube.thresholds[number].name]),
      ];
    }

    /** Lay out tubes, gated with the draft as it is kept now. */
    async lay(sha12s) {
      if (!sha12s.length) {
        this.told.replaceChildren("The study has no tube in which this draft can be looked at.");
        return;
      }
      this.told.replaceChildren("Gating the tubes with the draft…");
      try {
        const answer = await send(`${this.address}/tubes`, { tubes: sha12s });
        this.lays(answer.tubes);
        this.told.replaceChildren(answer.stamp === this.draft.stamp ? "" : CHANGED);
      } catch (error) {
        this.told.replaceChildren(element("span", { class: "alarm" }, error.message));
      }
    }

    lays(answers) {
      const entries = new Map(this.draft.tubes.map((entry) => [entry.sha12, entry]));
      this.laid = answers.map(({ sha12, fault, value, today }) => ({
        ...entries.get(sha12),
        sha12,
        fault,
        today,
        tube: value && tubeData.open(value),
      }));
      this.row.lay(this.laid);
      const [first] = this.row.cards;
      if (first) {
        this.gates.lay(first.laid.tube);
        if (first.laid.tube.find(this.gate) < 0) this.gate = this.firstGate(first.laid.tube);
        this.choose(this.gate);
      }
      this.update();
      if (this.moves.any) this.moves.follow();
    }

    /** Give the first gate in which something can be moved. */
    firstGate(tube) {
      const moves = (gate) => this.boundariesOf(tube, gate).some((each) => this.may(...each));
      return (tube.gates.find(moves) ?? tube.gates[0])?.name ?? "";
    }

    choose(name) {
      this.gate = name;
      const tubes = this.laid.map(({ sha12 }) => sha12).join(",");
      history.replaceState(null, "", `#gate=${encodeURIComponent(name)}&tubes=${tubes}`);
      this.row.show(name);
      this.update();
    }

    /** Show the chosen gate if it has the threshold, else the first one that has. */
    chooseThreshold(name) {
      const tube = this.row.cards[0]?.laid.tube;
      if (!tube) return;
      const has = (gate) =>
        this.boundariesOf(tube, gate).some(
          ([kind, each]) => kind === "threshold" && each === name,
        );
      const now = tube.gates[tube.find(this.gate)];
      const gate = now && has(now) ? now : tube.gates.find(has);
      this.row.last = name;
      if (gate) this.choose(gate.name);
      else this.told.replaceChildren(`No gate of these tubes is made by ${name}.`);
    }

    step(by) {
      const name = this.gates.beside(this.gate, by);
      if (name) this.choose(name);
    }

    /** Show what is moved, and what it does. */
    update() {
      this.numbers.update(this.moves);
      this.gates.update(this.gate, this.moves);
      this.bar.update();
      this.row.paint();
      const shown = this.row.cards.map(({ laid }) => laid);
      if (shown.length) this.effect.update(shown, this.moves);
      this.keep.update();
      this.release.update();
      const { preview } = this.moves;
      if (preview && preview.stamp !== this.draft.stamp) this.told.replaceChildren(CHANGED);
    }

    /** Keep what is moved; the tubes are gated anew with it. */
    async save(reason) {
      const { values, vertices } = this.moves.preview;
      const asked = { values, vertices, reason, stamp: this.draft.stamp };
      const draft = await send(`${this.address}/edits`, asked);
      this.moves.clear();
      this.take(draft);
      this.update();
      await this.lay(this.laid.map(({ sha12 }) => sha12));
      await this.concordance.refresh();
    }

    /** Ask for the draft again: what a release needs may have changed. */
    async reload() {
      this.take(await ask(this.address));
      this.update();
    }

    /** Say that nothing can be changed here any more. */
    close(words) {
      this.edits = false;
      this.take(this.draft);
      this.moves.discard();
      this.told.replaceChildren(words);
    }

    /** List the tubes that the address names, else those to begin with. */
    firstTubes() {
      const named = this.draft.tubes.filter(({ sha12 }) => this.asked.includes(sha12));
      if (!named.length) return this.draft.chosen;
      return named.slice(0, this.draft.most).map(({ sha12 }) => sha12);
    }

    async begin() {
      this.take(this.draft);
      this.update();
      if (!this.edits) {
        this.told.replaceChildren("Log in as a reviewer to see the gates of this draft.");
      } else await this.lay(this.firstTubes());
      await this.concordance.refresh();
    }
  }

  /** Write the address of a draft's page below the server, or with /api before it, of its data. */
  function draftAddress(key) {
    return `/api/drafts/${key.split("/").map(encodeURIComponent).join("/")}`;
  }

  page("draft", async () => {
    if (!served) throw new Error("Drafts are opened with reconflow review.");
    const { key } = document.body.dataset;
    draftHead.name(key);
    const draft = await ask(draftAddress(key));
    const shown = new DraftPage(draft, await session());
    shown.build(document.querySelector("main"));
    await shown.begin();
  });

})();
