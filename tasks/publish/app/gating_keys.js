// The keys of a tube's page, and the help that names them.
const gatingHelp = (() => {
  const KEYS = [
    ["←  →", "the same gate at the previous, at the next visit"],
    ["j  k", "next gate, gate before (also ↓ ↑ in an enlarged plot)"],
    ["Enter", "enlarge the chosen gate"],
    ["Esc", "close; then: nothing lit, nothing laid over"],
    ["l", "light the chosen gate's events in every plot, or switch the light off"],
    ...pageAddress.OVERLAYS.map(({ key, words }) => [key, `lay over, or take away: ${words}`]),
    ["+  −", "zoom in, out (enlarged plot; also the wheel)"],
    ["Shift + arrows", "move within the enlarged plot (also drag)"],
    ["0", "show the whole plot"],
    ["s", "save the enlarged plot as a PNG file"],
    ...(served
      ? [
          ["a  q  r  x", "accept, query, repeat, exclude (or include again) this tube"],
          ["e", "correct the chosen gate of this tube; [ and ] move its threshold"],
          ["n", "the next tube to look at"],
        ]
      : []),
    ["?", "this help"],
  ];

  /** Make the help: a dialog that lists the keys. */
  function make() {
    const rows = KEYS.flatMap(([key, words]) => [
      element("dt", {}, element("kbd", {}, key)),
      element("dd", {}, words),
    ]);
    const dialog = element(
      "dialog",
      { class: "help-dialog", "aria-labelledby": "help-title" },
      element("h2", { id: "help-title" }, "Keys"),
      element("dl", {}, rows),
    );
    dialog.append(element("button", { type: "button", onclick: () => dialog.close() }, "Close"));
    return dialog;
  }

  return { make };
})();

const gatingKeys = (() => {
  /** Let keys act on a page; none acts while a text is written or with Ctrl, Alt or Meta. */
  function listen(shown) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || writes(event.target)) return;
      if (shown.help.open) return;
      if (shown.dialog.open && shown.dialog.key(event)) event.preventDefault();
      else if (act(shown, event)) event.preventDefault();
    });
  }

  const writes = (target) => target.matches?.("input, textarea, select, [contenteditable]");

  function act(shown, event) {
    if (event.shiftKey && event.key.startsWith("Arrow")) return false;
    const overlay = pageAddress.OVERLAYS.find(({ key }) => key === event.key);
    if (overlay?.name === "version") shown.layVersion();
    else if (overlay) shown.lay(overlay.name);
    else if (shown.review?.key(event.key)) return true;
    else if (!(actions[event.key]?.(shown, event) ?? false)) return false;
    return true;
  }

  const done = (act) => (shown, event) => {
    act(shown, event);
    return true;
  };

  const actions = {
    ArrowLeft: done((shown) => shown.go(shown.beside.previous)),
    ArrowRight: done((shown) => shown.go(shown.beside.next)),
    ArrowUp: (shown) => shown.dialog.open && done(() => shown.step(-1))(),
    ArrowDown: (shown) => shown.dialog.open && done(() => shown.step(1))(),
    j: done((shown) => shown.step(1)),
    k: done((shown) => shown.step(-1)),
    l: done((shown) => shown.lightChosen()),
    e: done((shown) => shown.correct()),
    n: (shown) => {
      const next = shown.review?.standing.next;
      if (next) location.href = next.address;
      return Boolean(next);
    },
    "?": done((shown) => shown.help.showModal()),
    Enter: (shown, event) => enlarges(shown, event) && done(() => shown.set({ large: true }))(),
    Escape: (shown) => !shown.dialog.open && done(() => shown.set({ light: "", cells: "", with: "" }))(),
  };

  /** Enter enlarges, unless it presses the button or follows the link that has the focus. */
  function enlarges(shown, event) {
    return (
      !shown.dialog.open && shown.state.gate && !event.target.closest("a, button, summary, dialog")
    );
  }

  return { listen };
})();
