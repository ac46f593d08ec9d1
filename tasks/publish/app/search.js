// Search and keys of the front page.
const SHORTEST_HASH = 4;
const TYPING_PAUSE = 120;
const FRONT_KEYS = [
  ["/", "search"],
  ["j, k", "next, previous entry"],
  ["Enter", "open the entry"],
  ["arrow keys", "move along the grid"],
  ["Esc", "leave the search"],
  ["?", "these keys"],
];

/** Put the search field into the head of the page and listen to the keys. */
function startSearch(study) {
  let entries = null;
  const index = () => (entries ??= searchIndex(study));
  const field = element("input", {
    type: "search",
    id: "find",
    placeholder: "Patient, visit, file, hash, flag or review",
    "aria-label": "Search by patient, visit, file, hash, flag or review",
    "aria-keyshortcuts": "/",
    autocomplete: "off",
    spellcheck: "false",
  });
  const show = () => showFound(field.value, index);
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      keepInAddress(field.value);
      show();
    }, TYPING_PAUSE);
  });
  field.addEventListener("keydown", (event) => keyInSearch(event, field));
  const help = frontHelp();
  const ask = { type: "button", class: "help", "aria-label": "Keys", onclick: () => help.showModal() };
  document.getElementById("search").append(field, element("button", ask, "?"), help);
  document.addEventListener("keydown", (event) => keyOnFrontPage(event, field, help));
  const follow = () => {
    field.value = new URLSearchParams(location.hash.slice(1)).get("find") || "";
    show();
  };
  window.addEventListener("hashchange", follow);
  follow();
}

function searchable(text) {
  return text.normalize("NFC").toLowerCase();
}

function searchIndex(study) {
  const tubes = study.tubes.map(([sha12, file, patient, visit, panel, flags, review = ""]) => ({
    tube: { sha12, file, patient, visit, panel },
    told: [REVIEW_WORDS[review], ...flags].filter(Boolean),
    hash: sha12,
    names: [patient, visit, panel, review].map(searchable),
    text: searchable([file, patient, visit, panel, REVIEW_WORDS[review], ...flags].join("\n")),
  }));
  const files = [...study.hand, ...study.aside].map((line) => ({
    line,
    hash: line.hash,
    names: [line.state],
    text: searchable(`${line.file}\n${line.state}\n${line.reason}`),
  }));
  const patients = study.patients.map((each) => ({
    patient: each,
    hash: "",
    names: [searchable(each.patient)],
    text: searchable(each.patient),
  }));
  return [...patients, ...files, ...tubes];
}

/** Find what holds every word, whole names first. */
function findEntries(entries, query) {
  const words = searchable(query).split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const whole = (entry) => words.filter((word) => entry.names.includes(word)).length;
  return entries
    .filter((entry) => words.every((word) => entry.text.includes(word) || isHash(entry.hash, word)))
    .map((entry) => [whole(entry), entry])
    .sort((one, other) => other[0] - one[0])
    .map(([, entry]) => entry);
}

function isHash(hash, word) {
  if (!hash || word.length < SHORTEST_HASH || !/^[0-9a-f]+$/.test(word)) return false;
  return hash.startsWith(word) || word.startsWith(hash);
}

function showFound(query, index) {
  const place = document.getElementById("found");
  place.hidden = !query.trim();
  if (place.hidden) {
    place.replaceChildren();
    return;
  }
  const found = findEntries(index(), query);
  const number = found.length.toLocaleString("en");
  place.replaceChildren(
    element("h2", {}, "Found"),
    element("p", { role: "status" }, found.length ? `${number} found` : "Nothing found. Fewer or shorter words find more."),
    ...foldedList(found, foundEntry),
  );
}

function foundEntry(entry) {
  if (entry.line) return handEntry(entry.line);
  if (entry.patient) {
    const address = root() + entry.patient.report;
    const link = element("a", { class: "tube", href: address }, visibleName(entry.patient.patient));
    return element("li", { class: "entry quiet-entry" }, link, "report of the patient");
  }
  return element(
    "li",
    { class: "entry quiet-entry" },
    tubeLink(entry.tube, ""),
    fileName(entry.tube.file),
    element("code", {}, entry.hash),
    element("span", { class: "faded" }, entry.told.join(", ").replaceAll("_", " ")),
  );
}

function keepInAddress(query) {
  const fragment = query.trim() ? `#find=${encodeURIComponent(query)}` : location.pathname + location.search;
  history.replaceState(null, "", fragment);
}

function keyInSearch(event, field) {
  if (event.key === "Escape") {
    field.value = "";
    field.dispatchEvent(new Event("input"));
    field.blur();
  } else if (event.key === "Enter" || event.key === "ArrowDown") {
    event.preventDefault();
    focusEntry(document.querySelector("#found .entry"));
  }
}

function keyOnFrontPage(event, field, help) {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest("input, textarea, select")) return;
  const actions = {
    "/": () => field.focus(),
    j: () => moveAlongEntries(1),
    k: () => moveAlongEntries(-1),
    "?": () => help.showModal(),
  };
  const act = actions[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function moveAlongEntries(step) {
  const entries = [...document.querySelectorAll(".entry")];
  const here = document.activeElement.closest(".entry");
  const start = here ? entries.indexOf(here) + step : 0;
  focusEntry(entries[Math.min(Math.max(start, 0), entries.length - 1)]);
}

/** Put the focus on an entry: on its link, so that Enter opens it. */
function focusEntry(entry) {
  if (!entry) return;
  (entry.querySelector("a") || entry).focus();
  entry.scrollIntoView({ block: "nearest" });
}

function frontHelp() {
  const lines = FRONT_KEYS.flatMap(([key, does]) => [
    element("dt", {}, element("kbd", {}, key)),
    element("dd", {}, does),
  ]);
  return element(
    "dialog",
    { class: "keys", "aria-label": "Keys" },
    element("form", { method: "dialog" }, element("dl", {}, lines), element("button", {}, "close")),
  );
}
