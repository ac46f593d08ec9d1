// Signing a patient's tables, where the review server sends the report.
const signPanel = (() => {
  const WORDS = { reviewed: "Sign as reviewed", approved: "Approve", released: "Release" };

  class Panel {
    constructor() {
      this.address = `/api/patients/${encodeURIComponent(document.body.dataset.key)}`;
      this.section = element("section", { class: "review-panel", "aria-label": "Signatures" });
    }

    async refresh() {
      this.standing = await ask(this.address);
      const { state, signatures, reopened, next } = this.standing;
      this.section.replaceChildren(
        ...[
          element("p", { class: "review-state" }, `These tables are: ${state}.`),
          reopened
            ? element("p", { class: "alarm" }, `A signature holds no more: ${reopened}.`)
            : null,
          ...signatures.map(signatureWords),
          next ? this.form(next) : null,
        ].filter(Boolean),
      );
    }

    form(next) {
      const meaning = element("input", { name: "meaning", required: true, maxlength: 2000 });
      const token = element("input", { name: "token", type: "password", maxlength: 200 });
      const fault = element("p", { class: "alarm", role: "alert", hidden: true });
      const sign = async (event) => {
        event.preventDefault();
        try {
          const { stamp } = this.standing;
          const asked = { state: next, meaning: meaning.value, token: token.value, stamp };
          await send(`${this.address}/signatures`, asked);
          await this.refresh();
        } catch (error) {
          fault.textContent = error.message;
          fault.hidden = false;
        }
      };
      return element(
        "form",
        { onsubmit: sign, class: "edit-form sign-form" },
        element("label", {}, "What your signature means, such as: all gates seen", meaning),
        this.standing.needs_token ? element("label", {}, "Your token, once more", token) : null,
        fault,
        element("p", {}, element("button", { type: "submit" }, WORDS[next])),
      );
    }
  }

  function signatureWords({ state, signer, at, meaning }) {
    const words = `${state} by ${signer}, ${at.slice(0, 16).replace("T", " ")} UTC: ${meaning}`;
    return element("p", {}, element("bdi", {}, words));
  }

  /** Put the panel on a patient's report, where somebody is logged in. */
  async function attach() {
    const who = await session();
    if (!who.name) return;
    const panel = new Panel();
    document.querySelector("main .facts").before(panel.section);
    await panel.refresh();
  }

  return { attach };
})();

if (served) {
  document.addEventListener("DOMContentLoaded", () => {
    if (document.body.dataset.page === "report") signPanel.attach().catch(tellFault);
  });
}
