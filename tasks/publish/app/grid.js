// The grid of patients and visits: one mark a tube, told apart by shape as well as by colour.
const MARK_MEANINGS = { stop: "do not use yet", look: "look at it", know: "in order", "": "in order" };

const REVIEW_WORDS = { accepted: "accepted", queried: "queried", repeat: "to be repeated", excluded: "excluded" };
const ASKED_SIGNS = { queried: "?", repeat: "↻" };

/** Draw the grid in place of the plain list of patients. */
function drawGrid(place, study) {
  if (!study.patients.length) return;
  const head = element(
    "tr",
    {},
    element("th", { scope: "col", class: "visit" }, "patient"),
    study.visits.map((each) => element("th", { scope: "col" }, visibleName(each.visit))),
  );
  const common = visitsInCommon(study.patients);
  const rows = study.patients.map((patient) => gridRow(patient, study, common));
  const table = element("table", { class: "grid" }, element("thead", {}, head), element("tbody", {}, rows));
  const label = "Patients and visits: the arrow keys move along the tubes";
  const frame = element("div", { class: "grid-frame", role: "region", "aria-label": label }, table);
  table.querySelector("a.mark")?.setAttribute("tabindex", "0");
  frame.addEventListener("keydown", moveAlongGrid);
  place.replaceChildren(gridKey(study), frame);
}

function gridKey(study) {
  const item = (mark, words) => element("span", { class: "key-item" }, mark, words);
  const order = study.panels.length > 1 ? `In each visit, in this order: ${study.panels.join(", ")}. ` : "";
  return element(
    "p",
    { class: "key" },
    item(keyMark(""), "in order"),
    item(keyMark("look"), "look at it"),
    item(keyMark("stop"), "do not use yet"),
    item(askedSign("queried"), "queried"),
    item(askedSign("repeat"), "to be repeated"),
    item(element("span", { class: "mark excluded", "aria-hidden": "true" }), "excluded, in no result"),
    item(element("span", { class: "mark missed", "aria-hidden": "true" }), "missed or not counted"),
    item(keyMark("", "filled"), "filled: accepted or signed"),
    element("span", { class: "faded" }, `${order}M: marrow.`),
  );
}

/** Make a mark as the grid has it, to be explained. */
function keyMark(severity, fill) {
  return element("span", { class: gridMark(severity, fill), "aria-hidden": "true" });
}

/** Give the classes of a mark of the grid: hollow until a person accepted its tube. */
function gridMark(severity, fill = "hollow") {
  return `mark ${severityClass(severity === "know" ? "" : severity)} ${fill}`;
}

/** Give the visits of two or more patients; another is one patient's own, and missed by nobody. */
function visitsInCommon(patients) {
  const once = new Set();
  const common = new Set();
  for (const patient of patients) {
    for (const visit of new Set(patient.cells.map((cell) => cell[0]))) {
      (once.has(visit) ? common : once).add(visit);
    }
  }
  return common;
}

function gridRow(patient, study, common) {
  const visits = new Map();
  for (const cell of patient.cells) {
    if (!visits.has(cell[0])) visits.set(cell[0], []);
    visits.get(cell[0]).push(cell);
  }
  const last = Math.max(-1, ...visits.keys());
  const name = element("a", { href: root() + patient.report }, visibleName(patient.patient));
  const cells = study.visits.map((_, index) => {
    if (index > last) return element("td", { class: "ahead" });
    if (!visits.has(index) && !common.has(index)) return element("td", {});
    return element("td", {}, visitMarks(patient, index, visits.get(index) || [], study));
  });
  return element("tr", {}, element("th", { scope: "row", class: "visit" }, name), cells);
}

function visitMarks(patient, index, cells, study) {
  const where = `${patient.patient} ${study.visits[index].visit}`;
  if (!cells.length) return [missedMark(`${where}: missed`)];
  const named = tubeNames(cells, study);
  const blood = study.panels.flatMap((panel, place) => {
    const marks = cells.filter((cell) => cell[1] === place);
    return marks.length
      ? marks.flatMap((cell) => tubeMark(cell, `${where} ${panel}${named(cell)}`, patient.signed))
      : [missedMark(`${where} ${panel}: not counted`)];
  });
  const others = cells.filter((cell) => typeof cell[1] === "string");
  if (others.length === cells.length) blood.length = 0;
  return [...blood, ...others.flatMap((cell) => otherMark(cell, where, named(cell), patient.signed))];
}

/** Tell tubes of one panel (or specimen) at one visit apart by their files. */
function tubeNames(cells, study) {
  return (cell) => {
    if (cells.filter((each) => each[1] === cell[1]).length < 2) return "";
    const tube = study.tubes.find(([sha12]) => sha12 === cell[2]);
    return tube ? ` ${visibleName(tube[1])}` : "";
  };
}

function otherMark(cell, where, name, signed) {
  const letter = element("span", { class: "specimen", "aria-hidden": "true" }, cell[1][0].toUpperCase());
  return [letter, ...tubeMark(cell, `${where} ${cell[1]}${name}`, signed)];
}

function tubeMark([, , sha12, severity, review], where, signed) {
  const words = `${where}: ${markWords(severity, review)}`;
  const mark = element("a", {
    class: tubeClass(severity, review, signed),
    href: tubeAddress(sha12, ""),
    title: words,
    "aria-label": words,
    tabindex: "-1",
  });
  return review in ASKED_SIGNS ? [mark, askedSign(review)] : [mark];
}

/** Make the sign that a person asked something of the tube before it. */
function askedSign(review) {
  return element("b", { class: "asked", "aria-hidden": "true" }, ASKED_SIGNS[review]);
}

/** An excluded tube has a shape of its own: its flags, and a signature, say nothing of it. */
function tubeClass(severity, review, signed) {
  if (review === "excluded") return "mark excluded";
  return gridMark(severity, signed || review === "accepted" ? "filled" : "hollow");
}

function markWords(severity, review) {
  if (review === "excluded") return "excluded, in no result";
  const asked = review in ASKED_SIGNS && MARK_MEANINGS[severity] === "in order";
  return [asked ? "" : MARK_MEANINGS[severity], REVIEW_WORDS[review]].filter(Boolean).join(", ");
}

function missedMark(words) {
  return element("span", { class: "mark missed", title: words, role: "img", "aria-label": words });
}

/** One stop of the Tab key for the whole grid; the arrow keys go on from there. */
function moveAlongGrid(event) {
  const next = besideInGrid(event.target, event.key);
  if (!next) return;
  event.preventDefault();
  event.target.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function besideInGrid(mark, key) {
  if (!mark.matches("a.mark")) return null;
  const row = mark.closest("tr");
  const marks = [...row.querySelectorAll("a.mark")];
  if (key === "ArrowRight") return marks[marks.indexOf(mark) + 1];
  if (key === "ArrowLeft") return marks[marks.indexOf(mark) - 1];
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[key];
  return step && row[step] ? nearestMark(row[step], mark.closest("td").cellIndex) : null;
}

function nearestMark(row, column) {
  const away = (mark) => Math.abs(mark.closest("td").cellIndex - column);
  return [...row.querySelectorAll("a.mark")].sort((one, other) => away(one) - away(other))[0];
}
