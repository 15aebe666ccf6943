// A time series drawn by uPlot, with what it says in words and as a table.

import { clock, number } from "./format.js";
import { el, setText } from "./dom.js";
import { colour, onSchemeChange } from "./theme.js";

const uPlot = globalThis.uPlot;
const TABLE_ROWS = 20;
// Time shown at least, and between two numbers of its axis: seconds, minutes, hours, a day.
const LEAST_SPAN = 10;
const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400,
];
const SPACE = 26; // px between the numbers of an axis, at least
// Time flows in all charts of a page alike, so the cursor of one is the cursor of all.
const CURSORS = uPlot.sync("cycles");

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} ink name of a colour of the style sheet
 * @property {(number | null)[]} values
 * @property {number} [width]
 * @property {(number | null)[]} [shown] what the line stands for, where it is drawn elsewhere
 * @property {boolean} [points] dots instead of a line
 */

export class TimeChart {
  #plot = null;
  #drawn = "";
  #times = [];
  /** @type {Line[]} */
  #lines = [];
  #marks = [];
  #last = null;

  /**
   * @param {{title: string, unit: string, log?: boolean, height?: number, legend?: boolean,
   *   range?: (low: number, high: number) => [number, number],
   *   splits?: number[], tick?: (value: number) => string, format?: (value: number) => string,
   *   rule?: {at: number, label: string}}} options
   *   `splits` are the numbers of a logarithmic axis, `tick` writes them, `format` writes those of
   *   the readout and the table.
   */
  constructor(options) {
    this.options = { height: 150, tick: number, format: number, ...options };
    this.readout = el("span", { class: "readout" });
    this.canvas = el("div", {
      class: "canvas",
      tabindex: "0",
      role: "img",
      on: { keydown: (event) => this.#key(event), blur: () => this.#leave() },
    });
    this.spoken = el("p", { class: "hidden", role: "status" });
    this.legend = el("ul", { class: "legend" });
    this.table = el("div", {
      class: "scroll",
      tabindex: "0",
      role: "region",
      "aria-label": `${options.title}, last cycles`,
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
          options.unit ? el("span", { class: "unit", text: `, ${options.unit}` }) : null,
        ),
        this.readout,
      ),
      this.canvas,
      this.spoken,
      options.legend ? this.legend : null,
      this.details,
    );
    this.size = new ResizeObserver(() => this.#plot?.setSize(this.#size()));
    this.size.observe(this.canvas);
    this.forget = onSchemeChange(() => this.#draw(true));
  }

  destroy() {
    this.size.disconnect();
    this.forget();
    this.#plot?.destroy();
  }

  /**
   * @param {number[]} times seconds since 1970
   * @param {Line[]} lines
   * @param {{times?: number[], sentence?: string, pointed?: string | null}} [more]
   *   times to mark on the axis (kept cycles); what the picture says, for those who do not see it;
   *   name of the line that is read while the cursor is elsewhere
   */
  set(times, lines, { times: marks = [], sentence = "", pointed = null } = {}) {
    this.#times = times;
    this.#lines = lines;
    this.#marks = marks;
    this.canvas.setAttribute(
      "aria-label",
      `${this.options.title}. ${sentence} Arrow keys read single cycles.`,
    );
    this.pointed = pointed;
    this.#draw(false);
    this.#read(this.#plot?.cursor.idx ?? null);
    if (this.details.open) this.#fillTable();
  }

  #draw(anew) {
    const drawn = JSON.stringify(
      this.#lines.map(({ name, ink, width, points }) => [name, ink, width, points]),
    );
    const data = [this.#times, ...this.#lines.map((line) => line.values)];
    if (this.#plot && drawn === this.#drawn && !anew) {
      this.#plot.setData(data);
      return;
    }
    this.#drawn = drawn;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#design(), data, this.canvas);
    this.legend.replaceChildren(
      ...this.#lines.map((line) => el("li", {}, swatch(line.ink), line.name)),
    );
  }

  #size() {
    return { width: Math.max(this.canvas.clientWidth, 120), height: this.options.height };
  }

  #design() {
    const ink = colour("soft");
    const grid = { stroke: colour("faint-line"), width: 1 };
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: ink, font, grid, ticks: { show: false }, gap: 4 };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: {
        sync: { key: CURSORS.key },
        drag: { x: false, y: false },
        y: false,
        focus: { prox: 24 },
        points: { size: 6 },
      },
      focus: { alpha: 0.35 },
      scales: {
        x: { time: true, range: () => this.#span() },
        y: { distr: this.options.log ? 3 : 1, range: (_, low, high) => this.#range(low, high) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 24,
          space: 70,
          incrs: TIME_STEPS,
          values: (_, moments) => moments.map((moment) => clock(moment * 1000)),
        },
        {
          ...axis,
          size: 52,
          space: SPACE,
          ...this.#ticks(),
          values: (_, values) =>
            values.map((value) => (value === null ? "" : this.options.tick(value))),
        },
      ],
      series: [{}, ...this.#lines.map((line) => this.#series(line))],
      hooks: {
        draw: [(plot) => this.#annotate(plot)],
        setCursor: [(plot) => this.#read(plot.cursor.idx ?? null)],
        setSeries: [(_, index) => this.#focus(index)],
      },
    };
  }

  #ticks() {
    const { log, splits } = this.options;
    if (!log) return {};
    return { splits: splits ? () => splits : logSplits, filter: (_, values) => values }; // uPlot would hide some
  }

  #series(line) {
    return {
      label: line.name,
      stroke: line.points ? undefined : colour(line.ink),
      width: line.points ? 0 : (line.width ?? 1.25),
      paths: line.points ? () => null : undefined,
      points: line.points
        ? { show: true, size: 4, fill: colour(line.ink), stroke: colour(line.ink), width: 0 }
        : { show: (plot) => plot.data[0].length < 2, size: 5 },
    };
  }

  /** What time is shown: uPlot would show a day of a single cycle. */
  #span() {
    const last = this.#times.at(-1) ?? Date.now() / 1000;
    return [Math.min(this.#times[0] ?? last, last - LEAST_SPAN), last];
  }

  #range(low, high) {
    const { log, range } = this.options;
    if (low === null || high === null) return range ? range(1, 1) : log ? [0.1, 10] : [0, 1];
    if (range) return range(low, high);
    return low === high
      ? [low - Math.abs(low) / 10 - 1e-9, high + Math.abs(high) / 10 + 1e-9]
      : [low, high];
  }

  /** Draw the rule, and a mark below each kept cycle. */
  #annotate(plot) {
    const { ctx, bbox } = plot;
    const dots = devicePixelRatio;
    ctx.save();
    const { rule } = this.options;
    if (rule) {
      const height = plot.valToPos(rule.at, "y", true);
      ctx.strokeStyle = ctx.fillStyle = colour("soft");
      ctx.lineWidth = dots;
      ctx.setLineDash([4 * dots, 3 * dots]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, height);
      ctx.lineTo(bbox.left + bbox.width, height);
      ctx.stroke();
      ctx.font = `${11 * dots}px system-ui, sans-serif`;
      ctx.textAlign = "right";
      ctx.fillText(rule.label, bbox.left + bbox.width, height - 4 * dots);
    }
    ctx.fillStyle = colour("kept");
    for (const time of this.#marks) {
      const place = plot.valToPos(time, "x", true);
      ctx.fillRect(place - dots, bbox.top + bbox.height - 7 * dots, 2 * dots, 7 * dots);
    }
    ctx.restore();
  }

