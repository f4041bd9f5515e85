/** `<deal-card>`: the deal that matters now: price, time left, what is left, and the one tap that buys. */
import "./deal-options.js";
import { OUTCOME_UNKNOWN, Tickets, claimUnits, newKey } from "../client.js";
import { cssVar, h, setText, show } from "../ui/dom.js";
import { money, t } from "../ui/i18n.js";
import { dealTerms, lowestNote, picture, priceTag } from "../ui/goods.js";
import { everyTick } from "../ui/ticker.js";

/** A closed deal stays readable this long. */
const LINGERS_MS = 8_000;
/** So little of the stock left is "almost gone". */
const ALMOST = 0.25;

/** Which deal to show: an open one (the first to close), then a sold-out, an announced, a just closed one. */
export function currentDeal(deals, nowMs) {
  const rank = { open: 0, sold_out: 1, scheduled: 2, closed: 3, cancelled: 4 };
  const moment = (deal) => (deal.state === "scheduled" ? deal.opens_at_ms : deal.closes_at_ms) ?? Infinity;
  const shown = [...deals].filter((deal) => {
    if (deal.state === "scheduled") return Boolean(deal.opens_at_ms);
    if (deal.state === "open" || deal.state === "sold_out") return true;
    return deal.seenClosedMs !== undefined && nowMs - deal.seenClosedMs < LINGERS_MS;
  });
  shown.sort((a, b) => rank[a.state] - rank[b.state] || moment(a) - moment(b));
  return shown[0] ?? null;
}

