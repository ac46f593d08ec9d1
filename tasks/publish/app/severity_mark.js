// The sign of a severity, on every page: base.css gives it its shape, its letter and its colour.
const SEVERITIES = ["stop", "look", "know"];

/** Give the classes of a sign; "" is in order, a word of another release asks for nothing. */
function severityClass(severity) {
  const known = SEVERITIES.includes(severity) ? severity : "know";
  return `severity-mark severity-${severity === "" ? "none" : known}`;
}

/** Make the sign of a severity; without words it says nothing that does not stand beside it. */
function severityMark(severity, words = "") {
  const told = words ? { role: "img", "aria-label": words, title: words } : { "aria-hidden": "true" };
  return element("span", { class: severityClass(severity), ...told });
}
