/** `<orders-table>`: what was sold, from the journal: it is read again when the room says that something moved. */
import { h, setText, show } from "../ui/dom.js";
import { money, number, t, timeOfDay } from "../ui/i18n.js";

/** At most so often, however fast the claims come. */
const EVERY_MS = 700;
/** Also without a hint: an order may change without the room being told. */
const ANYWAY_MS = 6_000;
const MAX_ROWS = 100;
const REFUNDABLE = ["paid", "paid_late"];

class OrdersTable extends HTMLElement {
  #orders = new Map();
  #cursor = null;
  #reading = false;
  #timer = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.revenue = h("strong", { testid: "revenue" }, "–");
    this.paid = h("strong", { testid: "orders-paid" }, "0");
    this.held = h("strong", { testid: "orders-held" }, "0");
    this.rows = h("tbody", {});
    this.note = h("refusal-note", { testid: "orders-refusal" });
    this.none = h("p", { class: "nothing" }, t("orders.none"));
    const head = ["when", "buyer", "item", "units", "total", "state"].map((key) => h("th", { scope: "col" }, t(`orders.${key}`)));
    this.table = h("table", { testid: "orders-table" }, h("thead", {}, h("tr", {}, head, h("th", { scope: "col" }, h("span", { class: "unseen" }, t("orders.act"))))), this.rows);
    const figure = (key, value) => h("div", {}, h("small", {}, t(key)), value);
    this.append(
      h("div", { class: "section-head" }, h("h2", {}, t("orders")), h("button", { class: "small quiet", type: "button", testid: "orders-csv", onclick: () => this.#export() }, t("orders.csv"))),
      h("div", { class: "figures" }, figure("orders.revenue", this.revenue), figure("orders.paid", this.paid), figure("orders.held", this.held)),
      this.note,
      this.none,
      h("div", { class: "table-scroll", tabindex: "0", role: "region", aria: { label: t("orders") } }, this.table),
    );
  }

  disconnectedCallback() {
    clearInterval(this.anyway);
    clearTimeout(this.#timer);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("reset", () => this.#soon());
    store.addEventListener("activity", () => this.#soon());
    this.anyway = setInterval(() => document.hidden || this.#soon(), ANYWAY_MS);
  }

  get #path() {
    return `/api/v1/streams/${this.store.stream.id}/orders`;
  }

  #soon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#read();
    }, EVERY_MS);
  }

  async #read() {
    if (this.#reading) return this.#soon();
    this.#reading = true;
    try {
      const { items } = await this.api.list(this.#path, { after: this.#cursor });
      for (const entry of items) {
        this.#orders.delete(entry.order.id);
        this.#orders.set(entry.order.id, entry.order);
        this.#cursor = entry.id;
      }
      if (items.length) this.#draw();
    } catch (error) {
      if (!error.temporary) this.note.refuse(error);
    } finally {
      this.#reading = false;
    }
  }

  #draw() {
    const orders = [...this.#orders.values()].reverse();
    const paid = orders.filter((order) => order.state === "paid");
    const sums = new Map();
    for (const { total } of paid) sums.set(total.currency, (sums.get(total.currency) ?? 0) + total.amount);
    const words = [...sums].map(([currency, amount]) => money({ amount, currency }));
    setText(this.revenue, words.join(" + ") || "–");
    setText(this.paid, number(paid.length));
    setText(this.held, number(orders.filter((order) => ["held", "paying"].includes(order.state)).length));
    show(this.none, orders.length === 0);
    orders.sort((a, b) => b.placed_ms - a.placed_ms);
    this.rows.replaceChildren(...orders.slice(0, MAX_ROWS).map((order) => this.#row(order)));
  }

  #row(order) {
    const refund = h("button", { class: "small quiet", type: "button", testid: "order-refund", onclick: (e) => this.#refund(e.currentTarget, order) }, t("orders.refund"));
    return h(
      "tr",
      { testid: "order-row", dataset: { id: order.id, state: order.state } },
      h("td", {}, timeOfDay(order.placed_ms, "short")),
      h("td", {}, order.buyer.name),
      h("td", {}, order.title ?? this.store.deals.get(order.deal_id)?.title ?? "", priceNote(order)),
      h("td", { class: "figure" }, number(order.units)),
      h("td", { class: "figure" }, money(order.total)),
      h("td", {}, h("span", { class: "pill order-state", dataset: { state: order.state } }, t(`order.state.${order.state}`))),
      h("td", {}, REFUNDABLE.includes(order.state) && refund),
    );
  }

  async #refund(button, order) {
    button.disabled = true;
    try {
      const after = await this.api.post(`/api/v1/orders/${encodeURIComponent(order.id)}/refund`);
      this.#orders.set(after.id, after);
      this.#draw();
    } catch (error) {
      button.disabled = false;
      this.note.refuse(error);
    }
  }

  async #export() {
    try {
      const { body } = await this.api.request("GET", this.#path, { headers: { Accept: "text/csv" } });
      const url = URL.createObjectURL(new Blob([body], { type: "text/csv" }));
      h("a", { href: url, download: `orders-${this.store.stream.id}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      this.note.refuse(error);
    }
  }
}

/** Why a total is not units times price: lines, code, discount, shipping. */
function priceNote({ lines, code, discount, shipping, total }) {
  const words = [
    ...(lines ?? []).map((line) => `${number(line.units)} × ${line.title}`),
    code,
    discount && `−${money(discount)}`,
    shipping && shipping.amount > 0 && t("orders.shipping", { price: money({ currency: total.currency, ...shipping }) }),
  ].filter(Boolean);
  return words.length > 0 && h("small", { class: "price-note" }, words.join(" · "));
}

customElements.define("orders-table", OrdersTable);
