/** `<product-manager>`: the showcase: add, edit, put in order (by dragging or by buttons), pin, remove. */
import { newKey } from "../client.js";
import { field, h, setText, show } from "../ui/dom.js";
import { amountInput, currencySelect, filled, readMoney } from "../ui/forms.js";
import { icon } from "../ui/icons.js";
import { formatAmount, t } from "../ui/i18n.js";
import { picture, priceTag } from "../ui/goods.js";

/** Fires `sell` {product}: the host wants a deal with it. */
class ProductManager extends HTMLElement {
  #editing = null;
  #dragged = null;

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
    this.list = h("ol", { class: "goods", testid: "product-list" });
    this.said = h("span", { class: "unseen", role: "status" });
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
    this.append(h("h2", {}, t("products")), this.list, this.note, this.details, this.said);
    show(this.leave, false);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("products", () => this.#draw());
  }

  get #base() {
    return `/api/v1/streams/${this.store.stream.id}/products`;
  }

  #path(id) {
    return `${this.#base}/${encodeURIComponent(id)}`;
  }

  #draw() {
    const focused = document.activeElement?.closest?.(".good");
    const [id, testid] = [focused?.dataset.id, document.activeElement?.dataset?.testid];
    const products = [...this.store.products.values()];
    const rows = products.map((product, index) => this.#row(product, index, products.length));
    this.list.replaceChildren(...(rows.length ? rows : [h("li", { class: "nothing" }, t("product.none"))]));
    // the row was made anew: who moves a product by keyboard keeps the button under the finger
    const again = id && rows.find((row) => row.dataset.id === id)?.querySelector(`[data-testid="${testid}"]`);
    if (again) (again.disabled ? again.closest(".good").querySelector(".good-move button:not(:disabled)") : again)?.focus();
  }

  #row(product, index, count) {
    const pinned = this.store.stream?.pinned === product.id;
    const act = (key, testid, onclick, extra = {}) => h("button", { class: "small", type: "button", testid, onclick, ...extra }, t(key));
    const move = (by, name, key) =>
      h("button", { class: "small square", type: "button", testid: `product-${name}`, disabled: index + by < 0 || index + by >= count, aria: { label: t(key, { title: product.title }) }, onclick: () => this.#move(product, by) }, icon(name));
    const row = h(
      "li",
      { class: "good", testid: "product-item", draggable: "true", dataset: { id: product.id, pinned: String(pinned) } },
      h("span", { class: "grip", aria: { hidden: "true" } }, icon("grip")),
      picture(product),
      h("div", { class: "good-words" }, h("strong", {}, product.title), priceTag(product)),
      h("div", { class: "good-move" }, move(-1, "up", "product.up"), move(1, "down", "product.down")),
      h(
        "div",
        { class: "good-actions" },
        h("button", { class: pinned ? "small pinned" : "small", type: "button", testid: "product-pin", aria: { pressed: String(pinned) }, onclick: () => this.#pin(product, pinned) }, icon("pin"), t(pinned ? "product.unpin" : "product.pin")),
        act("product.sell", "product-sell", () => this.dispatchEvent(new CustomEvent("sell", { detail: { product } }))),
        act("edit", "product-edit", () => this.#edit(product)),
        act("remove", "product-remove", () => this.#doing(() => this.api.delete(this.#path(product.id)))),
      ),
    );
    this.#draggable(row);
    return row;
  }

  #draggable(row) {
    row.addEventListener("dragstart", (event) => {
      this.#dragged = row.dataset.id;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", row.dataset.id);
      row.dataset.dragged = "true";
    });
    row.addEventListener("dragend", () => {
      this.#dragged = null;
      this.#draw();
    });
    row.addEventListener("dragover", (event) => {
      if (!this.#dragged || this.#dragged === row.dataset.id) return;
      event.preventDefault();
      const box = row.getBoundingClientRect();
      row.dataset.drop = event.clientY < box.top + box.height / 2 ? "before" : "after";
    });
    row.addEventListener("dragleave", () => delete row.dataset.drop);
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      const ids = [...this.store.products.keys()].filter((id) => id !== this.#dragged);
      ids.splice(ids.indexOf(row.dataset.id) + (row.dataset.drop === "after" ? 1 : 0), 0, this.#dragged);
      this.#order(ids);
    });
  }

  async #move(product, by) {
    const ids = [...this.store.products.keys()];
    const from = ids.indexOf(product.id);
    ids.splice(from + by, 0, ...ids.splice(from, 1));
    await this.#order(ids);
    setText(this.said, t("product.moved", { title: product.title, place: ids.indexOf(product.id) + 1 }));
  }

  /** Shown at once, so that a second tap goes on from it; taken back where the server refuses. */
  #order(ids) {
    const before = [...this.store.products.keys()];
    this.store.orderProducts(ids);
    return this.#doing(async () => {
      try {
        await this.api.put(`${this.#base}/order`, { product_ids: ids });
      } catch (error) {
        this.store.orderProducts(before);
        throw error;
      }
    });
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
