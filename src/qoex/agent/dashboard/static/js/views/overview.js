// The whole market: what its capacities are worth, what users get, and how the agent keeps up.

import { el, quantity, setText } from "../dom.js";
import { ago, count, counted, dated, number, percent, scientific } from "../format.js";
import { Histogram } from "../histogram.js";
import { empty, section } from "../parts.js";
import { CapacityTable } from "./capacities.js";
import { CycleCharts } from "./cycle_charts.js";
import { CycleTable } from "./cycle_table.js";

/** @param {any} app */
export function overview(app) {
  return new Overview(app);
}

class Overview {
  title = "Market";
  #parts = null;

  constructor(app) {
    this.app = app;
    this.element = el("div", { class: "overview" });
  }

  update() {
    const { history } = this.app;
    if (!history.latest) {
      this.element.replaceChildren(
        el("h1", { text: "Market" }),
        empty(
          "No cycle has run yet",
          "Its first cycle settles the market on what nodes have reported by then; this page shows it as soon as it is committed.",
        ),
      );
      return;
    }
    this.#parts ??= this.#build();
    const { vital, capacities, charts, qoe, payments, cycles } = this.#parts;
    const inForce = history.inForce;
    vital.set(history.latest, inForce);
    capacities.set(inForce, history.cycles);
    charts.set(history.cycles, inForce);
    qoe.set(inForce?.qoe ?? null);
    payments.set(inForce?.payments ?? null);
    cycles.set(history.cycles);
  }

  destroy() {
    for (const part of [this.#parts?.charts, this.#parts?.qoe, this.#parts?.payments])
      part?.destroy();
  }

  #build() {
    const charts = new CycleCharts();
    const parts = {
      vital: new VitalSigns(),
      capacities: new CapacityTable((provider) => charts.highlight(provider)),
      charts,
      qoe: new Histogram({ title: "QoE of a user", unit: "ms", none: "Nobody is served." }),
      payments: new Histogram({ title: "Payment of a user", unit: "money", none: "Nobody pays." }),
      cycles: new CycleTable(this.app),
    };
    this.element.replaceChildren(
      el("h1", { class: "hidden", text: "Market" }),
      parts.vital.element,
      section("Capacities", parts.capacities.element),
      section("Over time", charts.element),
      section(
        "Users",
        el("div", { class: "charts two" }, parts.qoe.element, parts.payments.element),
      ),
      section("Cycles", parts.cycles.element),
    );
    return parts;
  }
}

/** The few numbers that say whether all is well. */
class VitalSigns {
  #items = [
    "Decision in force",
    "Market",
    "QoE of a user",
    "Payments",
    "Last cycle",
    "Relative regret",
  ].map((term) => {
    const value = el("span", { class: "value" });
    const more = el("span", { class: "more" });
    return {
      value,
      more,
      element: el("div", {}, el("dt", { text: term }), el("dd", {}, value, more)),
    };
  });

  element = el("dl", { class: "vital" }, ...this.#items.map((item) => item.element));

  set(latest, inForce) {
    const [decision, market, qoe, payments, time, regret] = this.#items;
    fill(
      decision,
      inForce ? [`cycle ${count(inForce.number)}`] : ["none yet"],
      inForce ? `decided ${ago(inForce.committed_at)}` : "nobody could be served so far",
    );
    const left = [
      latest.dropped ? `${count(latest.dropped)} turned away` : "",
      latest.left_out ? `${count(latest.left_out)} left out` : "",
    ];
    fill(
      market,
      [`${count(latest.providers)}\u202f×\u202f${count(latest.users)}`],
      ["providers × users", latest.pairs === null ? "" : counted(latest.pairs, "pair"), ...left]
        .filter(Boolean)
        .join(", "),
    );
    const spread = inForce?.qoe?.quantiles?.length ? inForce.qoe : null;
    fill(
      qoe,
      spread ? [quantity(number(spread.quantiles[3]), "ms")] : ["–"],
      spread
        ? `four fifths within ${number(spread.quantiles[1], 3)} to ${number(spread.quantiles[5], 3)}`
        : "nobody is served",
    );
    fill(
      payments,
      [quantity(number(inForce?.payments_total ?? 0), "money")],
      "of all users, at these rewards",
    );
    const spent = latest.duration_ms;
    fill(
      time,
      [quantity(number(spent.total, 3), "ms")],
      spent.solve
        ? `${percent(spent.solve / spent.total, 2)} of it solving, ${counted(latest.sweeps ?? 0, "sweep")}`
        : "nothing was solved",
    );
    fill(
      regret,
      [scientific(inForce?.regret_relative)],
      inForce ? `KKT residual ${scientific(inForce.kkt_residual)}` : "no decision to judge",
    );
    decision.element.classList.toggle("kept", latest.result === "kept");
    decision.element.title = inForce ? dated(inForce.committed_at) : "";
  }
}

function fill({ value, more }, parts, detail) {
  value.replaceChildren(...parts);
  setText(more, detail);
}
