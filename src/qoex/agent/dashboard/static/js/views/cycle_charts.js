// Use and price of every provider, cycle time and regret, cycle by cycle.

import { TimeChart } from "../chart.js";
import { el, setText } from "../dom.js";
import { clock, count, counted, NOTHING, number, percent, scientific } from "../format.js";
import { RESOURCES } from "../parts.js";
import { keptTimes, ofProvider, seconds } from "../series.js";
import { hue, HUES } from "../theme.js";

// More lines than this are a grey cloud, and take long to draw.
const MOST_LINES = 40;
// A regret below the rounding of one number is drawn here: a logarithm has no place for 0.
const REGRET_FLOOR = 1e-18;
// qoex.certificate.CERTIFIED: a decision with more relative regret is not put in force.
export const CERTIFIED = 1e-9;

const PHASES = [
  ["total", "ink"],
  ["solve", "hue-1"],
  ["certify", "hue-2"],
  ["commit", "hue-3"],
  ["admit", "hue-4"],
  ["snapshot", "hue-8"],
];

export class CycleCharts {
  #highlighted = null;
  #cycles = [];
  #entries = [];
  #timer = 0;

  constructor() {
    this.use = charts((title) => ({
      title: `${title} in use`,
      unit: "% of capacity",
      format: (value) => percent(value / 100),
      range: () => [0, 102],
    }));
    this.price = charts((title) => ({
      title: `Price of ${title.toLowerCase()}`,
      unit: "× unit cost, log scale",
      log: true,
      format: multiple,
      tick: multiple,
      range: aroundPowers,
    }));
    this.time = new TimeChart({
      title: "Cycle time",
      unit: "ms, log scale",
      log: true,
      legend: true,
      format: (value) => `${number(value, 3)}\u202fms`,
      range: (low, high) => [low * 0.7, high * 1.5],
    });
    this.regret = new TimeChart({
      title: "Relative regret",
      unit: "log scale",
      log: true,
      tick: (value) =>
        value <= REGRET_FLOOR * 1.01 ? "0" : scientific(value, 1).replace("1×", ""),
      format: (value) => scientific(value),
      splits: [REGRET_FLOOR, 1e-15, 1e-12, CERTIFIED, 1e-6, 1e-3, 1],
      range: (_, high) => [REGRET_FLOOR, Math.min(Math.max(high * 10, 1e-6), 10)],
      rule: { at: CERTIFIED, label: "certified below" },
    });
    this.note = el("p", { class: "hint" });
    const [compute, bandwidth] = RESOURCES.map(({ key }) => key);
    const inOrder = [
      this.use[compute],
      this.price[compute],
      this.time,
      this.use[bandwidth],
      this.price[bandwidth],
      this.regret,
    ];
    this.all = inOrder;
    this.element = el(
      "div",
      {},
      el("div", { class: "charts three" }, ...inOrder.map((chart) => chart.element)),
      this.note,
    );
  }

