/** `<my-orders>`: everything this person has reserved and bought, with receipts; read when it is opened. */
import "./refusal-note.js";
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { dateAndTime, money, t } from "../ui/i18n.js";
import { receiptRows } from "../ui/receipt.js";

const PAGE = 20;
const PAID = ["paid", "paid_late", "refund_pending", "refunded"];

class MyOrders extends HTMLElement {
  #orders = new Map();
  #next = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.badge = h("span", { class: "orders-count" });
    this.button = h("button", { class: "round orders-open", testid: "my-orders", type: "button", aria: { label: t("my-orders") }, title: t("my-orders"), onclick: () => this.#open() }, icon("receipt"), this.badge);
    this.list = h("ul", { class: "my-orders" });
    this.none = h("p", { class: "sheet-none", testid: "my-orders-none" }, t("my-orders.none"));
    this.note = h("refusal-note", { testid: "my-orders-refusal" });
    this.more = h("button", { class: "quiet", type: "button", onclick: () => this.#load() }, t("my-orders.more"));
    const close = h("button", { class: "round", type: "button", testid: "my-orders-close", onclick: () => this.sheet.close(), aria: { label: t("close") } }, icon("close"));
    this.sheet = h("dialog", { class: "sheet", testid: "my-orders-sheet", aria: { label: t("my-orders") } }, h("header", {}, h("h2", {}, t("my-orders")), close), this.note, this.list, this.none, this.more);
    this.sheet.addEventListener("click", (e) => e.target === this.sheet && this.sheet.close());
    this.append(this.button, this.sheet);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("order", ({ detail: { order } }) => {
      setText(this.badge, store.orders.size ? String(store.orders.size) : "");
      if (!order) return;
      this.#orders.set(order.id, order);
      if (this.sheet.open) this.#draw();
    });
  }

  async #open() {
    this.#orders.clear();
    this.#next = null;
    this.sheet.showModal();
    show(this.none, false);
    await this.#load();
  }

  async #load() {
    this.note.clear();
    this.more.disabled = true;
    try {
      const query = new URLSearchParams({ limit: String(PAGE), ...(this.#next && { after: this.#next }) });
      const { items, next } = await this.api.get(`/api/v1/orders?${query}`);
      for (const order of items) this.#orders.set(order.id, order);
      this.#next = next;
      this.#draw();
    } catch (refusal) {
      this.note.refuse(refusal);
    } finally {
      this.more.disabled = false;
    }
  }

  #draw() {
    const unfolded = new Set([...this.list.querySelectorAll("details[open]")].map((each) => each.dataset.id));
    const orders = [...this.#orders.values()].sort((a, b) => b.placed_ms - a.placed_ms);
    this.list.replaceChildren(...orders.map((order) => this.#row(order, unfolded.has(order.id))));
    show(this.none, orders.length === 0);
    show(this.more, this.#next !== null);
  }

  #row(order, unfolded) {
    const title = order.title ?? this.store.deals.get(order.deal_id)?.title ?? t("order");
    const head = [
      h("span", { class: "my-order-words" }, h("strong", {}, t("order.what", { count: order.units, title })), h("small", {}, dateAndTime(order.paid_ms ?? order.placed_ms))),
      h("span", { class: "my-order-figures" }, h("strong", {}, money(order.total)), h("span", { class: "order-state", testid: "my-order-state", dataset: { state: order.state } }, t(`order.state.${order.state}`))),
    ];
    if (!PAID.includes(order.state)) return h("li", { class: "my-order", testid: "my-order" }, head);
    return h("li", { testid: "my-order" }, h("details", { open: unfolded, dataset: { id: order.id } }, h("summary", { class: "my-order" }, head), receiptRows(order)));
  }
}

customElements.define("my-orders", MyOrders);
