// The page of one node: what it asked or offered, what the decision gives it, and why.

import { Problem } from "../api.js";
import { el, setText } from "../dom.js";
import { ago, amount, count, dated } from "../format.js";
import { empty, nodeAddress, paced, section, trouble } from "../parts.js";
import { EventStream } from "../stream.js";
import { linkColumn, Table, textColumn } from "../table.js";
import { ProviderParts } from "./provider.js";
import { UserParts } from "./user.js";

const KEPT = 300; // decisions in the charts
const REPLAYED = 30; // decisions of before the page was opened
const REFRESH = 3000; // ms at least between two readings of explanation, ledger and report
const PARTS = { user: UserParts, provider: ProviderParts };

/** @param {any} app @param {"user" | "provider"} kind @param {string} name */
export function nodePage(app, kind, name) {
  return new NodePage(app, kind, name);
}

class NodePage {
  #points = [];

  constructor(app, kind, name) {
    this.app = app;
    this.kind = kind;
    this.name = name;
    this.title = name;
    this.address = nodeAddress(kind, name);
    this.path = `${kind}s/${encodeURIComponent(name)}`;
    this.own = app.identity.role !== "operator";
    this.parts = new PARTS[kind](this.own);
    this.status = el("p", { class: "hint" });
    this.decision = el("div", {}, empty("Waiting for a decision", ""));
    this.explained = el("p", { class: "hint" });
    this.explanation = el("div", { class: "prose" });
    this.report = el("div", {});
    this.total = el("p", { class: "total" });
    this.ledger = ledgerTable(kind, this.own);
    this.columns = el(
      "div",
      { class: `columns ${kind}` },
      section("Decision", this.decision),
      section("Why", this.explained, this.explanation),
      section(kind === "user" ? "What it asked" : "What it offers", this.report),
      section("Ledger", this.total, this.ledger.element),
    );
    this.element = el(
      "article",
      { class: "node" },
      el(
        "header",
        {},
        el("p", { class: "kicker", text: kind }),
        el("h1", { text: name }),
        this.status,
      ),
      this.columns,
    );
    this.left = new AbortController();
    this.refresh = paced(() => this.#refresh(), REFRESH);
    this.refresh();
  }

  /** The operator's stream brought a cycle. */
  update() {
    if (!this.stream) this.refresh();
  }

  destroy() {
    this.left.abort();
    this.refresh.stop();
    clearTimeout(this.later);
    this.stream?.stop();
    cancelAnimationFrame(this.drawing);
    this.parts.destroy();
  }

  /** Hear of every decision from a cycle on. */
  #follow(cycle) {
    this.stream = new EventStream({
      api: this.app.api,
      path: `${this.path}/events`,
      // The agent reads a whole decision for each one that it replays, so not too many.
      lastEventId: String(this.kind === "user" ? Math.max(cycle - REPLAYED, 0) : cycle),
      onCycle: (decision) => this.#decided(decision),
      onState: (state) => this.#state(state),
    });
    if (this.own) this.app.follow(this.stream);
    this.stream.start();
  }

