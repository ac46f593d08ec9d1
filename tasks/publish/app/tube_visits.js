// Which other tubes of a patient belong beside a tube: earlier and later visits, controls.
const tubeVisits = (() => {
  /** Give a promise of a patient's series, or of null when its file is not there. */
  const series = (patient) => load("patient", patient).catch(() => null);

  /** Give the short name of a tube: the twelve digits its folder is named by. */
  const shortName = () => document.body.dataset.key;

  /** List the tubes of the same panel and specimen that are no controls, by day. */
  function row(patient, own) {
    return patient.tubes.filter(
      (tube) => !tube.control && tube.panel === own.panel && tube.specimen === own.specimen,
    );
  }

  /** Give the tube's own entry in the series, or null. */
  function ownEntry(patient, key) {
    return patient ? (patient.tubes.find((tube) => tube.sha12 === key) ?? null) : null;
  }

  /**
   * Give what can be laid beside a tube: previous, next, baseline (entries or null) and controls
   * (entries, nearest visit first).
   */
  function beside(patient, key) {
    const own = ownEntry(patient, key);
    if (!own) return { own, previous: null, next: null, baseline: null, controls: [] };
    const tubes = row(patient, own);
    const place = tubes.indexOf(own);
    const first = tubes.find((tube) => tube.visit === patient.baseline && tube !== own) ?? null;
    return {
      own,
      previous: place > 0 ? tubes[place - 1] : null,
      next: place >= 0 ? (tubes[place + 1] ?? null) : null,
      baseline: first,
      controls: controlsOf(patient, own),
    };
  }

  function controlsOf(patient, own) {
    const away = ({ day }) => (day === null ? Number.MAX_VALUE : Math.abs(day - (own.day ?? 0)));
    return patient.tubes
      .filter((tube) => tube.control && tube.panel === own.panel && tube !== own)
      .sort((one, other) => away(one) - away(other));
  }

  /** Give the marker that an FMO control leaves out, or "". */
  const leftOut = (control) => (/^fmo:/i.test(control) ? control.slice(4) : "");

  /** Choose the control for a plot: the nearest FMO of one of its markers, else another control. */
  function controlFor(controls, labels) {
    const fmo = controls.find((tube) => labels.includes(leftOut(tube.control)));
    return fmo ?? controls.find((tube) => !leftOut(tube.control)) ?? null;
  }

  /** Name a tube for a legend: visit, day, date, file. */
  function told(entry) {
    return [short(entry), entry.file].filter(Boolean).join(", ");
  }

  /** Name a tube in short: what control it is, its visit and day (or its batch), its date. */
  function short(entry) {
    const control = entry.control ? controlWords(entry.control) : "";
    const visit = entry.visit ? `${entry.visit}${dayWords(entry)}` : "";
    const batch = !entry.visit && entry.batch ? `batch ${entry.batch}` : "";
    const date = (entry.collected ?? "").slice(0, 10);
    return [control, visit, batch, date].filter(Boolean).join(", ");
  }

  function dayWords({ day }) {
    return typeof day === "number" ? ` (day ${Number(day.toFixed(1))})` : "";
  }

  /** Say what a control is: "FMO without CD19". */
  function controlWords(control) {
    const marker = leftOut(control);
    return marker ? `FMO without ${marker}` : `${control} control`;
  }

  return { beside, controlFor, controlWords, dayWords, leftOut, series, short, shortName, told };
})();
