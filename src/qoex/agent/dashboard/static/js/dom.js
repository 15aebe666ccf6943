// Elements made by code. Data becomes text nodes or attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * What an element gets beside its children; anything else than these four is an attribute, and
 * undefined, null and false leave it out.
 * @typedef {{text?: string, on?: Record<string, (event: any) => void>,
 *   style?: Record<string, string>, [attribute: string]: any}} Options
 * @typedef {(Node | string | null | undefined)[]} Children
 */

/**
 * Make an HTML element.
 * @param {string} tag
 * @param {Options} [options]
 * @param {Children} children
 * @returns {any}
 */
export function el(tag, options = {}, ...children) {
  return furnish(document.createElement(tag), options, children);
}

/**
 * Make an SVG element.
 * @param {string} tag
 * @param {Options} [options]
 * @param {Children} children
 * @returns {any}
 */
export function svg(tag, options = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), options, children);
}

/** @param {HTMLElement | SVGElement} node @param {Options} options @param {Children} children */
function furnish(node, { text, on, style, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  if (text !== undefined) node.textContent = text;
  for (const [name, listener] of Object.entries(on ?? {})) node.addEventListener(name, listener);
  for (const [name, value] of Object.entries(style ?? {})) node.style.setProperty(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set the text of a node if it differs: what a person has selected stays selected. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Put these nodes, in this order, into a parent, moving as little as possible. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, place) => {
    if (parent.childNodes[place] !== node)
      parent.insertBefore(node, parent.childNodes[place] ?? null);
  });
}

/** A number with its unit, which a narrow space keeps on the same line. */
export function quantity(text, unit) {
  return el(
    "span",
    { class: "quantity" },
    text,
    unit ? el("span", { class: "unit", text: `\u202f${unit}` }) : null,
  );
}
