// The keys of a draft's page, and the help that names them.
const draftKeys = (() => {
  const KEYS = [
    ["j  k", "next gate, gate before (also → ←)"],
    ["[  ]", "move the threshold touched last down, up"],
    ["t", "choose the tubes"],
    ["?", "this help"],
  ];
  const help = element(
    "dialog",
    { class: "help-dialog", "aria-labelledby": "draft-help-title" },
    element("h2", { id: "draft-help-title" }, "Keys"),
    element(
      "dl",
      {},
      KEYS.flatMap(([key, words]) => [
        element("dt", {}, element("kbd", {}, key)),
        element("dd", {}, words),
      ]),
    ),
    element("form", { method: "dialog" }, element("button", {}, "Close")),
  );

  const actions = {
    j: (shown) => shown.step(1),
    k: (shown) => shown.step(-1),
    ArrowRight: (shown) => shown.step(1),
    ArrowLeft: (shown) => shown.step(-1),
    "[": (shown) => shown.row.nudge(-1),
    "]": (shown) => shown.row.nudge(1),
    t: (shown) => shown.bar.chooseTubes(),
    "?": () => help.showModal(),
  };

  /** Let keys act on the page; none acts while a text is written or a dialog is open. */
  function listen(shown) {
    document.body.append(help);
    document.addEventListener("keydown", (event) => {
      if (isShortcut(event) || document.querySelector("dialog[open]")) return;
      if (event.target.matches?.("input, textarea, select")) return;
      const act = actions[event.key];
      if (!act) return;
      event.preventDefault();
      act(shown);
    });
  }

  /** Tell whether a key is the browser's own; on some keyboards [ and ] are written with AltGr. */
  function isShortcut(event) {
    if (event.getModifierState("AltGraph")) return false;
    return event.ctrlKey || event.altKey || event.metaKey;
  }

  return { help, listen };
})();
