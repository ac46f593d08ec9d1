// The report and the cohort's page are whole without this script: it shows what a point or a number
// says beside it, at once, on focus and on tap too, where the browser's own title is slow or silent.
const TELLING = "a.point, a.result";

/** Show what links say; the first tap shows it, a second one follows the link. */
function tellPoints() {
  const told = element("div", { class: "told", role: "tooltip", id: "told", hidden: true });
  document.body.append(told);
  let shown = null;

  const hide = () => {
    told.hidden = true;
    shown = null;
  };
  const show = (link) => {
    const words = wordsOf(link);
    if (!words || link === shown) return;
    told.textContent = words;
    told.hidden = false;
    shown = link;
    placeBeside(told, link.getBoundingClientRect());
  };
  const over = (event) => {
    const link = event.target.closest?.(TELLING);
    if (link) show(link);
    else hide();
  };
  let touched = null;
  document.addEventListener("pointerover", (event) => event.pointerType !== "touch" && over(event));
  document.addEventListener("focusin", over);
  document.addEventListener("focusout", hide);
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch" ? shown : null;
    if (event.pointerType === "touch") over(event);
    else hide();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(TELLING);
    if (link && event.pointerType === "touch" && link !== touched) {
      event.preventDefault();
      show(link);
    }
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

/** Take a link's words from its title, which would be shown a second time by the browser. */
function wordsOf(link) {
  if (!link.dataset.told) {
    const title = link.querySelector("title");
    link.dataset.told = title ? title.textContent : link.getAttribute("title") || "";
    if (title) {
      title.remove();
      link.setAttribute("aria-label", link.dataset.told);
    } else link.setAttribute("aria-describedby", "told");
    link.removeAttribute("title");
  }
  return link.dataset.told;
}

/** Put the words under a place of the window, or over it where there is no room. */
function placeBeside(told, place) {
  const room = document.documentElement.clientWidth - told.offsetWidth - 8;
  const left = Math.max(8, Math.min(place.left + place.width / 2 - told.offsetWidth / 2, room));
  const below = place.bottom + 6;
  const fits = below + told.offsetHeight < window.innerHeight;
  const top = fits ? below : Math.max(4, place.top - told.offsetHeight - 6);
  told.style.left = `${left + window.scrollX}px`;
  told.style.top = `${top + window.scrollY}px`;
}

page("report", tellPoints);
page("cohort", tellPoints);
