// Tables whose rows stay the same elements while their numbers change.

import { arrange, el, setText } from "./dom.js";
import { count } from "./format.js";

const STEP = 50;

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [unit]
 * @property {boolean} [figure] a number: right-aligned
 * @property {string} [class]
 * @property {boolean} [heading] the cell that names the row
 * @property {(cell: HTMLElement, row: any, place: number) => void} fill
 */

/** Rows by key; the arrow keys move from row to row, Enter follows the row's link. */
export class Table {
  #rows = new Map();
  #shown = 0;
  #all = [];

  /**
   * @param {{label: string, columns: Column[], key: (row: any) => string, class?: string,
   *   group?: {title: string, span: number}[], onRow?: (row: any | null) => void, step?: number}}
   *   options `onRow` hears which row is pointed at; `step` rows are shown at first
   */
  constructor({
    label,
    columns,
    key,
    class: name = "",
    group = undefined,
    onRow = undefined,
    step = STEP,
  }) {
    this.step = step;
    this.#shown = step;
    this.columns = columns;
    this.key = key;
    this.onRow = onRow;
    const head = columns.map((column) =>
      el(
        "th",
        { scope: "col", role: "columnheader", class: names(column) },
        column.title,
        column.unit ? el("span", { class: "unit", text: `, ${column.unit}` }) : null,
      ),
    );
    const groups = group?.map(({ title, span }) =>
      el("th", {
        scope: "colgroup",
        role: "columnheader",
        class: "group",
        colspan: span,
        text: title,
      }),
    );
    this.body = el("tbody", { role: "rowgroup" });
    // The roles hold where the style sheet lays a row out as a card.
    const table = el(
      "table",
      {
        class: `rows ${name}`,
        role: "table",
        "aria-label": label,
        on: { keydown: (event) => this.#key(event) },
      },
      el(
        "thead",
        { role: "rowgroup" },
        groups ? el("tr", { role: "row" }, ...groups) : null,
        el("tr", { role: "row" }, ...head),
      ),
      this.body,
    );
    this.more = el("button", {
      type: "button",
      class: "quiet",
      hidden: true,
      on: { click: () => this.#more() },
    });
    this.element = el(
      "div",
      {},
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table),
      this.more,
    );
  }

  set(rows) {
    this.#all = rows;
    const shown = rows.slice(0, this.#shown);
    const before = this.#rows;
    this.#rows = new Map();
    const elements = shown.map((row, place) => {
      const key = this.key(row);
      const element = before.get(key) ?? this.#make();
      this.#rows.set(key, element);
      element.row = row;
      this.columns.forEach((column, at) => column.fill(element.children[at], row, place));
      return element;
    });
    arrange(this.body, elements);
    this.more.hidden = rows.length <= this.#shown;
    setText(
      this.more,
      `Show ${Math.min(this.step, rows.length - this.#shown)} more of ${count(rows.length - this.#shown)}`,
    );
  }

  #make() {
    const element = el(
      "tr",
      { role: "row" },
      ...this.columns.map((column) =>
        el(column.heading ? "th" : "td", {
          class: names(column),
          role: column.heading ? "rowheader" : "cell",
          scope: column.heading ? "row" : undefined,
          "data-title": column.title,
        }),
      ),
    );
    if (this.onRow) {
      for (const name of ["mouseenter", "focusin"])
        element.addEventListener(name, () => this.onRow(element.row));
      for (const name of ["mouseleave", "focusout"])
        element.addEventListener(name, () => this.onRow(null));
    }
    return element;
  }

  #more() {
    const first = this.#shown;
    this.#shown += this.step;
    this.set(this.#all);
    this.body.children[first]?.querySelector("a")?.focus();
  }

  #key(event) {
    const row = event.target.closest("tbody tr");
    const next = {
      ArrowDown: row?.nextElementSibling,
      ArrowUp: row?.previousElementSibling,
      Home: this.body.firstElementChild,
      End: this.body.lastElementChild,
    }[event.key];
    const link = row && next?.querySelector("a");
    if (!link) return;
    event.preventDefault();
    link.focus();
  }
}

function names(column) {
  return [column.figure ? "figure" : "", column.class ?? ""].join(" ").trim();
}

/** A column of text or numbers. */
export function textColumn(title, read, more = {}) {
  return { title, fill: (cell, row, place) => setText(cell, read(row, place)), ...more };
}

/** The column that leads to the row's own page. */
export function linkColumn(title, read, address, more = {}) {
  return {
    title,
    heading: true,
    fill: (cell, row) => {
      const link = cell.firstElementChild ?? cell.appendChild(el("a"));
      setText(link, read(row));
      if (link.getAttribute("href") !== address(row)) link.setAttribute("href", address(row));
    },
    ...more,
  };
}
