/** Drawings: SVG elements made one by one, as `h` makes HTML's. */
const NS = "http://www.w3.org/2000/svg";

/** `svg("rect", {x: 1, class: "bar"}, ...children)`; attributes that are null are left out. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) element.setAttribute(name, value);
  element.append(...children.flat().filter(Boolean));
  return element;
}
