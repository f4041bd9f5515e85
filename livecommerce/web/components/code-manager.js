/** `<code-manager>`: discount codes of the show, and what shipping costs. Only the host sees them. */
import { field, h, setText, show } from "../ui/dom.js";
import { amountInput, currencySelect, filled, readMoney } from "../ui/forms.js";
import { icon } from "../ui/icons.js";
import { formatAmount, money, number, percent, t } from "../ui/i18n.js";

/** Where a server has no such thing yet, it is not shown. */
const UNKNOWN = ["not_found", "method_not_allowed"];

class CodeManager extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.codes = this.#codesPart();
    this.shipping = this.#shippingPart();
    this.note = h("refusal-note", { testid: "code-refusal" });
    this.append(this.codes, this.shipping, this.note);
    show(this.codes, false);
    show(this.shipping, false);
  }

  #codesPart() {
    const whole = (testid, max) => h("input", { testid, type: "number", inputmode: "numeric", min: "1", max: String(max), step: "1" });
    this.name = h("input", { testid: "code-name", type: "text", maxlength: "32", pattern: "[A-Za-z0-9\\-]+", required: true, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", placeholder: "LIVE10" });
    this.kind = h("select", { testid: "code-kind", onchange: () => this.#kinds() }, h("option", { value: "percent" }, t("code.percent")), h("option", { value: "amount" }, t("code.amount")));
    this.worth = h("input", { testid: "code-worth", type: "text", inputmode: "decimal", required: true, autocomplete: "off", placeholder: "10" });
    this.currency = currencySelect("code-currency", t("currency"));
    this.total = whole("code-total", 1_000_000);
    this.each = whole("code-each", 1000);
    this.list = h("ul", { class: "codes", testid: "code-list" });
    this.count = h("span", { class: "count" });
    const form = h(
      "form",
      { class: "form-grid", onsubmit: (e) => this.#put(e) },
      field(t("code.name"), this.name),
      field(t("code.kind"), this.kind),
      h("div", { class: "field" }, h("label", { class: "field" }, h("span", { class: "field-label" }, t("code.worth")), this.worth), this.currency),
      field(t("code.each"), this.each, t("optional")),
      field(t("code.total"), this.total, t("optional")),
      h("button", { class: "form-end", type: "submit", testid: "code-save" }, t("code.add")),
    );
    show(this.currency, false);
    return h("details", { class: "folded", testid: "codes" }, h("summary", {}, icon("tag"), t("codes"), this.count), this.list, form);
  }

  #shippingPart() {
    this.cost = amountInput("shipping-price", { required: true });
    this.money = currencySelect("shipping-currency", t("currency"));
    this.free = amountInput("shipping-free");
    this.rule = h("span", { class: "count", testid: "shipping-rule" });
    this.unship = h("button", { class: "quiet", type: "button", testid: "shipping-remove", onclick: () => this.#unship() }, t("remove"));
    const form = h(
      "form",
      { class: "form-grid", onsubmit: (e) => this.#ship(e) },
      field(t("shipping.price"), this.cost),
      field(t("currency"), this.money),
      field(t("shipping.free"), this.free, t("optional")),
      h("div", { class: "form-end row" }, h("button", { type: "submit", testid: "shipping-save" }, t("save")), this.unship),
    );
    return h("details", { class: "folded", testid: "shipping" }, h("summary", {}, icon("bag"), t("shipping"), this.rule), form);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    this.codes.addEventListener("toggle", () => this.codes.open && this.#readCodes());
    store.addEventListener("reset", () => {
      this.#readCodes();
      this.#readShipping();
    });
  }

  #path(rest) {
    return `/api/v1/streams/${this.store.stream.id}/${rest}`;
  }

  #kinds() {
    show(this.currency, this.kind.value === "amount");
  }

  async #read(part, path, draw) {
    try {
      const answer = await this.api.get(this.#path(path));
      show(part, true);
      draw(answer);
    } catch (error) {
      if (!UNKNOWN.includes(error.code) && !error.temporary) this.note.refuse(error);
    }
  }

  #readCodes() {
    return this.#read(this.codes, "codes", (answer) => this.#drawCodes(Array.isArray(answer) ? answer : answer.items));
  }

  #drawCodes(codes) {
    setText(this.count, codes.length ? number(codes.length) : "");
    const row = (code) =>
      h(
        "li",
        { testid: "code", dataset: { code: code.code } },
        h("strong", {}, code.code),
        h("span", {}, code.percent ? `−${percent(code.percent / 100)}` : `−${money(code.amount)}`),
        h("small", {}, code.total_limit ? t("code.used-of", { used: code.used, total: code.total_limit }) : t("code.used", { count: code.used })),
        h("button", { class: "small", type: "button", testid: "code-remove", aria: { label: t("code.remove", { code: code.code }) }, onclick: () => this.#remove(code.code) }, t("remove")),
      );
    this.list.replaceChildren(...(codes.length ? codes.map(row) : [h("li", { class: "nothing" }, t("codes.none"))]));
  }

  #put(event) {
    event.preventDefault();
    return this.#doing(async () => {
      const flat = this.kind.value === "amount";
      const worth = flat ? { amount: readMoney(this.worth, this.currency.value) } : { percent: Number(this.worth.value) };
      const limits = { total_limit: this.total.valueAsNumber || null, per_buyer_limit: this.each.valueAsNumber || null };
      await this.api.put(this.#path(`codes/${encodeURIComponent(this.name.value.trim().toUpperCase())}`), filled({ ...worth, ...limits }));
      event.target.reset();
      this.#kinds();
      await this.#readCodes();
    });
  }

  #remove(code) {
    return this.#doing(async () => {
      await this.api.delete(this.#path(`codes/${encodeURIComponent(code)}`));
      await this.#readCodes();
    });
  }

  #readShipping() {
    return this.#read(this.shipping, "shipping", (rule) => this.#drawShipping(rule));
  }

  #drawShipping(rule) {
    setText(this.rule, rule?.price ? (rule.free_from ? t("shipping.rule", { price: money(rule.price), free: money(rule.free_from) }) : money(rule.price)) : t("shipping.none"));
    show(this.unship, Boolean(rule?.price));
    if (!rule?.price) return;
    this.cost.value = formatAmount(rule.price);
    this.money.value = rule.price.currency;
    this.free.value = rule.free_from ? formatAmount(rule.free_from) : "";
  }

  #ship(event) {
    event.preventDefault();
    return this.#doing(async () => {
      const currency = this.money.value;
      const rule = { price: readMoney(this.cost, currency), free_from: readMoney(this.free, currency, { optional: true }) };
      this.#drawShipping((await this.api.put(this.#path("shipping"), rule)) ?? rule);
    });
  }

  #unship() {
    return this.#doing(async () => {
      await this.api.delete(this.#path("shipping"));
      this.cost.value = this.free.value = "";
      this.#drawShipping(null);
    });
  }

  async #doing(act) {
    this.note.clear();
    try {
      await act();
    } catch (error) {
      this.note.refuse(error);
    }
  }
}

customElements.define("code-manager", CodeManager);
