// Data arrive by script files, because a page that was opened by double click may not fetch: each
// calls reconflow.add(kind, key, value) (docs/pages.md). A page asks with reconflow.load.
const data = new Map();
const waiting = new Map();

const root = () => document.body.dataset.root || "";
const slot = (kind, key) => `${kind} ${key}`;

const places = {
  tube: (key) => `tubes/${encodeURIComponent(key)}/gating.js`,
  patient: (key) => `patients/${encodeURIComponent(key)}/series.js`,
  study: () => "study.js",
  map: (key) => {
    const [patient, compartment] = key.split("/").map(encodeURIComponent);
    return `${patient ? `patients/${patient}` : "cohort"}/maps/${compartment}.js`;
  },
  version: (key) => {
    const [tube, name] = key.split("/").map(encodeURIComponent);
    return `tubes/${tube}/${name}.js`;
  },
};

/** Keep one value; called by the data files. */
function add(kind, key, value) {
  data.set(slot(kind, key), value);
}

/** Give a value that is there already, or undefined. */
function known(kind, key) {
  return data.get(slot(kind, key));
}

/** Give a promise of a value; it fails with a sentence when the file is not there. */
function load(kind, key) {
  const name = slot(kind, key);
  if (data.has(name)) return Promise.resolve(data.get(name));
  if (!waiting.has(name)) waiting.set(name, fetchByScript(kind, key, name));
  return waiting.get(name);
}

function fetchByScript(kind, key, name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = root() + places[kind](key);
    script.onload = () =>
      data.has(name)
        ? resolve(data.get(name))
        : reject(new Error(`${script.src} holds nothing of ${key}.`));
    script.onerror = () => reject(new Error(`${decodeURI(script.src)} cannot be read.`));
    document.head.append(script);
  }).finally(() => waiting.delete(name));
}

/** Give the bytes of a base64 text that was deflated (zlib). */
async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Make an element; children are elements or texts, never markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const pages = {};

/** Name the function that fills the pages whose body says data-page="name". */
function page(name, fill) {
  pages[name] = fill;
}

window.reconflow = { add, known, load };

document.addEventListener("DOMContentLoaded", () => {
  const fill = pages[document.body.dataset.page];
  if (fill) Promise.resolve(fill()).catch(tellFault);
});

function tellFault(error) {
  document
    .querySelector("main")
    .prepend(element("p", { class: "alarm", role: "alert" }, error.message));
}
