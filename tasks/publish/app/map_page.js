// The page of maps: small multiples by visit, their colours, cells that are lit, and what they are.
const mapPages = (() => {
  const PARTS = ["map", "by", "cells", "patient", "large"];

  /** Read an address' hash; what is not given is "". */
  function read(hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    return Object.fromEntries(PARTS.map((name) => [name, given.get(name) ?? ""]));
  }

  /** Write a hash; what is not given is left out. */
  function write(state) {
    const legible = (text) => text.replace(/%(2C|3A|3B|40)/g, decodeURIComponent);
    const parts = PARTS.filter((name) => state[name]).map(
      (name) => `${name}=${legible(encodeURIComponent(state[name]))}`,
    );
    return parts.length ? `#${parts.join("&")}` : "";
  }

  /** One map on the page. */
  class MapPage {
    constructor(map, state) {
      Object.assign(this, { map, state });
      this.acts = {
        lasso: (corners) => this.set({ cells: mapCells.lasso(corners) }),
        enlarge: (visit) => this.set({ large: visit }),
        close: () => this.state.large && this.set({ large: "" }),
        step: (by) => this.step(by),
      };
      this.large = new mapFigures.LargeMap(this.acts);
      this.grid = element("div", { class: "plot-grid map-grid" });
      this.legend = element("div", { class: "map-legend-place" });
      this.rest = element("div", {});
      this.chosen = element("section", { class: "map-told" });
      this.told = element("p", { class: "map-exploratory", role: "status", hidden: true });
      this.since = element("div", { role: "status" });
      this.counted = element("span", {});
      this.controls = new mapControls.Controls(map, (changes) => this.set(changes));
    }

    build(place) {
      place.replaceChildren(
        this.told,
        this.since,
        ...mapHead.make(this.map, this.counted),
        this.controls.bar,
        element("div", { class: "map-body" }, this.grid, this.legend),
        this.chosen,
        this.rest,
      );
      new ResizeObserver(() => requestAnimationFrame(() => this.paint())).observe(this.grid);
    }

    /** Say where the address was written for another map than the one that is shown. */
    tellAsked(asked) {
      const words = mapCells.otherMap(asked, this.map);
      this.told.textContent = words;
      this.told.hidden = !words;
    }

    /** Say what became of the tubes since the map was drawn, and mark their visits; once. */
    tellSince() {
      this.comparing ??= mapSince.of(this.map).then((since) => {
        this.map.since = since;
        this.since.replaceChildren(mapSince.make(this.map, since) ?? "");
        this.counted.replaceChildren(mapHead.comparedWords(since));
        return this.apply();
      });
      return this.comparing;
    }

    /** Make what stands below the maps, once these are seen and their tubes compared. */
    buildRest() {
      if (!this.map.since || this.restOf === this.state.patient) return;
      this.restOf = this.state.patient;
      const light = (cells) => {
        this.set({ cells });
        this.controls.bar.scrollIntoView({ block: "start" });
      };
      this.rest.replaceChildren(
        element("h2", { id: "clusters" }, "Clusters"),
        ...mapClusters.make(this.map, light, this.state.patient).flat(),
        ...mapHead.foot(this.map),
      );
    }

    set(changes) {
      this.state = { ...this.state, ...changes, map: this.map.value.map };
      history.replaceState(null, "", write(this.state) || location.pathname + location.search);
      return this.apply();
    }

    /** Show what the state says. */
    async apply() {
      const { state, map } = this;
      const colouring = await mapColouring.of(map, state.by);
      if (state !== this.state) return;
      const cells = state.cells ? mapCells.find(map, state.cells) : null;
      this.cells = cells;
      const asked = { colouring, mask: cells?.mask ?? null, corners: mapCells.corners(state.cells) };
      this.showVisits(state.patient);
      this.figures.forEach((figure) => figure.show(asked));
      this.legend.replaceChildren(this.makeLegend(colouring));
      this.controls.update(state, cells);
      this.tellChosen(cells);
      this.enlarge(asked, colouring);
      await new Promise((seen) => setTimeout(seen, 0));
      this.buildRest();
    }

    makeLegend(colouring) {
      return mapLegend.make(this.map, colouring, (cells) => this.set({ cells }), this.cells);
    }

    /** Make the multiples of all patients or of one, where they are not there yet. */
    showVisits(patient) {
      if (this.shownPatient === patient) return;
      this.shownPatient = patient;
      this.visits = this.map.visits(patient);
      this.figures = this.visits.map((visit) => new mapFigures.VisitFigure(this.map, visit, this.acts));
      const shown = this.figures.map((each) => each.figure);
      const none = element("p", {}, "No tube shows these cells.");
      this.grid.replaceChildren(...(shown.length ? shown : [none]));
    }

    tellChosen(cells) {
      const { state, map } = this;
      if (!state.cells) this.chosen.replaceChildren();
      else if (!cells)
        this.chosen.replaceChildren(
          element("p", {}, `This map has no cells called ${state.cells}.`),
        );
      else
        this.chosen.replaceChildren(
          element("h2", { id: "lit" }, "Lit cells"),
          ...mapChosen.make(map, cells, state),
        );
    }

    enlarge(asked, colouring) {
      const visit = this.visits.find((each) => each.visit === this.state.large);
      if (visit) this.large.show(this.map, visit, asked, this.makeLegend(colouring));
      else this.large.hide();
    }

    /** Enlarge the visit that stands so many places further on. */
    step(by) {
      const place = this.visits.findIndex((each) => each.visit === this.state.large);
      const next = this.visits[place + by];
      if (next) this.set({ large: next.visit });
    }

    paint() {
      this.figures?.forEach((figure) => figure.paint());
      this.large.paint();
    }

    /** Paint again in the colours of this moment: scale and swatches too. */
    repaint() {
      this.paint();
      mapColouring.of(this.map, this.state.by).then((colouring) =>
        this.legend.replaceChildren(this.makeLegend(colouring)),
      );
    }
  }

  const HOW = "A map is made by: reconflow explore --compartment";
  let shown = null;

  /** Show the map that the address asks for, else the first one. */
  async function open(place, links) {
    const state = read(location.hash);
    const known = links.map((link) => link.dataset.compartment);
    const asked = state.map.split("@")[0];
    const compartment = known.includes(asked) ? asked : known[0];
    links.forEach((link) => {
      if (link.dataset.compartment === compartment) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    if (shown?.compartment !== compartment) {
      const value = await load("map", `${document.body.dataset.key}/${compartment}`).catch((error) => {
        throw new Error(`${error.message} ${HOW} ${compartment}`);
      });
      shown?.page.large.dialog.remove();
      shown = { compartment, page: new MapPage(await mapData.open(value), state) };
      shown.page.build(place);
    }
    const { page: opened } = shown;
    opened.state = state;
    opened.tellAsked(state.map);
    await opened.apply();
    await opened.tellSince();
  }

  page("map", async () => {
    const links = [...document.querySelectorAll("[data-compartment]")];
    const place = document.getElementById("map");
    window.addEventListener("hashchange", () => open(place, links).catch(tellFault));
    window.addEventListener("beforeprint", () => shown?.page.repaint());
    window.addEventListener("afterprint", () => shown?.page.repaint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.page.repaint());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && shown?.page.state.cells && !document.querySelector("dialog[open]"))
        shown.page.set({ cells: "" });
    });
    await open(place, links);
  });

  return { read, write };
})();
