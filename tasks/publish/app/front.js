// The front page: what asks for a hand, which tubes to look at, what arrived and is in order.
const ENTRIES_SHOWN = 20;
const QUIET_SHOWN = 8;
const NAMED_POPULATIONS = 4;
const ASKED_OF_READER = { stop: "do not use yet", look: "look at it", know: "", "": "" };
const STALE_HOURS = 36;

page("front", async () => {
  const study = await load("study", "");
  tellAge(study.night);
  drawHand(study);
  drawLook(study.look);
  drawQuiet(study.quiet);
  drawGrid(document.getElementById("grid"), study);
  startSearch(study);
});

/** Make what steers the direction of reading or a terminal visible in a name. */
function visibleName(text) {
  const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g;
  return text.replace(unseen, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Give the address of a tube's gating page, at a gate where one is named. */
function tubeAddress(sha12, gate) {
  return `${root()}tubes/${sha12}/gating.html${gate ? `#gate=${encodeURIComponent(gate)}` : ""}`;
}

/** Give a file's name as it is shown: on its own, whatever direction it is read in. */
function fileName(name) {
  return element("bdi", { class: "file" }, visibleName(name));
}

/** Name a tube by patient, visit and panel, as a link to its page. */
function tubeLink(tube, gate) {
  const named = `${tube.patient} · ${tube.visit} · ${panelName(tube)}`;
  return element("a", { class: "tube", href: tubeAddress(tube.sha12, gate) }, visibleName(named));
}

/** Name a tube's panel, and its specimen where it is not blood. */
function panelName({ panel, specimen }) {
  return visibleName(specimen && specimen !== "blood" ? `${panel} (${specimen})` : panel);
}

/** Draw a list whose end is folded away until somebody asks for it. */
function foldedList(items, draw, shown = ENTRIES_SHOWN) {
  const list = element("ol", { class: "entries" }, items.slice(0, shown).map(draw));
  if (items.length <= shown) return [list];
  const unfold = () => {
    const folded = items.slice(shown).map(draw);
    list.append(...folded);
    more.remove();
    focusEntry(folded[0]);
  };
  const more = element(
    "button",
    { type: "button", class: "more", onclick: unfold },
    `show all ${items.length.toLocaleString("en")}`,
  );
  return [list, more];
}

/** A page that nobody wrote for long looks as quiet as a quiet night: say how old it is. */
function tellAge(night) {
  const hours = night.ended ? (Date.now() - Date.parse(night.ended)) / 3_600_000 : 0;
  if (hours < STALE_HOURS) return;
  const days = Math.round(hours / 24);
  document.getElementById("night").append(element("strong", {}, ` That was ${days} days ago.`));
}

function drawHand(study) {
  for (const [id, files] of [["hand", study.hand], ["aside", study.aside]]) {
    if (files.length) document.getElementById(id).replaceChildren(...foldedList(files, handEntry));
  }
}

function handEntry(line) {
  return element(
    "li",
    { class: `entry ${line.state}`, tabindex: "-1" },
    element("b", { class: "state" }, line.state),
    " ",
    fileName(line.file),
    " ",
    element("span", {}, line.reason),
  );
}

function drawLook(tubes) {
  const place = document.getElementById("look");
  place.append(element("h2", {}, "Look at these"));
  if (!tubes.length) {
    place.append(element("p", { class: "faded" }, "No tube is to be looked at."));
    return;
  }
  place.append(...foldedList(tubes, lookEntry));
}

function lookEntry(tube) {
  const entry = element(
    "li",
    { class: `entry tube-entry ${tube.severity}` },
    element(
      "div",
      { class: "told" },
      element(
        "p",
        { class: "entry-title" },
        severityMark(tube.severity),
        tubeLink(tube, tube.gate),
        element("b", { class: "severity" }, ASKED_OF_READER[tube.severity]),
        fileName(tube.file),
      ),
      tube.change ? element("p", { class: "change" }, visibleName(tube.change)) : null,
      element("ul", { class: "reasons" }, tube.reasons.map((reason) => lookReason(reason, tube.sha12))),
    ),
  );
  thumbnailWhenSeen(entry, tube);
  return entry;
}

function lookReason(reason, sha12) {
  const named = reason.populations.slice(0, NAMED_POPULATIONS).join(", ");
  const unnamed = reason.populations.length - NAMED_POPULATIONS;
  const concerned = named ? named + (unnamed > 0 ? ` and ${unnamed} more` : "") : "Whole tube";
  return element(
    "li",
    { title: reason.populations.join(", ") || null },
    element("b", {}, visibleName(concerned)),
    ": ",
    linkedSentence(reason.sentence, `tubes/${encodeURIComponent(sha12)}/`),
  );
}

/** Draw a tube's gate beside its entry once the entry is looked at, where the tube has its data. */
function thumbnailWhenSeen(entry, tube) {
  if (typeof drawThumbnail !== "function" || !tube.gate) return;
  new IntersectionObserver(async (seen, observer) => {
    if (!seen.some((each) => each.isIntersecting)) return;
    observer.disconnect();
    const data = await load("tube", tube.sha12).catch(() => null);
    if (!data) return;
    const label = `Gate ${tube.gate} of ${tube.patient}, ${tube.visit}`;
    const canvas = element("canvas", { class: "thumbnail", role: "img", "aria-label": label });
    const address = tubeAddress(tube.sha12, tube.gate);
    const link = element("a", { href: address, tabindex: "-1" }, canvas);
    entry.append(link);
    if (!(await drawThumbnail(canvas, data, tube.gate))) link.remove();
  }).observe(entry);
}

function drawQuiet(tubes) {
  const place = document.getElementById("quiet");
  place.append(element("h2", {}, "Arrived, nothing unusual"));
  if (!tubes.length) {
    place.append(element("p", { class: "faded" }, "No other tube was counted lately."));
    return;
  }
  place.append(...foldedList(byVisit(tubes), quietEntry, QUIET_SHOWN));
}

/** Put the tubes of one visit together, in the order in which they come. */
function byVisit(tubes) {
  const visits = new Map();
  for (const tube of tubes) {
    const name = JSON.stringify([tube.patient, tube.visit]);
    if (!visits.has(name)) visits.set(name, []);
    visits.get(name).push(tube);
  }
  return [...visits.values()];
}

function quietEntry(tubes) {
  const [{ patient, visit, collected }] = tubes;
  return element(
    "li",
    { class: "entry quiet-entry" },
    element("b", {}, visibleName(`${patient} · ${visit}`)),
    tubes.map((tube) => quietLink(tube, tubes)),
    element("span", { class: "faded" }, `drawn ${collected.slice(0, 16).replace("T", " ")}`),
  );
}

/** Link a tube by its panel, and by its file too where another tube of the visit has the panel. */
function quietLink(tube, tubes) {
  const named = panelName(tube);
  const alike = tubes.filter((each) => panelName(each) === named).length > 1;
  const name = alike ? [named, " ", fileName(tube.file)] : [named];
  return element("a", { href: tubeAddress(tube.sha12, ""), title: visibleName(tube.file) }, ...name);
}