  #state(state) {
    if (this.own || state.name === "refused") this.app.setState(state);
  }

  #decided(decision) {
    if (decision.result === "decided") {
      this.#points.push(this.parts.point(decision));
      this.#points.splice(0, this.#points.length - KEPT);
    }
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.#drawDecision(decision)); // replays come at once
    this.refresh();
  }

  #first(decision) {
    this.#drawDecision(decision);
    // A provider's decision names all of its users: an operator, who has every cycle's capacities
    // already, asks for it now and then rather than with every cycle.
    if (this.own || this.kind === "user") this.#follow(decision.cycle ?? 0);
  }

  #drawDecision(decision) {
    if (decision.cycle === null) {
      this.decision.replaceChildren(
        empty("No cycle has run yet", "The first one brings a decision."),
      );
      return;
    }
    if (this.decision.firstElementChild !== this.parts.element)
      this.decision.replaceChildren(this.parts.element);
    const byCycles = this.kind === "provider" && !this.own;
    this.parts.set(decision, byCycles ? this.#pointsOfCycles() : this.#points);
    if (this.own) {
      const { cycle, result, reason, in_force: inForce } = decision;
      this.app.header.setCycle({ number: cycle, result, reason, inForce });
    }
  }

  /** The past of a provider from the cycles that an operator's page holds. */
  #pointsOfCycles() {
    return this.app.history.cycles
      .filter((cycle) => cycle.result === "decided")
      .map((cycle) => ({
        entry: cycle.capacity.find((entry) => entry.provider === this.name),
        cycle,
      }))
      .filter(({ entry }) => entry)
      .map(({ entry, cycle }) => this.parts.point({ ...entry, decided_at: cycle.committed_at }));
  }

  async #refresh() {
    await Promise.all([
      this.stream
        ? null
        : this.#part("/decision", this.decision, (decision) => this.#first(decision)),
      this.#part("", this.report, (document) => this.#drawReport(document)),
      this.#part("/explanation", this.explanation, (explanation) => this.#explain(explanation)),
      this.#part("/ledger", this.total, (ledger) => this.#drawLedger(ledger)),
    ]);
    // Without a stream, nothing else would say that the agent is back.
    if (this.own && !this.stream) this.later = setTimeout(this.refresh, REFRESH);
  }

  /** Ask for one thing about the node, and draw it, or what is wrong, in its place. */
  async #part(path, place, draw) {
    try {
      draw(await this.app.api.get(this.path + path, { signal: this.left.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) this.app.setState({ name: "refused" });
      else if (error.status === 404 && place === this.report) this.#unknown(error);
      else if (error.status !== 0) place.replaceChildren(trouble(error)); // gone: the last answer stays
    }
  }

  #explain({ cycle, paragraphs }) {
    // It is read less often than decisions come, so it may speak of the one before.
    setText(this.explained, cycle === null ? "" : `After cycle ${count(cycle)}.`);
    if (paragraphs.length === 0) {
      this.explanation.replaceChildren(empty("There is nothing to explain yet", ""));
      return;
    }
    // The same paragraphs stay, so that a reader is not thrown out of a sentence.
    const shown = [...this.explanation.children];
    if (shown.length !== paragraphs.length || shown.some((one) => one.tagName !== "P")) {
      this.explanation.replaceChildren(...paragraphs.map((text) => el("p", { text })));
    } else shown.forEach((one, at) => setText(one, paragraphs[at]));
  }

  /** Nobody of this name ever registered, so there is nothing else to say either. */
  #unknown({ message }) {
    setText(this.status, message);
    this.columns.hidden = true;
  }

  #drawReport(document) {
    this.columns.hidden = false;
    setText(this.status, statusOf(document));
    this.parts.setReport(this.report, document);
  }

  #drawLedger({ total, entries, unit }) {
    const verb = this.kind === "user" ? "owes" : "is owed";
    this.total.replaceChildren(
      `${this.name} ${verb} `,
      el("strong", { text: amount(total) }),
      ` ${unit} in all.`,
    );
    this.ledger.element.hidden = entries.length === 0;
    this.ledger.set([...entries].sort((a, b) => Number(b.amount) - Number(a.amount)));
  }
}

function statusOf({ active, received_at: received, expires_at: expires }) {
  const heard = received ? `last report ${ago(received)} (${dated(received)})` : "no report";
  if (!active) return `gone; ${heard}`;
  return expires
    ? `active; ${heard}; expires ${dated(expires)} without another`
    : `active; ${heard}`;
}

function ledgerTable(kind, own) {
  const other = kind === "user" ? "provider" : "user";
  const title = other === "user" ? "User" : "Provider";
  const name = own
    ? { ...textColumn(title, (row) => row[other]), heading: true }
    : linkColumn(
        title,
        (row) => row[other],
        (row) => nodeAddress(other, row[other]),
      );
  return new Table({
    label: "Ledger",
    class: "ledger",
    step: 12,
    key: (row) => row[other],
    columns: [
      { ...name, class: "name" },
      textColumn("Amount", (row) => amount(row.amount), { figure: true, unit: "money" }),
    ],
  });
}