  #focus(index) {
    this.focused = index === null ? null : index - 1;
    this.#read(this.#plot?.cursor.idx ?? null);
  }

  /** Say what is under the cursor, or at the end of the series. */
  #read(index) {
    const at = index ?? this.#times.length - 1;
    const moment = index === null ? "" : `${clock(this.#times[at] * 1000)} `;
    const line =
      this.#lines.length === 1
        ? this.#lines[0]
        : (this.#lines[this.focused ?? -1] ?? this.#lines.find((one) => one.name === this.pointed));
    const value = line ? (line.shown ?? line.values)[at] : undefined;
    if (!line || at < 0) {
      setText(this.readout, index === null ? "" : moment);
      return;
    }
    const name = this.#lines.length === 1 ? "" : `${line.name} `;
    setText(this.readout, `${moment}${name}${this.options.format(value)}`);
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (!(event.key in steps) || this.#times.length === 0) return;
    event.preventDefault();
    const end = this.#times.length - 1;
    const at =
      this.#last === null ? end : Math.min(Math.max(this.#last + steps[event.key], 0), end);
    this.#last = at;
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#times[at], "x"), top: -10 });
    this.#read(at);
    setText(this.spoken, this.#sentence(at));
  }

  #leave() {
    this.#last = null;
    setText(this.spoken, "");
    this.#plot?.setCursor({ left: -10, top: -10 });
  }

  #sentence(at) {
    const values = this.#lines.map(
      (line) => `${line.name} ${this.options.format((line.shown ?? line.values)[at])}`,
    );
    return `${this.options.title}, ${clock(this.#times[at] * 1000)}: ${values.join(", ")}`;
  }

  #fillTable() {
    if (!this.details.open) return;
    const head = el(
      "tr",
      {},
      el("th", { scope: "col", text: "time" }),
      ...this.#lines.map((line) => el("th", { scope: "col", class: "figure", text: line.name })),
    );
    const from = Math.max(this.#times.length - TABLE_ROWS, 0);
    const rows = this.#times.slice(from).map((time, offset) =>
      el(
        "tr",
        {},
        el("th", { scope: "row", text: clock(time * 1000) }),
        ...this.#lines.map((line) =>
          el("td", {
            class: "figure",
            text: this.options.format((line.shown ?? line.values)[from + offset]),
          }),
        ),
      ),
    );
    this.table.replaceChildren(
      el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, ...rows.reverse())),
    );
  }
}

/** Powers of ten, as many as there is room for; twos and fives between them where there are few. */
export function logSplits(plot, _, low, high) {
  const room = Math.max(Math.floor(plot.bbox.height / devicePixelRatio / SPACE), 2);
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.ceil((last - first + 1) / room);
  const factors = last - first < 2 ? [1, 2, 5] : [1];
  const splits = [];
  for (let power = last - Math.floor((last - first) / step) * step - 1; power <= last; power += 1) {
    if ((last - power) % step === 0 || factors.length > 1)
      splits.push(...factors.map((factor) => factor * 10 ** power));
  }
  return splits.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
}

export function swatch(ink) {
  return el("i", {
    class: "swatch",
    "aria-hidden": "true",
    style: { background: `var(--${ink})` },
  });
}
