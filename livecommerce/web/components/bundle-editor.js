/** `<bundle-editor>`: what a set is made of: stock items of the show and how many of each go in. */
import { newKey } from "../client.js";
import { h, show } from "../ui/dom.js";
import { wholeInput } from "../ui/forms.js";
import { t } from "../ui/i18n.js";

const LEAST_ITEMS = 2;

class BundleEditor extends HTMLElement {
  #units = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    this.rows = h("ul", { class: "bundle-rows", testid: "bundle-items" });
    this.heading = h("input", { type: "text", testid: "item-title", maxlength: "120", autocomplete: "off", aria: { label: t("item.title") }, placeholder: t("item.title") });
    this.stock = wholeInput("item-stock", 20, { min: 0 });
    this.stock.setAttribute("aria-label", t("item.stock"));
    this.stock.required = false;
    this.add = h("button", { class: "small", type: "button", testid: "item-add", onclick: () => this.#add() }, t("item.add"));
    this.note = h("refusal-note", { testid: "item-refusal" });
    this.append(h("p", { class: "field-label" }, t("bundle.items")), this.rows, h("div", { class: "bundle-new" }, this.heading, this.stock, this.add), this.note);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
  }

  get #path() {
    return `/api/v1/streams/${this.store.stream.id}/items`;
  }

  /** Read the stock; false where the server has none. */
  async read() {
    try {
      const answer = await this.api.get(this.#path);
      this.#draw(Array.isArray(answer) ? answer : answer.items);
      return true;
    } catch (error) {
      if (!["not_found", "method_not_allowed"].includes(error.code)) this.note.refuse(error);
      return false;
    }
  }

  #draw(items) {
    const known = new Set(items.map((item) => item.item_id));
    for (const id of this.#units.keys()) if (!known.has(id)) this.#units.delete(id);
    const sorted = [...items].sort((a, b) => a.title.localeCompare(b.title));
    this.rows.replaceChildren(...sorted.map((item) => this.#row(item)));
    show(this.rows, items.length > 0);
  }

  #row(item) {
    const units = wholeInput("bundle-units", this.#units.get(item.item_id) ?? 0, { min: 0, max: 100 });
    units.required = false;
    units.setAttribute("aria-label", t("bundle.units", { title: item.title }));
    units.addEventListener("input", () => this.#units.set(item.item_id, units.valueAsNumber || 0));
    const words = h("span", {}, h("strong", {}, item.title), h("small", {}, t("bundle.left", { count: item.left ?? item.stock })));
    return h("li", { dataset: { id: item.item_id } }, words, units);
  }

  async #add() {
    const title = this.heading.value.trim();
    if (!title) return this.heading.focus();
    this.note.clear();
    try {
      await this.api.put(`${this.#path}/i${newKey().slice(0, 12)}`, { title, stock: this.stock.valueAsNumber || 0 });
      this.heading.value = "";
      await this.read();
    } catch (error) {
      this.note.refuse(error);
    }
  }

  /** `[{item_id, units}]`, or null when it is no set: two items at least. */
  value() {
    const chosen = [...this.#units].filter(([, units]) => units > 0).map(([item_id, units]) => ({ item_id, units }));
    return chosen.length >= LEAST_ITEMS ? chosen : null;
  }
}

customElements.define("bundle-editor", BundleEditor);
