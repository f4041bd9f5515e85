/** `<deal-composer>`: a flash deal out of a few fields, started now or after a countdown everybody sees. */
import { field, h } from "../ui/dom.js";
import { amountInput, currencySelect, filled, readMoney, wholeInput } from "../ui/forms.js";
import { icon } from "../ui/icons.js";
import { formatAmount, t } from "../ui/i18n.js";

const COUNTDOWNS_S = [0, 5, 10, 30, 60];

/** Fires `composed` {id} when a deal was made. */
class DealComposer extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.product = h("select", { testid: "deal-product", onchange: () => this.#take() });
    this.heading = h("input", { testid: "deal-title", type: "text", maxlength: "120", required: true, autocomplete: "off" });
    this.price = amountInput("deal-price", { required: true });
    this.currency = currencySelect("deal-currency", t("currency"));
    this.before = amountInput("deal-compare");
    this.units = wholeInput("deal-units", 10);
    this.limit = wholeInput("deal-limit", 1, { max: 1000 });
    this.duration = wholeInput("deal-duration", 60, { max: 86_400 });
    this.hold = wholeInput("deal-hold", 60, { max: 3600 });
    this.start = h("select", { testid: "deal-start" });
    this.start.append(...COUNTDOWNS_S.map((s) => h("option", { value: String(s) }, s ? t("deal.in", { count: s }) : t("deal.now"))));
    this.open = h("button", { class: "deal-go", testid: "deal-open", type: "submit" }, icon("bolt"), t("deal.start"));
    this.note = h("refusal-note", { testid: "deal-refusal" });
    this.append(
      h("h2", {}, t("deal.compose")),
      h(
        "form",
        { class: "form-grid", onsubmit: (e) => this.#submit(e) },
        h("div", { class: "wide" }, field(t("deal.product"), this.product)),
        h("div", { class: "wide" }, field(t("deal.title"), this.heading)),
        field(t("price"), this.price),
        field(t("currency"), this.currency),
        field(t("compare-at"), this.before, t("optional")),
        field(t("deal.stock"), this.units),
        field(t("deal.per-buyer"), this.limit),
        field(t("deal.duration"), this.duration),
        field(t("deal.hold"), this.hold, t("deal.hold.hint")),
        field(t("deal.begins"), this.start),
        h("div", { class: "wide" }, this.open),
      ),
      this.note,
    );
    this.#products([]);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("products", () => this.#products([...store.products.values()]));
  }

  #products(products) {
    const chosen = this.product.value;
    const options = products.map((p) => h("option", { value: p.id, selected: p.id === chosen }, p.title));
    this.product.replaceChildren(h("option", { value: "" }, t("deal.no-product")), ...options);
  }

  #take() {
    const product = this.store.products.get(this.product.value);
    if (!product) return;
    this.heading.value = product.title;
    this.currency.value = product.price.currency;
    this.price.value = formatAmount(product.price);
    this.before.value = product.compare_at ? formatAmount(product.compare_at) : "";
  }

  #spec() {
    const currency = this.currency.value;
    const product = this.store.products.get(this.product.value);
    const wait = Number(this.start.value);
    return filled({
      title: this.heading.value.trim(),
      product_id: product?.id,
      image_url: product?.image_url,
      description: product?.description,
      price: readMoney(this.price, currency),
      compare_at: readMoney(this.before, currency, { optional: true }),
      stock: this.units.valueAsNumber,
      per_buyer_limit: this.limit.valueAsNumber,
      duration_s: this.duration.valueAsNumber,
      hold_s: this.hold.valueAsNumber,
      opens_at_ms: wait ? Math.round(this.store.clock.now()) + wait * 1000 : null,
    });
  }

  async #submit(event) {
    event.preventDefault();
    if (this.open.disabled) return;
    this.open.disabled = true;
    this.note.clear();
    try {
      const path = `/api/v1/streams/${this.store.stream.id}/deals`;
      const spec = this.#spec();
      let deal = await this.api.post(path, spec);
      if (!spec.opens_at_ms) deal = await this.api.post(`${path}/${deal.id}/open`);
      this.store.takeDeal(deal);
      this.dispatchEvent(new CustomEvent("composed", { detail: { id: deal.id } }));
    } catch (error) {
      this.note.refuse(error);
    } finally {
      this.open.disabled = false;
    }
  }
}

customElements.define("deal-composer", DealComposer);
