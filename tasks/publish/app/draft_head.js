// What stands at the top of a draft's page: what it is, what to know, who changed it.
const draftHead = (() => {
  /** Head the page with the draft's name, given its key: also of one that cannot be read. */
  function name(key) {
    const [, ...place] = key.split("/");
    const version = place.pop();
    const pin = `${place.join("/")}@${version}`;
    document.querySelector("h1").replaceChildren("Draft ", visibleName(pin));
  }

  function parts(draft) {
    return [
      draft.title ? element("p", { class: "draft-title" }, visibleName(draft.title)) : null,
      facts(draft),
      ...draft.notes.map((note) => element("p", { class: "draft-note" }, visibleName(note))),
      draft.refused
        ? element("p", { class: "alarm" }, `As it is kept, it cannot be released: ${draft.refused}`)
        : null,
      draft.edits.length ? edits(draft.edits) : null,
    ].filter(Boolean);
  }

  function facts({ kind, panel, instrument, strategy, told, evidence, today }) {
    const known = [
      ["what it is", `${kind}, not released`],
      ["panel", panel],
      ["instrument", instrument],
      ["strategy", strategy],
      ["measured", told],
      ["evidence", evidence && `${evidence} in the study's folder`],
      ["what counts today", today],
    ];
    return element(
      "ul",
      { class: "facts tube-facts" },
      known
        .filter(([, words]) => words)
        .map(([title, words]) => element("li", {}, element("b", {}, title), visibleName(words))),
    );
  }

  function edits(list) {
    const line = ({ at, by, reason, words }) =>
      element(
        "li",
        {},
        `${at.slice(0, 16).replace("T", " ")} UTC, `,
        element("b", {}, visibleName(by)),
        `: ${visibleName(words.join(" "))} `,
        element("q", {}, element("bdi", {}, visibleName(reason))),
      );
    const times = list.length === 1 ? "1 edit by hand" : `${list.length} edits by hand`;
    return element(
      "details",
      { class: "draft-edits", open: list.length < 4 },
      element("summary", {}, times),
      element("ul", {}, list.map(line)),
    );
  }

  return { name, parts };
})();
