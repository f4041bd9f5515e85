/** `<deal-composer>`: a flash deal out of a few fields, started now or after a countdown everybody sees. */
import { Refusal, safeStorage } from "../client.js";
import { field, h, show } from "../ui/dom.js";
import { amountInput, currencySelect, filled, readMoney, wholeInput } from "../ui/forms.js";
import { icon } from "../ui/icons.js";
import { countdown, formatAmount, t } from "../ui/i18n.js";

const COUNTDOWNS_S = [0, 5, 10, 30, 60];
/** One tap fills in what a deal of that kind usually has. */
const PRESETS = [
  { name: "lightning", duration: 30, units: 20, limit: 1, hold: 60, start: 5 },
  { name: "minute", duration: 60, units: 50, limit: 2, hold: 60, start: 0 },
  { name: "long", duration: 300, units: 100, limit: 5, hold: 120, start: 0 },
];
const BUNDLE = "bundle";
const SAVED = "livecommerce.deal";

/** Fires `composed` {id} when a deal was made. */
class DealComposer extends HTMLElement {
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    this.product = h("select", { testid: "deal-product", onchange: () => this.#take() });
    this.heading = h("input", { testid: "deal-title", type: "text", maxlength: "120", required: true, autocomplete: "off" });
    this.price = amountInput("deal-price", { required: true });
    this.currency = currencySelect("deal-currency", t("currency"));
    this.before = amountInput("deal-compare");
    const last = this.#last();
    this.units = wholeInput("deal-units", last.units);
    this.limit = wholeInput("deal-limit", last.limit, { max: 1000 });
    this.duration = wholeInput("deal-duration", last.duration, { max: 86_400 });
    this.hold = wholeInput("deal-hold", last.hold, { max: 3600 });
    this.start = h("select", { testid: "deal-start" });
    this.start.append(...COUNTDOWNS_S.map((s) => h("option", { value: String(s), selected: s === last.start }, s ? t("deal.in", { count: s }) : t("deal.now"))));
    this.bundle = h("bundle-editor", { testid: "bundle" });
    this.open = h("button", { class: "deal-go", testid: "deal-open", type: "submit" }, icon("bolt"), t("deal.start"));
    this.note = h("refusal-note", { testid: "deal-refusal" });
    this.append(h("div", { class: "section-head" }, h("h2", {}, t("deal.compose")), this.#presets()), this.#form(), this.note);
    this.#products([]);
    show(this.bundle, false);
  }

  #last() {
    try {
      return { units: 10, limit: 1, duration: 60, hold: 60, start: 0, ...JSON.parse(this.#storage.getItem(SAVED) ?? "{}") };
    } catch {
      return { units: 10, limit: 1, duration: 60, hold: 60, start: 0 };
    }
  }

  #presets() {
    const fill = (preset) => {
      for (const name of ["units", "limit", "duration", "hold", "start"]) this[name].value = String(preset[name]);
    };
    const chip = (preset) =>
      h("button", { class: "chip", type: "button", testid: `preset-${preset.name}`, onclick: () => fill(preset) }, t("deal.preset", { time: countdown(preset.duration * 1000), count: preset.units }));
    return h("div", { class: "chips", role: "group", aria: { label: t("deal.presets") } }, PRESETS.map(chip));
  }

  #form() {
    return h(
      "form",
      { class: "form-grid dense", onsubmit: (e) => this.#submit(e) },
      h("div", { class: "half" }, field(t("deal.product"), this.product)),
      h("div", { class: "half" }, field(t("deal.title"), this.heading)),
      h("div", { class: "wide" }, this.bundle),
      field(t("price"), this.price),
      field(t("currency"), this.currency),
      field(t("compare-at"), this.before),
      field(t("deal.stock"), this.units),
      field(t("deal.per-buyer"), this.limit),
      field(t("deal.duration"), this.duration),
      field(t("deal.hold"), this.hold),
      field(t("deal.begins"), this.start),
      h("div", { class: "go-cell" }, this.open),
      h("div", { class: "wide" }, this.#more()),
    );
  }

  #more() {
    this.low = h("input", { testid: "deal-low", type: "number", inputmode: "numeric", min: "0", max: "1000000", placeholder: t("deal.low.usual") });
    this.buy = h("input", { testid: "deal-buy-x", type: "number", inputmode: "numeric", min: "2", max: "100", placeholder: "3" });
    this.pay = h("input", { testid: "deal-pay-y", type: "number", inputmode: "numeric", min: "1", max: "99", placeholder: "2" });
    this.ticketed = h("input", { testid: "deal-ticketed", type: "checkbox" });
    this.words = h("textarea", { testid: "deal-description", rows: 2, maxlength: "2000" });
    return h(
      "details",
      { class: "folded", testid: "deal-more" },
      h("summary", {}, icon("plus"), t("deal.more")),
      h(
        "div",
        { class: "form-grid" },
        field(t("deal.low"), this.low, t("deal.low.hint")),
        h("div", { class: "field" }, h("span", { class: "field-label" }, t("deal.xy")), h("div", { class: "pair" }, label(t("deal.buy-x"), this.buy), label(t("deal.pay-y"), this.pay)), h("small", {}, t("deal.xy.hint"))),
        h("div", { class: "wide" }, field(t("product.description"), this.words)),
        h("label", { class: "wide tick" }, this.ticketed, h("span", {}, t("deal.ticketed"), h("small", {}, t("deal.ticketed.hint")))),
      ),
    );
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    this.bundle.follow(store, api);
    store.addEventListener("products", () => this.#products([...store.products.values()]));
  }

  #products(products) {
    const chosen = this.product.value;
    const options = products.map((p) => h("option", { value: p.id, selected: p.id === chosen }, p.title));
    this.product.replaceChildren(h("option", { value: "" }, t("deal.no-product")), h("option", { value: BUNDLE, selected: chosen === BUNDLE }, t("deal.bundle")), ...options);
  }

  async #take() {
    const bundled = this.product.value === BUNDLE;
    show(this.bundle, bundled);
    if (bundled && !(await this.bundle.read())) {
      this.note.say(t("bundle.none"));
      this.product.value = "";
      return show(this.bundle, false);
    }
    const product = this.store.products.get(this.product.value);
    if (product) this.#fill(product);
  }

  #fill(product) {
    this.heading.value = product.title;
    this.currency.value = product.price.currency;
    this.price.value = formatAmount(product.price);
    this.before.value = product.compare_at ? formatAmount(product.compare_at) : "";
  }

  /** A deal with this product: what is left to do is the price. */
  sell(product) {
    this.product.value = product.id;
    show(this.bundle, false);
    this.#fill(product);
    this.begin(this.price);
  }

  /** Where a host who wants a deal begins to write. */
  begin(at = this.heading) {
    this.scrollIntoView({ block: "nearest" });
    at.focus();
    at.select();
  }

  #spec() {
    const currency = this.currency.value;
    const product = this.store.products.get(this.product.value);
    const wait = Number(this.start.value);
    const bundle = this.product.value === BUNDLE ? this.bundle.value() : null;
    if (this.product.value === BUNDLE && !bundle) throw new Refusal("bundle");
    const [buy, pay] = [this.buy.valueAsNumber, this.pay.valueAsNumber];
    return filled({
      title: this.heading.value.trim(),
      product_id: product?.id,
      image_url: product?.image_url,
      description: this.words.value.trim() || product?.description,
      price: readMoney(this.price, currency),
      compare_at: readMoney(this.before, currency, { optional: true }),
      stock: this.units.valueAsNumber,
      per_buyer_limit: this.limit.valueAsNumber,
      duration_s: this.duration.valueAsNumber,
      hold_s: this.hold.valueAsNumber,
      opens_at_ms: wait ? Math.round(this.store.clock.now()) + wait * 1000 : null,
      low_stock: Number.isNaN(this.low.valueAsNumber) ? null : this.low.valueAsNumber,
      buy_x_pay_y: buy > 0 && pay > 0 ? { buy, pay } : null,
      bundle,
      ticketed: this.ticketed.checked || null,
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
      this.#remember(spec);
      this.dispatchEvent(new CustomEvent("composed", { detail: { id: deal.id } }));
    } catch (error) {
      this.note.refuse(error);
    } finally {
      this.open.disabled = false;
    }
  }

  #remember(spec) {
    const kept = { units: spec.stock, limit: spec.per_buyer_limit, duration: spec.duration_s, hold: spec.hold_s, start: Number(this.start.value) };
    this.#storage.setItem(SAVED, JSON.stringify(kept));
  }
}

function label(words, control) {
  return h("label", { class: "inline" }, h("small", {}, words), control);
}

customElements.define("deal-composer", DealComposer);
