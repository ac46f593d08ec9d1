// What a tube's page shows, as the part of its address behind the #.
const pageAddress = (() => {
  /** What can be laid over a plot, with its key and its words. */
  const OVERLAYS = [
    { name: "baseline", key: "b", words: "Baseline" },
    { name: "previous", key: "p", words: "Previous visit" },
    { name: "control", key: "c", words: "Control (FMO)" },
    { name: "declared", key: "d", words: "Declared gates" },
    { name: "version", key: "v", words: "Other version of the strategy" },
  ];

  /** Tell whether an address' part names a version: bcell@2.0.0. */
  const isVersion = (name) => /^[\w.-]+@[\w.+-]+$/.test(name);

  /** Read an address' hash: {gate, light, cells, with, large}; what is not given is "" or false. */
  function read(hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const over = given.get("with") ?? "";
    return {
      gate: given.get("gate") ?? "",
      light: given.get("light") ?? "",
      cells: given.get("cells") ?? "",
      with: isVersion(over) || OVERLAYS.some(({ name }) => name === over) ? over : "",
      large: given.get("large") === "1",
    };
  }

  /** Write a hash; what is not given is left out. */
  function write(state) {
    const parts = ["gate", "light", "cells", "with"]
      .filter((name) => state[name])
      .map((name) => `${name}=${encodeURIComponent(state[name])}`);
    if (state.large) parts.push("large=1");
    return parts.length ? `#${parts.join("&")}` : "";
  }

  /** Write the address of a tube's page, from any page of the study. */
  function tube(sha12, state) {
    return `${root()}tubes/${encodeURIComponent(sha12)}/gating.html${write(state)}`;
  }

  /** Write the address of the page that shows one gate at all visits of a patient. */
  function strip(patient, gate) {
    const [folder, name] = [patient, gate].map(encodeURIComponent);
    return `${root()}patients/${folder}/gates/${name}.html`;
  }

  return { OVERLAYS, isVersion, read, strip, tube, write };
})();
