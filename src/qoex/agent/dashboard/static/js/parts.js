// Small pieces that several views are made of.

import { Problem } from "./api.js";
import { el, setText, svg } from "./dom.js";
import { percent } from "./format.js";

export const RESOURCES = [
  { key: "compute", title: "Compute", unit: "TFLOPS" },
  { key: "bandwidth", title: "Bandwidth", unit: "MHz" },
];

const REGIMES = {
  slack: "Some of it is free: the price is the unit cost.",
  pinned: "All of it is in use, and the price is still the unit cost.",
  binding: "All of it is in use, and the price is above the unit cost.",
};

export function userAddress(name) {
  return `#/users/${encodeURIComponent(name)}`;
}

export function providerAddress(name) {
  return `#/providers/${encodeURIComponent(name)}`;
}

export function nodeAddress(kind, name) {
  return kind === "provider" ? providerAddress(name) : userAddress(name);
}

/** A cell that names a regime; colour only repeats what the word says. */
export function fillRegime(cell, regime) {
  const chip = cell.firstElementChild ?? cell.appendChild(el("span"));
  setText(chip, regime ?? "–");
  chip.className = `chip ${regime ?? ""}`;
  chip.title = REGIMES[regime] ?? "";
}

/** A bar of use within capacity: the frame is the capacity. */
export function fillBar(cell, use, capacity, regime) {
  const bar =
    cell.firstElementChild ??
    cell.appendChild(el("span", { class: "meter", "aria-hidden": "true" }, el("i")));
  const share = capacity > 0 ? Math.min(use / capacity, 1) : 0;
  bar.title = percent(share);
  bar.firstElementChild.style.width = `${100 * share}%`;
  bar.firstElementChild.className = regime ?? "";
}

const SPARK = { width: 84, height: 20, inset: 2.5 };

/** A line as small as a word, with a dot where it is now; its scale is its own range. */
export function fillSpark(cell, values, description) {
  const { width, height, inset } = SPARK;
  const known = values.filter((value) => Number.isFinite(value));
  if (known.length === 0) {
    cell.replaceChildren();
    return;
  }
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  const flat = high - low <= 1e-9 * Math.abs(high);
  const step = (width - 2 * inset) / Math.max(known.length - 1, 1);
  const x = (at) => (known.length === 1 ? width - inset : inset + at * step);
  const y = (value) =>
    flat ? height / 2 : height - inset - ((value - low) / (high - low)) * (height - 2 * inset);
  const points = known.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const picture =
    cell.firstElementChild ??
    cell.appendChild(
      svg(
        "svg",
        { class: "spark", role: "img", width, height, viewBox: `0 0 ${width} ${height}` },
        svg("polyline"),
        svg("circle", { r: 2 }),
      ),
    );
  picture.setAttribute("aria-label", description);
  picture.children[0].setAttribute("points", points);
  picture.children[1].setAttribute("cx", x(known.length - 1));
  picture.children[1].setAttribute("cy", y(known.at(-1)));
}

export function section(title, ...children) {
  return el("section", {}, el("h2", { text: title }), ...children);
}

/** What a view shows where there is nothing to show. */
export function empty(title, ...sentences) {
  return el(
    "div",
    { class: "empty" },
    el("p", { class: "lead", text: title }),
    ...sentences.map((text) => el("p", { text })),
  );
}

/** What went wrong, as a view shows it. */
export function trouble(error) {
  if (!(error instanceof Problem)) throw error;
  return empty(error.title, error.detail);
}

/** Terms with their values: [term, value] pairs; a value is text or a node. */
export function facts(pairs) {
  const items = pairs.map(([term, value]) =>
    el("div", {}, el("dt", { text: term }), el("dd", {}, value)),
  );
  return el("dl", { class: "facts" }, ...items);
}

/** Run a task now and again as often as asked, but never twice at once nor closer than `least`. */
export function paced(task, least) {
  let running = false;
  let again = false;
  let stopped = false;
  let timer = null;
  const run = async () => {
    running = true;
    again = false;
    await task();
    if (stopped) return;
    timer = setTimeout(() => {
      running = false;
      if (again && !stopped) run();
    }, least);
  };
  const ask = () => {
    if (stopped) return;
    if (running) again = true;
    else run();
  };
  ask.stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return ask;
}
