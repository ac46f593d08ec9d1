// A gate, its thresholds and its flags in words.
const gateWords = (() => {
  /** Give the name of a gate as pages write it. */
  const name = (gate) => gate.label || gate.name;

  /** Name the parent of a gate. */
  function parentName(tube, number) {
    return number < 0 ? "all events" : name(tube.gates[number]);
  }

  /** Write the address of a gate's plot within the page of its tube. */
  const address = (gate) => `#gate=${encodeURIComponent(gate.name)}`;

  /** Say a gate in one sentence: what of what, how many, how much. */
  function sentence(tube, number) {
    const gate = tube.gates[number];
    const parent = parentName(tube, gate.parent);
    if (!gate.parent_events) return `${name(gate)}: none, for ${parent} holds no events.`;
    const share = numberWords.percent(gate.events, gate.parent_events);
    const whole = numberWords.count(gate.parent_events);
    return `${name(gate)}: ${numberWords.count(gate.events)} of ${whole} ${parent}, ${share}.`;
  }

  /** Say a threshold in short: "CD19 1,500 (fixed)". */
  function thresholdShort({ name: threshold, marker, value, source }) {
    const where = value ? ` ${numberWords.exact(value[0])}` : " not set";
    return `${marker || threshold}${where}${source ? ` (${source})` : ""}`;
  }

  /** Say the limits within which a value is believed, or "". */
  function limits({ low, high }) {
    if (low && high) return `${numberWords.exact(low[0])} to ${numberWords.exact(high[0])}`;
    if (low) return `${numberWords.exact(low[0])} or more`;
    return high ? `${numberWords.exact(high[0])} or less` : "";
  }

  /** Say what one source gave: "fixed: 1,500" or "FMO control: no such tube". */
  function tried([source, value, fault]) {
    const given = typeof value === "number" ? numberWords.exact(value) : "";
    return `${source}: ${[given, fault].filter(Boolean).join(", ") || "nothing"}`;
  }

  /** Give the worst of severities, or "" where there is none. */
  function worst(severities) {
    return SEVERITIES.find((severity) => severities.includes(severity)) ?? "";
  }

  return { address, limits, name, parentName, sentence, thresholdShort, tried, worst };
})();
