/** `<product-card>`: the product the host points at, and the sheet with everything of this show. */
import { h, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";
import { lowestNote, picture, priceTag } from "../ui/goods.js";

/** Whether a deal is about a product: it names it, or (set up without one) has its title. */
const sells = (deal, product) => (deal.product_id ? deal.product_id === product.id : deal.title === product.title);

class ProductCard extends HTMLElement {
  /** The product that the sheet shows large. */
  #chosen = null;
  #told = new Set();

  connectedCallback() {
    if (this.firstChild) return;
    this.card = h("button", { class: "product-card", testid: "product-card", type: "button", onclick: () => this.open() });
    this.items = h("ul", { class: "sheet-items" });
    this.sheet = h(
      "dialog",
      { class: "sheet", testid: "product-sheet", aria: { label: t("products") } },
      h("header", {}, h("h2", {}, t("products")), this.#closer()),
      this.items,
    );
    this.sheet.addEventListener("click", (e) => e.target === this.sheet && this.sheet.close());
    this.append(this.card, this.sheet);
    this.hidden = true;
  }

  #closer() {
    return h("button", { class: "round", type: "button", testid: "sheet-close", onclick: () => this.sheet.close(), aria: { label: t("close") } }, icon("close"));
  }

  follow(store) {
    this.store = store;
    store.addEventListener("products", () => this.#draw());
    store.addEventListener("deals", () => this.#draw());
  }

  #draw() {
    const pinned = this.store.pinned;
    const onSale = pinned && [...this.store.deals.values()].some((deal) => ["open", "sold_out"].includes(deal.state) && sells(deal, pinned));
    const product = onSale ? null : pinned; // the deal's own card shows it, at the deal's price
    show(this.card, product !== null);
    this.hidden = product === null && !this.sheet.open;
    if (this.sheet.open) this.#list();
    if (!product) return;
    this.card.replaceChildren(
      picture(product),
      h("span", { class: "product-words" }, h("strong", {}, product.title), priceTag(product)),
      h("span", { class: "product-more" }, icon("bag"), h("span", { aria: { hidden: "true" } }, String(this.store.products.size)), h("span", { class: "unseen" }, t("product.count", { count: this.store.products.size }))),
    );
  }

  /** Open the sheet, at a product or at the pinned one. */
  open(id = this.store.pinned?.id ?? this.store.products.keys().next().value) {
    this.hidden = false;
    this.sheet.showModal();
    this.#choose(id);
    this.sheet.querySelector("button")?.focus();
  }

  #choose(id) {
    this.#chosen = id;
    this.#list();
    if (!id || this.#told.has(id) || !this.store.room?.joined) return;
    this.#told.add(id);
    // a look that is not counted is not worth words
    this.store.room.call("product.view", { product_id: id }).catch(() => {});
  }

  #list() {
    const products = [...this.store.products.values()];
    const chosen = products.find((product) => product.id === this.#chosen);
    const rest = products.filter((product) => product !== chosen);
    this.items.replaceChildren(...(chosen ? [this.#large(chosen)] : []), ...rest.map((product) => this.#small(product)));
  }

  #large(product) {
    return h(
      "li",
      { class: "sheet-item large", testid: "sheet-item" },
      picture(product),
      h("div", {}, h("h3", {}, product.title), priceTag(product), lowestNote(product), product.description && h("p", { dir: "auto" }, product.description)),
    );
  }

  #small(product) {
    const words = h("span", { class: "product-words" }, h("strong", {}, product.title), priceTag(product));
    return h("li", { testid: "sheet-item" }, h("button", { class: "sheet-item", type: "button", onclick: () => this.#choose(product.id) }, picture(product), words, icon("back")));
  }
}

customElements.define("product-card", ProductCard);
