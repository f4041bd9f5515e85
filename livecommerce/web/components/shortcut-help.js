/** `<shortcut-help>`: what the keyboard can do, and a switch for it (single keys disturb who speaks to their computer). */
import { safeStorage } from "../client.js";
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const SAVED = "livecommerce.keys";

class ShortcutHelp extends HTMLElement {
  #storage = safeStorage();
  #actions = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("dl", { class: "keys" });
    this.on = h("input", { type: "checkbox", testid: "keys-on", checked: this.#storage.getItem(SAVED) !== "off", onchange: () => this.#storage.setItem(SAVED, this.on.checked ? "on" : "off") });
    const close = h("button", { class: "round", type: "button", aria: { label: t("close") }, onclick: () => this.dialog.close() }, icon("close"));
    this.dialog = h(
      "dialog",
      { class: "sheet", testid: "keys", aria: { label: t("keys.title") } },
      h("header", {}, h("h2", {}, t("keys.title")), close),
      this.list,
      h("label", { class: "tick" }, this.on, h("span", {}, t("keys.on"))),
    );
    this.append(this.dialog);
    this.listener = (event) => this.#pressed(event);
    document.addEventListener("keydown", this.listener);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.listener);
  }

  /** `[[key, words, act], …]`; a capital needs Shift (what cannot be taken back); `?` opens this help. */
  offer(actions) {
    this.#actions = new Map([...actions.map(([key, , act]) => [key, act]), ["?", () => this.open()]]);
    const rows = [...actions, ["?", t("keys.help")]].flatMap(([key, words]) => [h("dt", {}, h("kbd", {}, /[A-Z]/.test(key) ? `⇧ ${key}` : key.toUpperCase())), h("dd", {}, words)]);
    this.list.replaceChildren(...rows);
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  #pressed(event) {
    const writing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (writing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
    // not the letter alone: Caps Lock is no Shift
    const act = this.#actions.get(event.key === "?" ? "?" : event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase());
    if (!act || (!this.on.checked && event.key !== "?")) return;
    event.preventDefault();
    act();
  }
}

customElements.define("shortcut-help", ShortcutHelp);
