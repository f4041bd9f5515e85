/** `<product-card>`: the product the host points at, and the sheet with everything of this show. */
import { h, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";
import { picture, priceTag } from "../ui/goods.js";

class ProductCard extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.card = h("button", { class: "product-card", testid: "product-card", type: "button", onclick: () => this.#open() });
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
    return h("button", { class: "round", type: "button", onclick: () => this.sheet.close(), aria: { label: t("close") } }, icon("close"));
  }

  follow(store) {
    this.store = store;
    store.addEventListener("products", () => this.#draw());
    store.addEventListener("deals", () => this.#draw());
  }

  #draw() {
    const pinned = this.store.pinned;
    const onSale = [...this.store.deals.values()].some((deal) => deal.product_id === pinned?.id && ["open", "sold_out"].includes(deal.state));
    const product = onSale ? null : pinned; // the deal's own card shows it, at the deal's price
    show(this, product !== null);
    if (this.sheet.open) this.#list();
    if (!product) return;
    this.card.replaceChildren(
      picture(product),
      h("span", { class: "product-words" }, h("strong", {}, product.title), priceTag(product)),
      h("span", { class: "product-more" }, icon("bag"), String(this.store.products.size)),
    );
  }

  #open() {
    this.#list();
    this.sheet.showModal();
  }

  #list() {
    const items = [...this.store.products.values()].map((product) =>
      h(
        "li",
        { class: "sheet-item", testid: "sheet-item" },
        picture(product),
        h("div", {}, h("strong", {}, product.title), priceTag(product), h("p", {}, product.description ?? "")),
      ),
    );
    this.items.replaceChildren(...items);
  }
}

customElements.define("product-card", ProductCard);
