// How a quantity is spread over users: bars, and below them the quantiles as one strip.

import { count, number, percent } from "./format.js";
import { el, setText, svg } from "./dom.js";

const HEIGHT = 148;
const FLOOR = 100; // where bars stand
const STRIP = 136; // middle of the strip of quantiles
const TOP = 6;
const SIDE = 10;
const TICK_SPACE = 64;

export class Histogram {
  /** @param {{title: string, unit: string, none: string}} options */
  constructor(options) {
    this.options = options;
    this.canvas = el("div", { class: "canvas" });
    this.readout = el("span", { class: "readout" });
    this.table = el("div", {
      class: "scroll",
      tabindex: "0",
      role: "region",
      "aria-label": `${options.title}, as a table`,
    });
    this.details = el(
      "details",
      { class: "numbers", on: { toggle: () => this.#fillTable() } },
      el("summary", { text: "Table" }),
      this.table,
    );
    this.element = el(
      "figure",
      { class: "chart" },
      el(
        "figcaption",
        {},
        el(
          "span",
          { class: "title" },
          options.title,
          el("span", { class: "unit", text: `, ${options.unit}` }),
        ),
        this.readout,
      ),
      this.canvas,
      this.details,
    );
    this.size = new ResizeObserver(() => this.#draw());
    this.size.observe(this.canvas);
  }

  destroy() {
    this.size.disconnect();
  }

  /** @param {any} spread {mean, quantiles: [min, p10, p25, p50, p75, p90, max], histogram}, or null */
  set(spread) {
    this.spread = spread?.histogram?.counts?.length > 0 ? spread : null;
    this.#draw();
    this.#fillTable();
  }

  #draw() {
    const width = this.canvas.clientWidth;
    this.details.hidden = !this.spread;
    if (!this.spread) {
      this.canvas.replaceChildren(el("p", { class: "empty", text: this.options.none }));
      setText(this.readout, "");
      return;
    }
    if (width === 0) return;
    const { histogram, quantiles, mean } = this.spread;
    const { edges, counts } = histogram;
    const low = edges[0];
    const high = edges.at(-1) > low ? edges.at(-1) : low + 1;
    const place = (value) => SIDE + ((value - low) / (high - low)) * (width - 2 * SIDE);
    const most = counts.reduce((a, b) => Math.max(a, b), 1);
    const bars = counts.map((many, bin) => {
      const height = (many / most) * (FLOOR - TOP);
      const [left, right] = [place(edges[bin]), place(edges[bin + 1])];
      return svg("rect", {
        class: "bar",
        x: left + 0.5,
        y: FLOOR - height,
        width: Math.max(right - left - 1, 1),
        height,
      });
    });
    const ticks = niceTicks(low, high, Math.max(Math.floor(width / TICK_SPACE), 2)).map((value) =>
      svg(
        "g",
        {},
        svg("line", {
          class: "tick",
          x1: place(value),
          x2: place(value),
          y1: FLOOR,
          y2: FLOOR + 4,
        }),
        label(value, place(value), width),
      ),
    );
    const [min, p10, p25, p50, p75, p90, max] = quantiles.map(place);
    const strip = [
      svg("line", { class: "whisker", x1: min, x2: max, y1: STRIP, y2: STRIP }),
      svg("rect", {
        class: "outer",
        x: p10,
        width: Math.max(p90 - p10, 1),
        y: STRIP - 3,
        height: 6,
      }),
      svg("rect", {
        class: "inner",
        x: p25,
        width: Math.max(p75 - p25, 1),
        y: STRIP - 6,
        height: 12,
      }),
      svg("line", { class: "median", x1: p50, x2: p50, y1: STRIP - 9, y2: STRIP + 9 }),
    ];
    const picture = svg(
      "svg",
      {
        role: "img",
        "aria-label": this.#sentence(),
        width,
        height: HEIGHT,
        viewBox: `0 0 ${width} ${HEIGHT}`,
      },
      svg("line", { class: "axis", x1: SIDE, x2: width - SIDE, y1: FLOOR, y2: FLOOR }),
      ...bars,
      ...ticks,
      ...strip,
    );
    this.canvas.replaceChildren(picture);
    setText(this.readout, `median ${number(quantiles[3])}, mean ${number(mean)}`);
  }

  #sentence() {
    const [min, p10, , p50, , p90, max] = this.spread.quantiles.map((value) => number(value));
    const { title, unit } = this.options;
    return `${title}: median ${p50} ${unit}, four fifths between ${p10} and ${p90}, all between ${min} and ${max}.`;
  }

  #fillTable() {
    if (!this.details.open || !this.spread) return;
    const { edges, counts } = this.spread.histogram;
    const all = counts.reduce((a, b) => a + b, 0);
    const row = (...cells) =>
      el(
        "tr",
        {},
        ...cells.map((text, at) =>
          el(at ? "td" : "th", at ? { class: "figure", text } : { scope: "row", text }),
        ),
      );
    const rows = counts.map((many, bin) =>
      row(`${number(edges[bin])} to ${number(edges[bin + 1])}`, count(many), percent(many / all)),
    );
    const head = el(
      "tr",
      {},
      el("th", { scope: "col", text: this.options.unit }),
      el("th", { scope: "col", class: "figure", text: "users" }),
      el("th", { scope: "col", class: "figure", text: "share" }),
    );
    this.table.replaceChildren(
      el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, ...rows)),
    );
  }
}

function label(value, x, width) {
  const anchor = x < SIDE + 14 ? "start" : x > width - SIDE - 14 ? "end" : "middle";
  const at = anchor === "start" ? x - SIDE / 2 : anchor === "end" ? x + SIDE / 2 : x;
  return svg("text", { x: at, y: FLOOR + 17, "text-anchor": anchor, text: number(value) });
}

/** Round numbers from low to high, about as many as asked for. */
export function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high * (1 + 1e-12); at += 1)
    ticks.push(at * step);
  return ticks;
}
