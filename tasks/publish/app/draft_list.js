// The list of the drafts of a study, and the ways to it from other pages.
const draftList = (() => {
  const HOW = [
    ["a calibration", "reconflow calibrate draft --panel PANEL --instrument NAME"],
    ["a strategy", "a new version in strategies/NAME/VERSION/strategy.yaml of the study"],
  ];

  /** Write the address of a draft's page. */
  const address = (key) => `/drafts/${key.split("/").map(encodeURIComponent).join("/")}`;

  function empty() {
    return [
      element("p", {}, "No draft lies in this study. A draft is made by:"),
      element(
        "dl",
        {},
        HOW.flatMap(([what, command]) => [
          element("dt", {}, what),
          element("dd", {}, element("code", {}, command)),
        ]),
      ),
    ];
  }

  const faded = (words) => element("p", { class: "faded" }, visibleName(words));

  function entry({ key, kind, pin, title, instrument, strategy, told, fault, ...more }) {
    const { edited_by: editors, refused } = more;
    const name = element("b", {}, visibleName(pin));
    return element(
      "li",
      { class: "entry draft-entry" },
      element(
        "p",
        {},
        fault ? name : element("a", { class: "tube", href: address(key) }, visibleName(pin)),
        ` ${kind}`,
        instrument ? ` · ${visibleName(instrument)}` : "",
        kind === "calibration" && strategy ? ` · numbers of ${visibleName(strategy)}` : "",
      ),
      title ? element("p", {}, visibleName(title)) : null,
      fault ? element("p", { class: "alarm" }, `It cannot be opened: ${visibleName(fault)}`) : null,
      told ? faded(told) : null,
      editors?.length ? faded(`Edited by ${editors.join(", ")}.`) : null,
      refused
        ? element("p", { class: "draft-note" }, `It cannot be released: ${visibleName(refused)}`)
        : null,
    );
  }

  page("drafts", async () => {
    if (!served) throw new Error("Drafts are opened with reconflow review.");
    const { drafts } = await ask("/api/drafts");
    const main = document.querySelector("main");
    if (!drafts.length) main.append(...empty());
    else main.append(element("ol", { class: "entries" }, drafts.map(entry)));
  });

  /** Say on the front page that drafts wait, where there are any. */
  async function tellOnFrontPage() {
    const { drafts } = await ask("/api/drafts");
    const place = document.getElementById("night");
    if (!drafts.length || !place) return;
    const words = drafts.length === 1 ? "1 draft is" : `${drafts.length} drafts are`;
    place.after(
      element(
        "p",
        { class: "draft-waiting" },
        `${words} not released: `,
        element("a", { href: "/drafts" }, drafts.map(({ pin }) => visibleName(pin)).join(", ")),
        ".",
      ),
    );
  }

  /** Make the sentence of a tube's page that leads to the drafts of its panel. */
  function linksFor(panel) {
    const sentence = element("p", { class: "faded" });
    ask("/api/drafts")
      .then(({ drafts }) => drafts.filter((draft) => !draft.fault && draft.panel === panel))
      .then((found) => sentence.replaceChildren(...elsewhereWords(found)))
      .catch(() => sentence.remove());
    return sentence;
  }

  function elsewhereWords(drafts) {
    const asked = "Is this boundary wrong in every tube of this instrument? Then ";
    if (!drafts.length) return [asked, "make a ", element("a", { href: "/drafts" }, "draft"), "."];
    const links = drafts.map(({ key, pin }) =>
      element("a", { href: address(key) }, visibleName(pin)),
    );
    const joined = links.flatMap((link, place) => (place ? [" or ", link] : [link]));
    return [asked, "edit the draft ", ...joined, "."];
  }

  return { linksFor, tellOnFrontPage };
})();
if (served) {
  document.addEventListener("DOMContentLoaded", () => {
    if (document.body.dataset.page === "front") draftList.tellOnFrontPage().catch(() => {});
  });
}