  destroy() {
    cancelAnimationFrame(this.#timer);
    this.all.forEach((chart) => chart.destroy());
  }

  /** Draw the lines of one provider before those of the others (null: of none). */
  highlight(provider) {
    if (provider === this.#highlighted) return;
    this.#highlighted = provider;
    cancelAnimationFrame(this.#timer);
    this.#timer = requestAnimationFrame(() => this.#drawCapacities());
  }

  set(cycles, inForce) {
    this.#cycles = cycles;
    this.#entries = inForce?.capacity ?? [];
    this.#drawCapacities();
    this.#drawTime();
    this.#drawRegret();
    const span =
      cycles.length > 1
        ? `, ${clock(cycles[0].committed_at)} to ${clock(cycles.at(-1).committed_at)}`
        : "";
    const kept = cycles.filter((cycle) => cycle.result === "kept").length;
    const parts = [
      `${counted(cycles.length, "cycle")}${span}.`,
      kept > 0 ? `${count(kept)} brought no new decision, marked on the time axes.` : "",
      this.#entries.length > MOST_LINES
        ? `Lines: the ${MOST_LINES} dearest of ${count(this.#entries.length)} providers.`
        : "",
    ];
    setText(this.note, parts.filter(Boolean).join(" "));
  }

  #drawCapacities() {
    const times = this.#cycles.map((cycle) => seconds(cycle.committed_at));
    const marks = { times: keptTimes(this.#cycles), pointed: this.#highlighted };
    for (const { key, title } of RESOURCES) {
      const cost = (entry) => entry[key].price / entry[key].unit_cost;
      const chosen =
        this.#entries.length <= MOST_LINES
          ? this.#entries
          : [...this.#entries].sort((a, b) => cost(b) - cost(a)).slice(0, MOST_LINES);
      const lines = (read) =>
        chosen
          .map(({ provider }, place) => ({
            name: provider,
            ...this.#look(provider, place),
            values: ofProvider(this.#cycles, provider, read),
          }))
          .sort(
            (a, b) => Number(a.name === this.#highlighted) - Number(b.name === this.#highlighted),
          );
      const full = this.#entries.filter((entry) => entry[key].regime !== "slack").length;
      const dearest = [...this.#entries].sort((a, b) => cost(b) - cost(a))[0];
      this.use[key].set(
        times,
        lines((entry) => (100 * entry[key].use) / entry[key].capacity),
        {
          ...marks,
          sentence: `${title} is all in use at ${full} of ${this.#entries.length} providers.`,
        },
      );
      this.price[key].set(times, lines(cost), {
        ...marks,
        sentence: dearest
          ? `The dearest is ${dearest.provider} at ${multiple(cost(dearest))} its unit cost.`
          : "",
      });
    }
  }

  #look(provider, place) {
    const few = this.#entries.length <= HUES;
    if (this.#highlighted === null) return { ink: few ? hue(place) : "crowd", width: 1.25 };
    if (provider === this.#highlighted) return { ink: few ? hue(place) : "accent", width: 2.25 };
    return { ink: "crowd", width: 1 };
  }

  #drawTime() {
    const times = this.#cycles.map((cycle) => seconds(cycle.committed_at));
    // A phase that took nothing has no place on a logarithmic scale.
    const lines = PHASES.map(([name, ink]) => ({
      name,
      ink,
      width: name === "total" ? 1.75 : 1,
      values: this.#cycles.map((cycle) => cycle.duration_ms[name] || null),
    })).filter((line) => line.values.some((value) => value !== null));
    const latest = this.#cycles.at(-1).duration_ms.total;
    this.time.set(times, lines, {
      pointed: "total",
      times: keptTimes(this.#cycles),
      sentence: `The last cycle took ${number(latest, 3)} ms.`,
    });
  }

  #drawRegret() {
    const times = this.#cycles.map((cycle) => seconds(cycle.committed_at));
    const shown = this.#cycles.map((cycle) =>
      cycle.result === "decided" ? cycle.regret_relative : null,
    );
    const values = shown.map((value) => (value === null ? null : Math.max(value, REGRET_FLOOR)));
    const known = shown.filter((value) => value !== null);
    const worst = known.length
      ? `The largest of these cycles is ${scientific(known.reduce((a, b) => Math.max(a, b)))}.`
      : "";
    this.regret.set(
      times,
      [{ name: "relative regret", ink: "accent", values, shown, points: true }],
      { times: keptTimes(this.#cycles), sentence: worst },
    );
  }
}

function charts(options) {
  return Object.fromEntries(
    RESOURCES.map(({ key, title }) => [key, new TimeChart(options(title))]),
  );
}

function multiple(value) {
  return Number.isFinite(value) ? `${number(value, 3)}×` : NOTHING;
}

/** A logarithmic scale that shows 1 and the powers around what there is. */
function aroundPowers(low, high) {
  return [Math.min(10 ** Math.floor(Math.log10(low) + 1e-9), 1) * 0.8, Math.max(high * 1.3, 10)];
}
