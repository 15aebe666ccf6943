// Who is registered: a table with search, a filter by kind, and pages.

import { Problem } from "../api.js";
import { el, setText } from "../dom.js";
import { ago, column, count, duration, NOTHING } from "../format.js";
import { empty, nodeAddress, paced, trouble } from "../parts.js";
import { linkColumn, Table, textColumn } from "../table.js";

const PAGE = 50;
const TYPING = 250; // ms without a key before a search is sent
const REFRESH = 3000; // ms at least between two readings of the same page
const KINDS = [
  ["", "All"],
  ["provider", "Providers"],
  ["user", "Users"],
];

/** @param {any} app @param {URLSearchParams} options */
export function nodesView(app, options) {
  const view = new NodesView(app);
  view.arrive(options);
  return view;
}

class NodesView {
  title = "Nodes";
  address = "nodes";
  #options = { kind: "", search: "", active: true, after: "" };
  #trail = [""]; // where the pages up to this one began
  #typing = 0;
  #asked = null;

  constructor(app) {
    this.app = app;
    this.search = el("input", {
      id: "search",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#type() },
    });
    this.kinds = KINDS.map(([value, text]) => {
      const button = el("input", {
        type: "radio",
        name: "kind",
        value,
        on: { change: () => this.#choose({ kind: value }) },
      });
      return { button, element: el("label", {}, button, el("span", { text })) };
    });
    this.gone = el("input", {
      type: "checkbox",
      on: { change: () => this.#choose({ active: !this.gone.checked }) },
    });
    this.table = new Table({
      label: "Nodes",
      class: "nodes",
      key: (row) => `${row.kind} ${row.name}`,
      columns: COLUMNS,
    });
    this.found = el("div", {});
    this.pages = el("nav", { class: "pages", "aria-label": "Pages" });
    this.said = el("p", { class: "hint", role: "status" });
    this.element = el(
      "div",
      {},
      el("h1", { text: "Nodes" }),
      el(
        "form",
        { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
        el("div", { class: "field" }, el("label", { for: "search", text: "Name" }), this.search),
        el(
          "fieldset",
          {},
          el("legend", { class: "hidden", text: "Kind" }),
          ...this.kinds.map((kind) => kind.element),
        ),
        el("label", { class: "check" }, this.gone, "also those that left or expired"),
      ),
      this.said,
      this.found,
      this.pages,
    );
    this.update = paced(() => this.#load(), REFRESH);
  }

  destroy() {
    this.update.stop();
    clearTimeout(this.#typing);
    this.#asked?.abort();
  }

  /** Show what an address asks for. */
  arrive(options) {
    const after = options.get("after") ?? "";
    this.#options = {
      kind: options.get("kind") ?? "",
      search: options.get("search") ?? "",
      active: options.get("left") === null,
      after,
    };
    const known = this.#trail.indexOf(after);
    this.#trail = known >= 0 ? this.#trail.slice(0, known + 1) : [...this.#trail, after];
    if (document.activeElement !== this.search) this.search.value = this.#options.search;
    for (const { button } of this.kinds) button.checked = button.value === this.#options.kind;
    this.gone.checked = !this.#options.active;
    this.#load();
  }

  #type() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#choose({ search: this.search.value.trim() }), TYPING);
  }

  #choose(change) {
    const options = { ...this.#options, ...change, after: "" };
    this.#trail = [""];
    history.replaceState(null, "", addressOf(options));
    this.arrive(new URLSearchParams(location.hash.split("?")[1] ?? ""));
  }

  async #load() {
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    const { kind, search, active, after } = this.#options;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (kind) query.set("kind", kind);
    if (search) query.set("search", search);
    if (active) query.set("active", "true");
    if (after) query.set("after", after);
    try {
      const { nodes, next } = await this.app.api.get(`nodes?${query}`, { signal: asked.signal });
      this.#draw(nodes, next);
    } catch (error) {
      if (error instanceof Problem) this.found.replaceChildren(trouble(error));
      else if (error.name !== "AbortError") throw error;
    }
  }

  #draw(nodes, next) {
    const { kind, search, after } = this.#options;
    const shown = nodes.length > 0 ? this.table.element : this.#nothing(search);
    if (this.found.firstElementChild !== shown) this.found.replaceChildren(shown);
    this.table.element.dataset.kind = kind;
    this.table.set(withTexts(nodes));
    [...this.table.body.children].forEach((element, place) =>
      element.classList.toggle("gone", !nodes[place].active),
    );
    const page = this.#trail.length;
    setText(
      this.said,
      nodes.length === 0
        ? ""
        : `${count(nodes.length)} on page ${page}${next ? ", more follow" : after ? ", the last" : ""}`,
    );
    const link = (text, to) => el("a", { href: addressOf({ ...this.#options, after: to }), text });
    const focused = this.pages.contains(document.activeElement)
      ? document.activeElement.textContent
      : null;
    this.pages.replaceChildren(
      ...(after ? [link("First", ""), link("Previous", this.#trail.at(-2) ?? "")] : []),
      ...(next ? [link("Next", next)] : []),
    );
    if (focused) [...this.pages.children].find((one) => one.textContent === focused)?.focus();
  }

  #nothing(search) {
    return search
      ? empty("No node of that name", "The search looks for names that contain what you typed.")
      : empty("Nobody is registered", "A provider or user appears here with its first report.");
  }
}

function addressOf({ kind, search, active, after }) {
  const query = new URLSearchParams();
  if (kind) query.set("kind", kind);
  if (search) query.set("search", search);
  if (!active) query.set("left", "1");
  if (after) query.set("after", after);
  return `#/nodes${query.size > 0 ? `?${query}` : ""}`;
}

const COLUMNS = [
  {
    ...linkColumn(
      "Name",
      (row) => row.name,
      (row) => nodeAddress(row.kind, row.name),
    ),
    class: "name",
  },
  textColumn("Kind", (row) => row.kind, { class: "kind" }),
  textColumn("Status", (row) => (row.active ? "active" : "gone"), { class: "status" }),
  textColumn("Last report", (row) => ago(row.received_at), { figure: true, class: "wide" }),
  textColumn(
    "Expires in",
    (row) =>
      row.active && row.expires_at
        ? duration(Math.max(new Date(row.expires_at).getTime() - Date.now(), 0))
        : NOTHING,
    { figure: true, class: "wide" },
  ),
  textColumn("QoE", (row) => row.texts.qoe, { figure: true, unit: "ms" }),
  textColumn("Payment", (row) => row.texts.payment, { figure: true, unit: "money" }),
  textColumn("Utility", (row) => row.texts.utility, { figure: true, unit: "money", class: "wide" }),
  textColumn("Compute price", (row) => row.texts.compute, { figure: true, class: "of-provider" }),
  textColumn("Bandwidth price", (row) => row.texts.bandwidth, {
    figure: true,
    class: "of-provider",
  }),
];

function withTexts(nodes) {
  const columns = Object.entries({
    qoe: (node) => node.qoe,
    payment: (node) => node.payment,
    utility: (node) => node.utility,
    compute: (node) => node.compute_price,
    bandwidth: (node) => node.bandwidth_price,
  }).map(([name, read]) => [
    name,
    column(nodes.map((node) => read(node) ?? NaN)).map((text) => (text === NOTHING ? "" : text)),
  ]);
  return nodes.map((node, place) => ({
    ...node,
    texts: Object.fromEntries(columns.map(([name, texts]) => [name, texts[place]])),
  }));
}