/** Fires `held` when a tap on its button has reserved something. */
class DealCard extends HTMLElement {
  #deal = null;
  /** Claims whose outcome is not known, by deal: {key, units, code}. */
  #attempts = new Map();
  #buying = false;
  #ended = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    this.art = h("div", { class: "deal-art" });
    this.heading = h("h2", { class: "deal-title" });
    this.price = h("div", { class: "deal-price" });
    this.ring = h("countdown-ring", { testid: "deal-countdown" });
    this.terms = h("div", { class: "deal-more" });
    this.options = h("deal-options");
    this.options.addEventListener("change", () => this.#draw());
    this.left = h("span", { class: "deal-left", testid: "deal-left" });
    this.hint = h("span", { class: "deal-hint" });
    this.bar = h("div", { class: "stock", aria: { hidden: "true" } }, h("i"));
    this.stock = h("div", { class: "deal-stock" }, this.bar, h("p", {}, this.left, this.hint));
    this.buy = h("button", { class: "buy", testid: "deal-buy", type: "button", onclick: () => this.#buy() });
    this.line = h("waiting-line");
    this.line.addEventListener("refused", ({ detail }) => this.note.refuse(detail.refusal));
    this.note = h("refusal-note", { testid: "refusal" });
    this.card = h(
      "section",
      { class: "deal-card", testid: "deal-card", aria: { label: t("deal") } },
      h("div", { class: "deal-top" }, this.art, h("div", { class: "deal-words" }, this.heading, this.price), this.ring),
      this.terms,
      this.stock,
      this.options,
      this.buy,
      this.line,
    );
    this.append(this.card, this.note);
    show(this.card, false);
    this.stop = everyTick(() => this.#tick());
  }

  disconnectedCallback() {
    this.stop?.();
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    this.line.follow(store, api);
    this.tickets = new Tickets({ api, clock: store.clock });
    store.addEventListener("deals", ({ detail: { deal, was } }) => {
      if (deal && was && ["closed", "cancelled"].includes(deal.state)) this.#ended.set(deal.id, store.clock.now());
      this.#choose();
    });
    store.addEventListener("order", () => this.#draw());
    store.addEventListener("stream", () => this.#draw());
  }

  #choose() {
    const now = this.store.clock.now();
    const deals = [...this.store.deals.values()].map((deal) => ({ ...deal, seenClosedMs: this.#ended.get(deal.id) }));
    const next = currentDeal(deals, now);
    if (next?.id !== this.#deal?.id) this.#dress(next);
    this.#deal = next;
    for (const deal of deals) this.tickets.see(deal);
    this.#draw();
  }

  #dress(deal) {
    if (!deal) return;
    this.art.replaceChildren(picture(deal));
    setText(this.heading, deal.title);
    this.price.replaceChildren(priceTag(deal));
    const more = [dealTerms(deal), lowestNote(deal)].filter(Boolean);
    this.terms.replaceChildren(...more);
    show(this.terms, more.length > 0);
    this.options.reset();
  }

  #draw() {
    const deal = this.#deal;
    show(this.card, deal !== null);
    if (!deal) return;
    this.card.dataset.state = deal.state;
    this.card.dataset.deal = deal.id;
    this.ring.run(spanOf(deal), this.store.clock, t(deal.state === "scheduled" ? "deal.opens" : "deal.ends"));
    const running = ["open", "sold_out", "scheduled"].includes(deal.state);
    show(this.ring, running);
    show(this.stock, running); // what is left of a deal that is over can no longer be bought
    cssVar(this.bar, "--share", String(deal.stock ? deal.left / deal.stock : 0));
    const almost = deal.state === "open" && deal.left <= Math.max(1, Math.floor(deal.stock * ALMOST)) && deal.left < deal.stock;
    this.bar.dataset.almost = String(almost);
    setText(this.left, deal.state === "scheduled" ? t("deal.units", { count: deal.stock }) : t("deal.left", { count: deal.left }));
    this.left.dataset.left = String(deal.left);
    setText(this.hint, this.#hint(deal, almost));
    this.#drawButton(deal);
  }

  #hint(deal, almost) {
    if (deal.state === "sold_out" && deal.held > 0) return t("deal.held", { count: deal.held });
    if (almost) return t("deal.almost");
    return deal.per_buyer_limit ? t("deal.limit", { count: deal.per_buyer_limit }) : "";
  }

  #drawButton(deal) {
    const orders = [...this.store.orders.values()].filter((order) => order.deal_id === deal.id);
    const holding = orders.some((order) => ["held", "paying"].includes(order.state));
    show(this.buy, !holding);
    show(this.options, !holding && deal.state === "open");
    this.options.offer(deal);
    this.line.offer(deal.state === "sold_out" && !holding ? deal : null);
    this.card.dataset.holding = String(holding);
    this.buy.disabled = this.#buying || deal.state !== "open";
    this.buy.dataset.busy = String(this.#buying);
    setText(this.buy, this.#buyWords(deal, orders.some((order) => order.state === "paid")));
  }

  #buyWords(deal, bought) {
    if (this.#buying) return t("buy.busy");
    if (deal.state !== "open") return t(`deal.${deal.state}`);
    const { units } = this.options;
    if (units > 1) return t("buy.units", { count: units, price: money({ ...deal.price, amount: costOf(deal, units) }) });
    return t(bought ? "buy.again" : "buy", { price: money(deal.price) });
  }

  #tick() {
    if (this.#deal && this.#ended.has(this.#deal.id)) this.#choose();
  }

  /** One tap, one key: it is kept until the outcome is known, so that tapping again cannot buy twice. */
  async #buy() {
    const deal = this.#deal;
    if (this.#buying || !deal) return;
    this.#buying = true;
    this.note.clear();
    this.#draw();
    const attempt = this.#attempts.get(deal.id) ?? { key: newKey(), units: this.options.units, code: this.options.code };
    this.#attempts.set(deal.id, attempt);
    try {
      const ticket = await this.tickets.of(deal);
      const order = await claimUnits({ room: this.store.room, api: this.api, streamId: deal.stream_id, dealId: deal.id, ticket, ...attempt });
      this.#attempts.delete(deal.id);
      this.store.takeOrder(order);
      this.dispatchEvent(new CustomEvent("held"));
    } catch (refusal) {
      if (refusal.code !== OUTCOME_UNKNOWN) this.#attempts.delete(deal.id);
      if (refusal.code?.startsWith("ticket_")) this.tickets.drop(deal);
      this.note.refuse(refusal);
    } finally {
      this.#buying = false;
      this.#draw();
    }
  }
}

/** What so many units cost before codes and shipping: of every `buy` only `pay` are paid. The server's sum is what counts. */
export function costOf({ price, buy_x_pay_y: rule }, units) {
  const free = rule ? Math.floor(units / rule.buy) * (rule.buy - rule.pay) : 0;
  return (units - free) * price.amount;
}

function spanOf(deal) {
  if (deal.state === "scheduled") {
    const announced = deal.server_ms ?? deal.opens_at_ms;
    return { endsAt: deal.opens_at_ms, totalMs: Math.max(1, deal.opens_at_ms - announced) };
  }
  return deal.closes_at_ms ? { endsAt: deal.closes_at_ms, totalMs: deal.duration_s * 1000 } : null;
}

customElements.define("deal-card", DealCard);
