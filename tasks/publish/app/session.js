// The review server sends the same pages as the folder does; only there somebody can log in and
// decide. Opened by double click, these pages read.
const served = location.protocol.startsWith("http");
let asked = null;

/** Give a promise of who is logged in: {name, role, csrf}; name is null for nobody. */
function session() {
  if (!served) return Promise.resolve({ name: null });
  asked ??= fetch("/api/session").then((answer) => answer.json());
  return asked;
}

/** Ask the review server; fails with its sentence. */
async function ask(address) {
  const answer = await fetch(address);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.fault ?? `The review server answered ${answer.status}.`);
  return told;
}

/** Send a change to the review server; fails with the server's sentence. */
async function send(address, body) {
  const { csrf } = await session();
  const headers = { "content-type": "application/json", "x-reconflow-csrf": csrf ?? "" };
  let answer;
  try {
    answer = await fetch(address, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("The review server does not answer: nothing was saved.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.fault ?? `The review server answered ${answer.status}.`);
  return told;
}

/**
 * Make a function that acts each time it is called, one act at a time: calls that come meanwhile
 * are answered by one more, so that the last is never missed.
 */
function oneAtATime(act) {
  let [wanted, busy] = [false, false];
  return async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    try {
      while (wanted) {
        wanted = false;
        await act();
      }
    } finally {
      busy = false;
    }
  };
}

async function showWho() {
  const who = await session();
  if (document.body.dataset.page === "login") return;
  const badge = who.name
    ? [
        `${who.name} (${who.role})`,
        element("button", { type: "button", onclick: leave }, "Log out"),
      ]
    : [element("a", { href: "/login" }, "Log in to review")];
  document.body.prepend(element("p", { class: "who" }, badge));
}

async function leave() {
  await send("/api/logout", {});
  location.assign("/login");
}

page("login", () => {
  const form = document.getElementById("login");
  const fault = document.getElementById("fault");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    try {
      await send("/api/login", given);
      location.assign("/");
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    }
  });
});

if (served) document.addEventListener("DOMContentLoaded", () => showWho().catch(tellFault));
