/** `<order-panel>`: a held unit with its own countdown, paying for it, and the receipt. */
import { payOrder } from "../client.js";
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { money, t } from "../ui/i18n.js";
import { isRuled, receiptRows } from "../ui/receipt.js";

/** The simulated provider's tokens; a real one would come from its own sheet. */
const METHODS = ["pm_ok", "pm_declined", "pm_slow"];
const DONE = ["paid", "paid_late"];

class OrderPanel extends HTMLElement {
  #order = null;
  #busy = false;
  #mine = new Set();
  /** Whether this person is buying now, so that the next step takes the focus from the one that has gone. */
  #leads = false;

  connectedCallback() {
    if (this.firstChild) return;
    this.body = h("section", { class: "order-card", aria: { label: t("order") } });
    this.note = h("refusal-note", { testid: "order-refusal" });
    this.append(this.body, this.note);
    show(this.body, false);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("order", ({ detail: { order, was } }) => this.#changed(order, was));
    store.addEventListener("offer", () => this.note.say(t("wait.offer")));
    store.addEventListener("reset", ({ detail }) => detail.lost?.forEach((order) => this.#refresh(order.id)));
  }

  /** What was tapped has become this reservation: go on from here. */
  lead() {
    this.#leads = true;
    this.pay?.focus({ preventScroll: true });
  }

  /** A hold that the join no longer lists was paid, cancelled or expired meanwhile: ask which. */
  async #refresh(id) {
    try {
      this.store.takeOrder(await this.api.get(`/api/v1/orders/${encodeURIComponent(id)}`));
    } catch {
      // offline again: the next join asks anew
    }
  }

  #changed(order, was) {
    if (order && was && ["held", "paying"].includes(was.state) && order.state === "expired") this.note.say(t("order.expired"));
    if (order && DONE.includes(order.state) && was && !DONE.includes(was.state)) this.#mine.add(order.id);
    const back = { refund_pending: "order.refunding", refunded: "order.refunded" }[order?.state];
    if (back && was && was.state !== order.state) this.note.say(t(back, { title: this.#title(order), price: money(order.total) }));
    const all = [...this.store.orders.values()];
    const open = all.filter((o) => ["held", "paying"].includes(o.state)).sort((a, b) => a.held_until_ms - b.held_until_ms);
    const fresh = all.filter((o) => this.#mine.has(o.id));
    this.#draw(open[0] ?? fresh.at(-1) ?? null);
  }

  #draw(order) {
    const same = order && this.#order && order.id === this.#order.id && order.state === this.#order.state;
    this.#order = order;
    show(this.body, order !== null);
    if (!order) return this.body.replaceChildren();
    this.body.dataset.state = order.state;
    if (same) return;
    if (DONE.includes(order.state)) this.#receipt(order);
    else this.#hold(order);
  }

  #title(order) {
    return order.title ?? this.store.deals.get(order.deal_id)?.title ?? t("order");
  }

  #hold(order) {
    const ring = h("countdown-ring", { testid: "hold-countdown" });
    const total = Math.max(1, order.held_until_ms - order.placed_ms);
    ring.run({ endsAt: order.held_until_ms, totalMs: total }, this.store.clock, t("order.pay-within"));
    this.method = h("select", { testid: "pay-method", aria: { label: t("pay.method") } });
    this.method.append(...METHODS.map((token) => h("option", { value: token }, t(`pay.${token}`))));
    this.pay = h("button", { class: "pay", testid: "order-pay", type: "button", onclick: () => this.#pay() });
    this.cancel = h("button", { class: "quiet", testid: "order-cancel", type: "button", onclick: () => this.#cancel() }, t("order.cancel"));
    this.body.replaceChildren(
      h(
        "div",
        { class: "order-top", testid: "order-hold" },
        h("div", {}, h("strong", {}, t("order.held")), h("p", {}, t("order.what", { count: order.units, title: this.#title(order) }))),
        ring,
      ),
      isRuled(order) ? receiptRows(order, { due: true }) : "",
      h("div", { class: "order-method" }, this.method, this.cancel),
      this.pay,
      h("small", { class: "order-simulated" }, t("pay.simulated")),
    );
    this.#drawPay(order);
  }

  #drawPay(order) {
    const busy = this.#busy || order.state === "paying";
    this.pay.disabled = this.cancel.disabled = this.method.disabled = busy;
    setText(this.pay, busy ? t("pay.busy") : t("pay", { price: money(order.total) }));
  }

  #receipt(order) {
    this.note.clear();
    const done = h("button", { class: "primary", testid: "receipt-done", type: "button", onclick: () => this.#dismiss(order.id) }, t("done"));
    this.body.replaceChildren(
      h(
        "div",
        { class: "receipt", testid: "order-receipt" },
        h("span", { class: "receipt-check" }, icon("check")),
        h("strong", { role: "status" }, t("receipt.title")),
        h("p", {}, t("order.what", { count: order.units, title: this.#title(order) })),
        receiptRows(order),
        h("small", { class: "order-simulated" }, t("pay.simulated")),
        done,
      ),
    );
    if (this.#leads) done.focus({ preventScroll: true });
    this.#leads = false;
  }

  #dismiss(id) {
    this.#mine.delete(id);
    this.#changed();
  }

  async #pay() {
    const order = this.#order;
    if (this.#busy) return;
    this.#mine.add(order.id);
    this.#leads = true;
    await this.#doing(() => payOrder({ room: this.store.room, api: this.api, orderId: order.id, paymentToken: this.method.value }));
  }

  async #cancel() {
    const path = `/api/v1/orders/${encodeURIComponent(this.#order.id)}/cancel`;
    await this.#doing(() => this.api.post(path, undefined));
  }

  async #doing(ask) {
    const order = this.#order;
    this.#busy = true;
    this.note.clear();
    this.#drawPay(order);
    try {
      this.store.takeOrder(await ask());
    } catch (refusal) {
      this.note.refuse(refusal);
    } finally {
      this.#busy = false;
      if (this.#order && !DONE.includes(this.#order.state)) this.#drawPay(this.#order);
    }
  }
}

customElements.define("order-panel", OrderPanel);
