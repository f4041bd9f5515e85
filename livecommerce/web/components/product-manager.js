/** `<product-manager>`: the showcase: add, edit, pin, remove. */
import { newKey } from "../client.js";
import { field, h, setText, show } from "../ui/dom.js";
import { amountInput, currencySelect, filled, readMoney } from "../ui/forms.js";
import { icon } from "../ui/icons.js";
import { formatAmount, t } from "../ui/i18n.js";
import { picture, priceTag } from "../ui/goods.js";

class ProductManager extends HTMLElement {
  #editing = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.heading = h("input", { testid: "product-title", type: "text", maxlength: "120", required: true, autocomplete: "off" });
    this.price = amountInput("product-price", { required: true });
    this.currency = currencySelect("product-currency", t("currency"));
    this.before = amountInput("product-compare");
    this.image = h("input", { testid: "product-image", type: "text", inputmode: "url", maxlength: "2048", autocomplete: "off", placeholder: "https://" });
    this.words = h("textarea", { testid: "product-description", rows: 2, maxlength: "2000" });
    this.save = h("button", { class: "primary", testid: "product-save", type: "submit" }, t("product.add"));
    this.leave = h("button", { class: "quiet", type: "button", testid: "product-cancel", onclick: () => this.#edit(null) }, t("cancel"));
    this.note = h("refusal-note", { testid: "product-refusal" });
    this.list = h("ul", { class: "goods", testid: "product-list" });
    const form = h(
      "form",
      { class: "form-grid", onsubmit: (e) => this.#submit(e) },
      h("div", { class: "wide" }, field(t("product.title"), this.heading)),
      field(t("price"), this.price),
      field(t("currency"), this.currency),
      field(t("compare-at"), this.before, t("optional")),
      field(t("product.image"), this.image, t("optional")),
      h("div", { class: "wide" }, field(t("product.description"), this.words)),
      h("div", { class: "wide row" }, this.save, this.leave),
    );
    this.details = h("details", { class: "folded", testid: "product-form" }, h("summary", {}, icon("plus"), t("product.new")), form);
    this.append(h("h2", {}, t("products")), this.list, this.note, this.details);
    show(this.leave, false);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("products", () => this.#draw());
  }

  #path(id) {
    return `/api/v1/streams/${this.store.stream.id}/products/${encodeURIComponent(id)}`;
  }

  #draw() {
    const rows = [...this.store.products.values()].map((product) => this.#row(product));
    this.list.replaceChildren(...(rows.length ? rows : [h("li", { class: "nothing" }, t("product.none"))]));
  }

  #row(product) {
    const pinned = this.store.stream?.pinned === product.id;
    const act = (key, testid, onclick, extra = {}) => h("button", { class: "small", type: "button", testid, onclick, ...extra }, t(key));
    return h(
      "li",
      { class: "good", testid: "product-item", dataset: { id: product.id, pinned: String(pinned) } },
      picture(product),
      h("div", { class: "good-words" }, h("strong", {}, product.title), priceTag(product)),
      h(
        "div",
        { class: "good-actions" },
        h("button", { class: pinned ? "small pinned" : "small", type: "button", testid: "product-pin", aria: { pressed: String(pinned) }, onclick: () => this.#pin(product, pinned) }, icon("pin"), t(pinned ? "product.unpin" : "product.pin")),
        act("edit", "product-edit", () => this.#edit(product)),
        act("remove", "product-remove", () => this.#doing(() => this.api.delete(this.#path(product.id)))),
      ),
    );
  }

  #pin(product, pinned) {
    const path = `${this.#path(product.id)}/pin`;
    return this.#doing(() => (pinned ? this.api.delete(path) : this.api.post(path)));
  }

  #edit(product) {
    this.#editing = product?.id ?? null;
    this.details.open = product !== null;
    setText(this.save, t(product ? "save" : "product.add"));
    show(this.leave, product !== null);
    this.heading.value = product?.title ?? "";
    this.price.value = product ? formatAmount(product.price) : "";
    if (product) this.currency.value = product.price.currency;
    this.before.value = product?.compare_at ? formatAmount(product.compare_at) : "";
    this.image.value = product?.image_url ?? "";
    this.words.value = product?.description ?? "";
    if (product) this.heading.focus();
  }

  #submit(event) {
    event.preventDefault();
    return this.#doing(async () => {
      const currency = this.currency.value;
      const spec = filled({
        title: this.heading.value.trim(),
        price: readMoney(this.price, currency),
        compare_at: readMoney(this.before, currency, { optional: true }),
        image_url: this.image.value.trim(),
        description: this.words.value.trim(),
      });
      const product = await this.api.put(this.#path(this.#editing ?? `p${newKey().slice(0, 12)}`), spec);
      if (product?.id) this.store.putProduct(product);
      this.#edit(null);
    });
  }

  async #doing(act) {
    this.note.clear();
    this.save.disabled = true;
    try {
      await act();
    } catch (error) {
      this.note.refuse(error);
    } finally {
      this.save.disabled = false;
    }
  }
}

customElements.define("product-manager", ProductManager);
