// The colours of the style sheet, for what is drawn on a canvas.

const scheme = matchMedia("(prefers-color-scheme: dark)");

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Call back when the reader changes between dark and light; returns how to stop that. */
export function onSchemeChange(listener) {
  scheme.addEventListener("change", listener);
  return () => scheme.removeEventListener("change", listener);
}

/** As many hues as people tell apart; with more lines, hue says nothing any more. */
export const HUES = 10;

export function hue(index) {
  return `hue-${(index % HUES) + 1}`;
}
