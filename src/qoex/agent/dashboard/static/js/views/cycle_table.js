// The last cycles in a table, and a button that runs one now.

import { Problem } from "../api.js";
import { el, setText } from "../dom.js";
import { clock, column, count, number, scientific } from "../format.js";
import { Table, textColumn } from "../table.js";

const SHOWN = 12;

export class CycleTable {
  constructor(app) {
    this.app = app;
    this.table = new Table({
      label: "The last cycles",
      class: "cycles",
      key: (row) => String(row.number),
      columns: [
        { ...textColumn("Cycle", (row) => count(row.number), { figure: true }), heading: true },
        textColumn("Committed", (row) => clock(row.committed_at), { figure: true }),
        textColumn("Result", (row) => row.result, { class: "result" }),
        textColumn("Users", (row) => count(row.users), { figure: true, class: "wide" }),
        textColumn("Pairs", (row) => count(row.pairs), { figure: true, class: "wide" }),
        textColumn("Log position", (row) => count(row.position), { figure: true, class: "wide" }),
        textColumn("Sweeps", (row) => count(row.sweeps ?? NaN), { figure: true, class: "wide" }),
        textColumn("Time", (row) => row.text, { figure: true, unit: "ms" }),
        textColumn("Regret", (row) => scientific(row.regret_relative), { figure: true }),
        textColumn("Reason", (row) => row.reason, { class: "reason" }),
      ],
    });
    this.button = el("button", {
      type: "button",
      text: "Run a cycle now",
      on: { click: () => this.#run() },
    });
    this.said = el("span", { class: "hint", role: "status" });
    this.element = el(
      "div",
      {},
      this.table.element,
      el("p", { class: "actions" }, this.button, this.said),
    );
  }

  set(cycles) {
    const rows = cycles.slice(-SHOWN).reverse();
    const texts = column(rows.map((row) => row.duration_ms.total ?? NaN));
    this.table.set(rows.map((row, place) => ({ ...row, text: texts[place] })));
    [...this.table.body.children].forEach((element, place) =>
      element.classList.toggle("kept", rows[place].result === "kept"),
    );
  }

  async #run() {
    this.button.disabled = true;
    setText(this.said, "running…");
    try {
      const cycle = await this.app.api.post("cycles");
      setText(
        this.said,
        `Cycle ${count(cycle.number)}: ${cycle.result} in ${number(cycle.duration_ms.total, 3)}\u202fms.`,
      );
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setText(this.said, error.message);
    } finally {
      this.button.disabled = false;
    }
  }
}
