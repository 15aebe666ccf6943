// The top of the page: views, the state of the line to the agent, and whether a decision was kept.

import { el, setText } from "./dom.js";
import { ago, clock, count } from "./format.js";

const WORDS = { connecting: "connecting", live: "live", waiting: "no answer" };
const part = (id) => document.getElementById(id);

export class Header {
  #state = { name: "none" };
  #cycle = null;
  #said = "";
  #silent = false;

  /** @param {{onSignOut: () => void, onTryNow: () => void}} actions */
  constructor({ onSignOut, onTryNow }) {
    this.onSignOut = onSignOut;
    this.onTryNow = onTryNow;
    part("skip").addEventListener("click", (event) => {
      event.preventDefault(); // the address says which view is shown
      part("main").focus();
    });
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    setText(part("zone"), `Times are those of your zone, ${zone}.`);
    setInterval(() => this.#drawSince(), 1000);
  }

  clear() {
    this.#cycle = null;
    this.#said = "";
    for (const id of ["views", "line", "banner", "announcement"]) part(id).replaceChildren();
    this.setState({ name: "none" });
  }

  /** @param {[string, string][]} views path and title of each; @param {string} current path */
  setViews(views, current) {
    const links = views.map(([path, title]) =>
      el("a", { href: `#/${path}`, "aria-current": path === current ? "page" : null, text: title }),
    );
    part("views").replaceChildren(...links);
  }

  /** What the line to the agent does: see EventStream; "none" while there is none. */
  setState(state) {
    const before = this.#state.name;
    this.#state = state;
    if (state.name !== before) this.#drawState();
    if (state.name === "live") part("line").replaceChildren();
    this.#drawSince();
    if (state.name === "waiting" && !this.#silent) {
      this.#silent = true;
      this.#announce("The agent does not answer. The page tries again by itself.");
      if (this.#cycle) {
        const since = `since ${clock(Date.now())}; what is shown is from before.`;
        part("line").replaceChildren(banner("No answer", since, "gone"));
      }
    } else if (state.name === "live" && this.#silent) {
      this.#silent = false;
      this.#announce("The agent answers again.");
    }
  }

  /** The newest cycle, and what came of it. */
  setCycle({ number, result, reason, inForce }) {
    this.#cycle = { number, at: Date.now() };
    this.#drawSince();
    const kept = result === "kept";
    const state =
      inForce === null
        ? "No decision is in force yet."
        : `The decision of cycle ${count(inForce)} stays in force.`;
    const text = `${state} Cycle ${count(number)} brought no new one: ${reason}`;
    const shown = part("banner").firstElementChild;
    if (!kept) part("banner").replaceChildren();
    else if (shown) setText(shown.lastElementChild, text);
    else {
      part("banner").append(banner("Kept", text));
    }
    this.#announce(kept ? `${state} ${reason}` : "A new decision is in force.");
  }

  /** Changes of state only: nobody should have to hear a number each second. */
  #announce(sentence) {
    if (sentence === this.#said) return;
    this.#said = sentence;
    setText(part("announcement"), sentence);
  }

  #drawState() {
    const { name } = this.#state;
    if (name === "none") {
      part("state").replaceChildren();
      return;
    }
    const button = (text, listener) =>
      el("button", { type: "button", class: "quiet", text, on: { click: listener } });
    part("state").replaceChildren(
      el("i", { class: `lamp ${name}`, "aria-hidden": "true" }),
      el("span", { class: "line", text: WORDS[name] }),
      el("span", { class: "since" }),
      ...(name === "waiting" ? [button("Try now", this.onTryNow)] : []),
      button("Sign out", this.onSignOut),
    );
  }

  #drawSince() {
    const shown = part("state").querySelector(".since");
    if (!shown) return;
    const left = Math.max(Math.ceil((this.#state.until - Date.now()) / 1000), 0);
    const cycle = this.#cycle ? `cycle ${count(this.#cycle.number)}, ${ago(this.#cycle.at)}` : "";
    setText(shown, this.#state.name === "waiting" ? `again in ${left}\u202fs` : cycle);
  }
}

function banner(word, text, more = "") {
  return el("p", { class: `banner ${more}` }, el("strong", { text: word }), el("span", { text }));
}
