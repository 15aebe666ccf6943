// What the page of a provider shows of its decision and of its report.

import { TimeChart } from "../chart.js";
import { el, quantity, setText } from "../dom.js";
import { count, counted, number, percent } from "../format.js";
import { empty, facts, fillBar, fillRegime, RESOURCES, userAddress } from "../parts.js";
import { seconds } from "../series.js";
import { linkColumn, Table, textColumn } from "../table.js";
import { inForce, withTexts } from "./user.js";

export class ProviderParts {
  /** @param {boolean} own whether the reader is this provider, who may not open the pages of others */
  constructor(own) {
    const user = own
      ? { ...textColumn("User", (row) => row.user), heading: true }
      : linkColumn(
          "User",
          (row) => row.user,
          (row) => userAddress(row.user),
        );
    this.summary = el("div", {});
    this.capacities = new Table({
      label: "Capacities",
      class: "own-capacities",
      key: (row) => row.title,
      columns: [
        { ...textColumn("Capacity", (row) => row.title), heading: true, class: "name" },
        { title: "Regime", fill: (cell, row) => fillRegime(cell, row.regime) },
        {
          title: "Use",
          class: "bar wide",
          fill: (cell, row) => fillBar(cell, row.use, row.capacity, row.regime),
        },
        textColumn(
          "Used / capacity",
          (row) => `${number(row.use)} / ${number(row.capacity)} ${row.unit}`,
          { figure: true },
        ),
        textColumn("Price", (row) => number(row.price), { figure: true }),
        textColumn("Unit cost", (row) => number(row.unit_cost), { figure: true, class: "wide" }),
        textColumn("× cost", (row) => `${number(row.price / row.unit_cost, 3)}×`, { figure: true }),
      ],
    });
    this.search = el("input", {
      id: "users-search",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#drawUsers() },
    });
    this.counted = el("span", { class: "hint", role: "status" });
    this.users = new Table({
      label: "Users of the provider",
      class: "services",
      step: 25,
      key: (row) => row.user,
      columns: [
        { ...user, class: "name" },
        textColumn("Reward", (row) => row.texts.reward, { figure: true, unit: "money/ms" }),
        textColumn("QoE", (row) => row.texts.qoe, { figure: true, unit: "ms" }),
        textColumn("Payment", (row) => row.texts.payment, { figure: true, unit: "money" }),
        textColumn("Compute", (row) => row.texts.compute, { figure: true, unit: "TFLOPS" }),
        textColumn("Bandwidth", (row) => row.texts.bandwidth, { figure: true, unit: "MHz" }),
      ],
    });
    this.none = empty("Nobody is served", "The provider has no user in the decision in force.");
    this.use = new TimeChart({
      title: "In use",
      unit: "% of capacity",
      legend: true,
      format: (value) => percent(value / 100),
      range: () => [0, 102],
    });
    this.price = new TimeChart({
      title: "Price",
      unit: "× unit cost, log scale",
      legend: true,
      log: true,
      format: (value) => `${number(value, 3)}×`,
      tick: (value) => `${number(value, 3)}×`,
      range: (low, high) => [Math.min(low, 1) * 0.8, Math.max(high * 1.3, 10)],
    });
    this.element = el(
      "div",
      {},
      this.summary,
      this.capacities.element,
      el("div", { class: "charts two" }, this.use.element, this.price.element),
      el("h3", { text: "Users" }),
      el(
        "div",
        { class: "filters" },
        el(
          "div",
          { class: "field" },
          el("label", { for: "users-search", text: "Name" }),
          this.search,
        ),
        this.counted,
      ),
      this.users.element,
      this.none,
    );
  }

  destroy() {
    this.use.destroy();
    this.price.destroy();
  }

  /** What the charts keep of a decision. */
  point({ decided_at: at, compute, bandwidth }) {
    return { time: seconds(at), compute, bandwidth };
  }

  /** @param {any} decision @param {ReturnType<ProviderParts["point"]>[]} points oldest first */
  set(decision, points) {
    const states = RESOURCES.filter(({ key }) => decision[key]).map((resource) => ({
      ...resource,
      ...decision[resource.key],
    }));
    this.rows = [...decision.users].sort((a, b) => b.payment - a.payment);
    this.capacities.element.hidden = states.length === 0;
    this.capacities.set(states);
    const income = this.rows.reduce((total, row) => total + row.payment, 0);
    this.summary.replaceChildren(
      facts([
        ["In force", inForce(decision)],
        ["Users", count(this.rows.length)],
        ["Income", quantity(number(income), "money")],
        ["Utility", quantity(number(decision.utility), "money")],
      ]),
    );
    this.#drawUsers();
    const times = points.map((point) => point.time);
    const lines = (read) =>
      RESOURCES.map(({ key, title }, at) => ({
        name: title.toLowerCase(),
        ink: `hue-${at + 1}`,
        width: 1.75,
        values: points.map((point) => (point[key] ? read(point[key]) : null)),
      }));
    this.use.set(
      times,
      lines((state) => (100 * state.use) / state.capacity),
    );
    this.price.set(
      times,
      lines((state) => state.price / state.unit_cost),
    );
  }

  setReport(place, document) {
    const { report } = document;
    place.replaceChildren(
      facts([
        ["Compute", quantity(number(report.compute_capacity), "TFLOPS")],
        ["Compute in other use", percent(report.compute_load ?? 0)],
        ["Unit cost of compute", quantity(number(report.compute_cost), "money/TFLOPS")],
        ["Bandwidth", quantity(number(report.bandwidth_capacity), "MHz")],
        ["Bandwidth in other use", percent(report.bandwidth_load ?? 0)],
        ["Unit cost of bandwidth", quantity(number(report.bandwidth_cost), "money/MHz")],
        ["Latency budget", quantity(number(report.latency_budget), "ms")],
        ["Work model", report.work_model ?? "quadratic"],
      ]),
    );
  }

  #drawUsers() {
    const wanted = this.search.value.trim().toLowerCase();
    const rows = (this.rows ?? []).filter((row) => row.user.toLowerCase().includes(wanted));
    this.users.element.hidden = rows.length === 0;
    this.none.hidden = rows.length > 0 || wanted !== "";
    setText(
      this.counted,
      wanted
        ? `${counted(rows.length, "user")} of ${this.rows.length}`
        : "the highest payments first",
    );
    this.users.set(withTexts(rows, ["reward", "qoe", "payment", "compute", "bandwidth"]));
  }
}
