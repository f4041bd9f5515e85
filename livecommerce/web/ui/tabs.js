/** Tabs as the keyboard knows them: one stop, arrows between, the panel follows. */
import { h } from "./dom.js";

/** A strip of tabs for `[{name, label, icon?, panel}]`; `turned(name)` is called when one is chosen. */
export function tabStrip(label, tabs, turned) {
  const strip = h("div", { class: "strip", role: "tablist", aria: { label } });
  const buttons = tabs.map(({ name, label: words, badge, panel }) =>
    h("button", { type: "button", role: "tab", id: `part-${name}`, testid: `part-${name}`, dataset: { name }, aria: { controls: panel.id, selected: "false" }, tabindex: "-1", onclick: () => turned(name) }, words, badge),
  );
  for (const { name, panel } of tabs) {
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `part-${name}`);
  }
  strip.append(...buttons);
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const from = buttons.indexOf(document.activeElement);
    if (!by || from < 0) return;
    event.preventDefault();
    const next = buttons[(from + by + buttons.length) % buttons.length];
    next.focus();
    turned(next.dataset.name);
  });
  strip.choose = (name) => {
    for (const button of buttons) {
      const chosen = button.dataset.name === name;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  };
  return strip;
}
