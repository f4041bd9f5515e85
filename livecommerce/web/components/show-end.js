/** `<show-end>`: what remains when a show is over: its products, and the way to other shows. */
import { h, show } from "../ui/dom.js";
import { picture, priceTag } from "../ui/goods.js";
import { t } from "../ui/i18n.js";

const MOST = 6;

/** Fires `product` {id}. */
class ShowEnd extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.heading = h("h2", {}, t("end.products"));
    this.list = h("ul", { class: "end-products" });
    this.append(this.heading, this.list, h("a", { class: "button primary", href: "/", testid: "end-all" }, t("all-shows")));
    this.hidden = true;
  }

  /** Show the products of a show that is over; who comes late has not heard of them, so they are asked for. */
  async end(store, api) {
    if (!this.hidden) return;
    show(this, true);
    try {
      if (!store.products.size) {
        const { items } = await api.get(`/api/v1/streams/${encodeURIComponent(store.stream.id)}/products`);
        for (const product of items) store.putProduct(product);
      }
    } catch {
      // the words that the show is over stand without it
    }
    const items = [...store.products.values()].slice(0, MOST).map((product) => {
      const open = () => this.dispatchEvent(new CustomEvent("product", { detail: { id: product.id } }));
      return h("li", {}, h("button", { type: "button", class: "end-product", testid: "end-product", onclick: open }, picture(product), h("strong", {}, product.title), priceTag(product)));
    });
    show(this.heading, items.length > 0);
    this.list.replaceChildren(...items);
  }
}

customElements.define("show-end", ShowEnd);
