/** Making elements, never parsing markup: text stays text, whatever a viewer typed. */

/** `h("button", {class: "buy", onclick, testid: "deal-buy", aria: {label: "…"}}, "Buy", icon)` */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "testid") element.dataset.testid = value;
  else if (name === "class") element.className = value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "aria") for (const [key, text] of Object.entries(value)) element.setAttribute(`aria-${key}`, text);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name in element && typeof value !== "string") element[name] = value;
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Change text only when it differs, so that nothing flickers and live regions stay quiet. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide without losing the element's state. */
export function show(element, visible) {
  element.hidden = !visible;
}

/** A custom property for the stylesheet (allowed by a strict CSP, unlike a style attribute). */
export function cssVar(element, name, value) {
  element.style.setProperty(name, value);
}

/** A labelled form field: `field("Price", input)`. */
export function field(label, control, hint = null) {
  return h("label", { class: "field" }, h("span", { class: "field-label" }, label), control, hint && h("small", {}, hint));
}

/** A colour out of a name, the same everywhere: a hue in degrees. */
export function hueOf(text) {
  let hash = 0;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return hash % 360;
}

/** The first letter of a name, for an avatar. */
export function initial(name) {
  return [...(name ?? "").trim()][0]?.toLocaleUpperCase() ?? "?";
}

/** An avatar: the initial on the name's colour. */
export function avatar(name) {
  const element = h("span", { class: "avatar", aria: { hidden: "true" } }, initial(name));
  cssVar(element, "--hue", String(hueOf(name ?? "")));
  return element;
}
