// What the page of a user shows of its decision and of its report.

import { TimeChart } from "../chart.js";
import { el, quantity } from "../dom.js";
import { column, count, counted, number, NOTHING, scientific } from "../format.js";
import { empty, facts, providerAddress } from "../parts.js";
import { seconds } from "../series.js";
import { linkColumn, Table, textColumn } from "../table.js";

const sum = (values) => values.reduce((a, b) => a + b, 0);

export class UserParts {
  /** @param {boolean} own whether the reader is this user, who may not open the pages of others */
  constructor(own) {
    this.own = own;
    this.summary = el("div", {});
    this.services = new Table({
      label: "Services",
      class: "services",
      key: (row) => row.provider,
      columns: [
        { ...this.#provider(), class: "name" },
        textColumn("Reward", (row) => row.texts.reward, { figure: true, unit: "money/ms" }),
        textColumn("QoE", (row) => row.texts.qoe, { figure: true, unit: "ms" }),
        textColumn("Payment", (row) => row.texts.payment, { figure: true, unit: "money" }),
        textColumn("Latency", (row) => row.texts.latency_ms, { figure: true, unit: "ms" }),
        textColumn("Compute", (row) => row.texts.compute, { figure: true, unit: "TFLOPS" }),
        textColumn("Bandwidth", (row) => row.texts.bandwidth, { figure: true, unit: "MHz" }),
      ],
    });
    this.demands = new Table({
      label: "Demands",
      class: "demands",
      key: (row) => row.provider,
      columns: [
        { ...this.#provider(), class: "name" },
        textColumn("Accuracy", (row) => accuracy(row), { figure: true }),
        textColumn("Input", (row) => number(row.input_tokens), { figure: true, unit: "tokens" }),
        textColumn("Output", (row) => number(row.output_tokens), { figure: true, unit: "tokens" }),
        textColumn(
          "Latency budget",
          (row) => (row.latency_budget ? number(row.latency_budget) : "the provider's"),
          { figure: true, unit: "ms" },
        ),
      ],
    });
    this.none = empty(
      "No service in this decision",
      "The user has no part in the decision in force: it came later, it demands nothing that can be served, or it was turned away.",
    );
    this.qoe = new TimeChart({
      title: "QoE",
      unit: "ms",
      format: (value) => `${number(value)}\u202fms`,
    });
    this.payment = new TimeChart({
      title: "Payment",
      unit: "money",
      format: (value) => number(value),
    });
    this.element = el(
      "div",
      {},
      this.summary,
      this.services.element,
      this.none,
      el("div", { class: "charts two" }, this.qoe.element, this.payment.element),
    );
  }

  destroy() {
    this.qoe.destroy();
    this.payment.destroy();
  }

  /** What the charts keep of a decision. */
  point({ decided_at: at, services }) {
    const total = (field) =>
      services.length > 0 ? sum(services.map((service) => service[field])) : null;
    return { time: seconds(at), qoe: total("qoe"), payment: total("payment") };
  }

  /** @param {any} decision @param {ReturnType<UserParts["point"]>[]} points oldest first */
  set(decision, points) {
    const { services, utility, regret } = decision;
    this.services.element.hidden = services.length === 0;
    this.none.hidden = services.length > 0;
    this.summary.replaceChildren(
      facts([
        ["In force", inForce(decision)],
        ["QoE", quantity(number(sum(services.map((one) => one.qoe))), "ms")],
        ["Payment", quantity(number(sum(services.map((one) => one.payment))), "money")],
        ["Utility", quantity(number(utility), "money")],
        ["Gain by deviating", quantity(regret === null ? NOTHING : scientific(regret), "money")],
      ]),
    );
    this.services.set(
      withTexts(services, ["reward", "qoe", "payment", "latency_ms", "compute", "bandwidth"]),
    );
    const times = points.map((point) => point.time);
    this.qoe.set(times, [{ name: "QoE", ink: "accent", values: points.map((point) => point.qoe) }]);
    this.payment.set(times, [
      { name: "payment", ink: "accent", values: points.map((point) => point.payment) },
    ]);
  }

  setReport(place, document) {
    const { report } = document;
    const demands = Object.entries(report.demands ?? {}).map(([provider, demand]) => ({
      provider,
      ...demand,
    }));
    this.demands.set(demands);
    place.replaceChildren(
      facts([
        ["Profit factor", quantity(number(report.profit_factor), "money")],
        [
          "Reward",
          quantity(`${number(report.reward_min)} to ${number(report.reward_max)}`, "money/ms"),
        ],
        ["Demands", counted(demands.length, "provider")],
      ]),
      demands.length > 0 ? this.demands.element : empty("It demands nothing", ""),
    );
  }

  #provider() {
    return this.own
      ? { ...textColumn("Provider", (row) => row.provider), heading: true }
      : linkColumn(
          "Provider",
          (row) => row.provider,
          (row) => providerAddress(row.provider),
        );
  }
}

function accuracy({ performance_gap: gap, examples }) {
  return gap === undefined || gap === null
    ? `${number(examples)} examples`
    : `gap ${scientific(gap)}`;
}

/** Which decision is in force, in words. */
export function inForce({ in_force: number }) {
  return number === null ? "no decision yet" : `cycle ${count(number)}`;
}

/** Rows with their numbers written so that each column's points line up. */
export function withTexts(rows, fields) {
  const columns = fields.map((field) => [field, column(rows.map((row) => row[field]))]);
  return rows.map((row, place) => ({
    ...row,
    texts: Object.fromEntries(columns.map(([field, texts]) => [field, texts[place]])),
  }));
}
