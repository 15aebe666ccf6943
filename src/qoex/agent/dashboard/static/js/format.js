// Numbers as a person reads them; the same rules as the sentences of `qoex explain`.

const DIGITS = 4;
const PLAIN_FROM = 1e-4;
const PLAIN_TO = 1e7;
const LEAST_DIGITS = 2;
const LONGEST = 9;
export const NOTHING = "–";
const MINUS = "−";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Few significant digits, a power of ten only at the extremes. */
export function number(value, digits = DIGITS) {
  if (value === null || value === undefined || Number.isNaN(value)) return NOTHING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (!(size >= PLAIN_FROM && size < PLAIN_TO)) return scientific(value, 2);
  const text = value.toFixed(decimals(value, digits));
  return grouped(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}

/** A power of ten: 1.9×10⁻¹⁶. */
export function scientific(value, digits = 2) {
  if (value === null || value === undefined) return NOTHING;
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  const raised = [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `${grouped(mantissa)}×10${power < 0 ? "⁻" : ""}${raised}`;
}

/** Cells of a column: equally many decimals, so that the points line up. */
export function column(values, digits = DIGITS) {
  const sizes = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  let places = 0;
  if (sizes.length > 0) {
    const large = sizes.reduce((a, b) => Math.max(a, b));
    const small = sizes.reduce((a, b) => Math.min(a, b));
    places = Math.max(decimals(large, digits), decimals(small, LEAST_DIGITS));
    if (large.toFixed(Math.min(places, 100)).length > LONGEST) places = -1;
  }
  return values.map((value) => {
    if (!Number.isFinite(value)) return NOTHING;
    return places < 0 ? number(value, digits) : grouped(value.toFixed(places));
  });
}

export function percent(share, digits = 3) {
  return Number.isFinite(share) ? `${number(100 * share, digits)}\u202f%` : NOTHING;
}

export function count(value) {
  return Number.isFinite(value) ? grouped(String(value)) : NOTHING;
}

/** An exact decimal of the ledger: digits are grouped, none is lost. */
export function amount(text) {
  return grouped(text);
}

export function counted(value, thing) {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** Hours, minutes and seconds in the reader's zone. */
export function clock(moment) {
  return moment ? new Date(moment).toLocaleTimeString("en-GB") : NOTHING;
}

export function dated(moment) {
  if (!moment) return NOTHING;
  const date = new Date(moment);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${clock(moment)}`;
}

/** How long from now to then, or since then, in the largest unit that fits. */
export function duration(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1000);
  if (seconds < 90) return `${seconds}\u202fs`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes}\u202fmin`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours}\u202fh` : `${Math.round(hours / 24)}\u202fdays`;
}

export function ago(moment, now = Date.now()) {
  return moment ? `${duration(now - new Date(moment).getTime())} ago` : NOTHING;
}

function decimals(value, digits) {
  return Math.min(Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(value))), 0), 100);
}

function grouped(text) {
  const [, sign, whole, rest] = /^(-?)(\d+)(.*)$/.exec(text);
  const spaced = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  return (sign ? MINUS : "") + spaced + rest;
}
