// Starts the page: whose token it is, which view is shown, and the stream that keeps it true.

import { Api, GONE, Problem } from "./api.js";
import { Header } from "./header.js";
import { History } from "./history.js";
import { empty, nodeAddress } from "./parts.js";
import { forgetToken, keepToken, storedToken, tokenFromAddress } from "./session.js";
import { EventStream } from "./stream.js";
import { nodePage } from "./views/node.js";
import { nodesView } from "./views/nodes.js";
import { overview } from "./views/overview.js";
import { signIn } from "./views/signin.js";

const CYCLES_AT_START = 300;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
const REFUSED = "The agent refused this token: it is unknown, or it was revoked.";
const KINDS = { users: "user", providers: "provider" };

class App {
  #view = null;
  #stream = null;
  #tryNow = () => {};

  constructor() {
    this.header = new Header({
      onSignOut: () => this.#askForToken(""),
      onTryNow: () => this.#tryNow(),
    });
    window.addEventListener("hashchange", () => this.#arrive());
  }

  start() {
    const token = tokenFromAddress() ?? storedToken();
    if (token) this.#connect(token);
    else this.#askForToken("");
  }

  /** The state of the stream that feeds the page. */
  setState(state) {
    if (state.name === "refused") this.#askForToken(REFUSED);
    else this.header.setState(state);
  }

  /** A stream that the header's "Try now" should wake. */
  follow(stream) {
    this.#tryNow = () => stream.now();
  }

  /** Find out whose token it is, and show what its owner may see. */
  async #connect(token) {
    this.#leave();
    const api = new Api(token);
    this.api = api;
    for (let wait = FIRST_WAIT; this.api === api; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        const identity = await api.get("token");
        keepToken(token);
        await this.#enter(identity);
        return;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.status === 401) {
          this.#askForToken(REFUSED);
          return;
        }
        await this.#waitForAgent(error, wait);
      }
    }
  }

  async #enter(identity) {
    this.history = new History();
    if (identity.role === "operator") await this.#followCycles();
    this.identity = identity;
    this.#route();
  }

  async #followCycles() {
    const { cycles } = await this.api.get(`cycles?limit=${CYCLES_AT_START}`);
    for (const cycle of cycles.sort((a, b) => a.number - b.number)) this.history.add(cycle);
    await this.#holdInForce();
    if (this.history.latest) this.#tell(this.history.latest);
    this.#stream = new EventStream({
      api: this.api,
      path: "events",
      lastEventId: String(this.history.latest?.number ?? 0),
      onCycle: (cycle) => this.#arrived(cycle),
      onState: (state) => this.setState(state),
    });
    this.follow(this.#stream);
    this.#stream.start();
  }

  async #arrived(cycle) {
    this.history.add(cycle);
    this.#tell(cycle);
    try {
      await this.#holdInForce();
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // the next cycle asks again
    }
    this.#view?.update?.();
  }

  #tell(cycle) {
    this.header.setCycle({ ...cycle, inForce: cycle.in_force });
  }

  async #holdInForce() {
    const number = this.history.missing;
    if (number !== null) this.history.hold(await this.api.get(`cycles/${number}`));
  }

  #waitForAgent(problem, wait) {
    this.header.setState({ name: "waiting", until: Date.now() + wait });
    const title = problem.status === 0 ? GONE : problem.title;
    this.#show({
      title: "No answer",
      element: empty(title, problem.detail, "The page tries again by itself."),
    });
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#tryNow = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #leave() {
    this.#stream?.stop();
    this.#stream = null;
    this.api = null;
    this.identity = null;
    this.header.clear();
  }

  #askForToken(message) {
    forgetToken();
    this.#leave();
    history.replaceState(null, "", "#/");
    this.#show(signIn(message, (token) => this.#connect(token)));
  }

  /** A new address: a token handed over in it, or another view. */
  #arrive() {
    const token = tokenFromAddress();
    if (token) this.#connect(token);
    else if (this.identity) this.#route();
  }

  #route() {
    const { role, node: owner } = this.identity;
    if (role !== "operator") {
      const own = nodeAddress(role, owner);
      if (location.hash !== own) history.replaceState(null, "", own);
      if (this.#view?.address !== own) this.#show(nodePage(this, role, owner));
      return;
    }
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const [first = "", name = ""] = path.split("/").map(decodeURIComponent);
    this.header.setViews(
      [
        ["", "Market"],
        ["nodes", "Nodes"],
      ],
      first,
    );
    if (first === "nodes") {
      if (this.#view?.address === "nodes") this.#view.arrive(new URLSearchParams(query));
      else this.#show(nodesView(this, new URLSearchParams(query)));
    } else if (KINDS[first] && name) this.#show(nodePage(this, KINDS[first], name));
    else this.#show(overview(this));
  }

  #show(view) {
    const first = this.#view === null;
    this.#view?.destroy?.();
    this.#view = view;
    document.title = `${view.title} · qoex`;
    const main = document.getElementById("main");
    main.replaceChildren(view.element);
    view.update?.();
    if (!first && !main.contains(document.activeElement)) {
      scrollTo(0, 0);
      main.focus({ preventScroll: true });
    }
  }
}

new App().start();
