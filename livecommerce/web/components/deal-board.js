/** `<deal-board>`: every deal of the show, what runs first, with its counts as they move and the steps that are possible. */
import { cssVar, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { money, number, t } from "../ui/i18n.js";
import { priceTag } from "../ui/goods.js";
import { everyTick } from "../ui/ticker.js";

const EXTEND_S = 30;
const STEPS = {
  scheduled: ["open", "cancel"],
  open: ["extend", "close", "cancel"],
  sold_out: ["extend", "close", "cancel"],
  closed: [],
  cancelled: [],
};
const RANK = { open: 0, sold_out: 0, scheduled: 1, closed: 2, cancelled: 2 };
const MAX_SHOWN = 20;
/** Claims a second are those of the last so many. */
const RATE_MS = 5_000;
/** The summary (its revenue) is read again at most so often. */
const SUMMARY_MS = 1_000;
/** So long an alarm stands; the deal stays marked. */
const ALARM_MS = 8_000;

class DealBoard extends HTMLElement {
  #rows = new Map();
  #claims = new Map();
  #low = new Set();
  #asked = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("ul", { class: "deals", testid: "deal-list" });
    this.past = h("ul", { class: "deals", testid: "deal-past" });
    this.note = h("refusal-note", { testid: "board-refusal" });
    this.none = h("p", { class: "nothing" }, t("deal.none"));
    this.pastCount = h("span", {});
    this.alarmWords = h("span", {});
    this.alarm = h("p", { class: "low-alarm", role: "status", testid: "low-stock" }, icon("bolt"), this.alarmWords);
    this.fold = h("details", { class: "folded past", testid: "past-deals" }, h("summary", {}, this.pastCount), this.past);
    this.append(h("h2", {}, t("deals")), this.note, this.alarm, this.none, this.list, this.fold);
    show(this.fold, false);
    show(this.alarm, false);
  }

  disconnectedCallback() {
    this.stopTicking?.();
  }

  follow(store, api, staff) {
    Object.assign(this, { store, api });
    store.addEventListener("deals", ({ detail }) => {
      this.#count(detail);
      this.#draw();
    });
    staff.addEventListener("low-stock", ({ detail }) => this.#warn(detail));
    this.stopTicking ??= everyTick(() => this.#rates());
  }

  /** The first deal that runs, for the keyboard. */
  get running() {
    return [...(this.store?.deals.values() ?? [])].find((deal) => RANK[deal.state] === 0) ?? null;
  }

  /** Bring a deal into sight: on a phone the form fills the screen. */
  reveal(id) {
    this.#rows.get(id)?.item.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  /** Units taken since the deal was last seen. */
  #count({ deal, was }) {
    const more = deal && was ? was.left - deal.left : 0;
    if (more <= 0) return;
    const taken = this.#claims.get(deal.id) ?? [];
    taken.push({ at: performance.now(), units: more });
    this.#claims.set(deal.id, taken);
  }

  #rates() {
    const since = performance.now() - RATE_MS;
    for (const [id, row] of this.#rows) {
      const taken = (this.#claims.get(id) ?? []).filter((claim) => claim.at > since);
      this.#claims.set(id, taken);
      const rate = taken.reduce((sum, claim) => sum + claim.units, 0) / (RATE_MS / 1000);
      setText(row.rate, number(Math.round(rate * 10) / 10));
    }
  }

  #warn({ dealId, left }) {
    this.#low.add(dealId);
    this.alarmed = left > 0 ? dealId : null;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.alarmed = null;
      this.#drawAlarm();
    }, ALARM_MS);
    this.#draw();
  }

  /** As many as are left now; none left is no alarm any more. */
  #drawAlarm() {
    const deal = this.store.deals.get(this.alarmed);
    const low = deal && RANK[deal.state] === 0 && deal.left > 0;
    show(this.alarm, Boolean(low));
    if (low) setText(this.alarmWords, t("deal.low-alarm", { count: deal.left, title: deal.title }));
  }

  #draw() {
    const order = [...this.store.deals.values()];
    order.sort((a, b) => RANK[a.state] - RANK[b.state] || (b.closes_at_ms ?? Infinity) - (a.closes_at_ms ?? Infinity));
    const shown = order.slice(0, MAX_SHOWN);
    for (const [id, row] of this.#rows) {
      if (shown.some((deal) => deal.id === id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    for (const deal of shown) {
      const row = this.#rows.get(deal.id) ?? this.#row(deal);
      this.#rows.set(deal.id, row);
      this.#fill(row, deal);
    }
    const past = shown.filter((deal) => RANK[deal.state] === 2);
    this.#place(this.list, shown.filter((deal) => RANK[deal.state] < 2));
    this.#place(this.past, past);
    show(this.none, order.length === past.length);
    show(this.fold, past.length > 0);
    this.#drawAlarm();
    setText(this.pastCount, t("deal.past", { count: past.length }));
  }

  #place(list, deals) {
    deals.forEach((deal, index) => {
      const { item } = this.#rows.get(deal.id);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
  }

  #row(deal) {
    const row = {
      state: h("span", { class: "pill deal-state", testid: "board-state" }),
      ring: h("countdown-ring", { testid: "board-countdown" }),
      bar: h("div", { class: "split", aria: { hidden: "true" } }, h("i", { class: "sold" }), h("i", { class: "held" })),
      left: h("b", { testid: "board-left" }),
      held: h("b", { testid: "board-held" }),
      sold: h("b", { testid: "board-sold" }),
      rate: h("b", { testid: "board-rate" }, "0"),
      revenue: h("b", { class: "board-revenue", testid: "board-revenue" }, "–"),
      actions: h("div", { class: "deal-actions" }),
    };
    const count = (key, value) => h("span", {}, h("small", {}, t(key)), value);
    row.item = h(
      "li",
      { class: "board-deal", testid: "board-deal", dataset: { id: deal.id } },
      h("div", { class: "board-top" }, h("div", { class: "board-words" }, h("strong", {}, deal.title), h("span", { class: "board-price" }, priceTag(deal), ...marks(deal))), row.state, row.ring),
      row.bar,
      h("div", { class: "board-counts" }, count("deal.left-word", row.left), count("deal.held-word", row.held), count("deal.sold-word", row.sold), count("deal.rate-word", row.rate), count("deal.revenue-word", row.revenue)),
      row.actions,
    );
    return row;
  }

  #fill(row, deal) {
    const running = RANK[deal.state] === 0;
    row.item.dataset.state = deal.state;
    row.item.dataset.low = String(running && deal.left > 0 && this.#low.has(deal.id));
    row.state.dataset.state = deal.state;
    setText(row.state, t(`deal.${deal.state}`));
    for (const name of ["left", "held", "sold"]) setText(row[name], number(deal[name]));
    cssVar(row.bar, "--sold", String(deal.sold / deal.stock));
    cssVar(row.bar, "--held", String(deal.held / deal.stock));
    show(row.ring, running || (deal.state === "scheduled" && Boolean(deal.opens_at_ms)));
    const endsAt = running ? deal.closes_at_ms : deal.opens_at_ms;
    if (endsAt) row.ring.run({ endsAt, totalMs: deal.duration_s * 1000 }, this.store.clock);
    if (deal.sold !== row.sold_) this.#revenue(row, deal);
    if (row.drawn === deal.state) return;
    row.drawn = deal.state;
    row.actions.replaceChildren(...STEPS[deal.state].map((step) => this.#step(deal.id, step)));
  }

  /** What was earned, from the server: rules of price make it more than units times price. */
  #revenue(row, deal) {
    row.sold_ = deal.sold;
    if (this.#asked.has(deal.id)) return;
    const ask = async () => {
      this.#asked.delete(deal.id);
      const path = `/api/v1/streams/${this.store.stream.id}/deals/${deal.id}/summary`;
      const summary = await this.api.get(path).catch(() => null); // the next sale asks again
      if (summary) setText(row.revenue, money(summary.revenue));
    };
    this.#asked.set(deal.id, setTimeout(ask, SUMMARY_MS));
  }

  #step(id, step) {
    const testid = { open: "deal-open-now", extend: "deal-extend", close: "deal-close", cancel: "deal-cancel" }[step];
    const kind = step === "cancel" ? "small danger" : step === "open" ? "small deal-go" : "small";
    const words = t(`deal.do.${step}`, { count: EXTEND_S });
    return h("button", { class: kind, type: "button", testid, onclick: (e) => this.step(id, step, e.currentTarget) }, words);
  }

  /** Open, extend, close or cancel a deal. */
  async step(id, step, button = null) {
    if (button) button.disabled = true;
    this.note.clear();
    try {
      const path = `/api/v1/streams/${this.store.stream.id}/deals/${id}/${step}`;
      this.store.takeDeal(await this.api.post(path, step === "extend" ? { seconds: EXTEND_S } : undefined));
    } catch (error) {
      this.note.refuse(error);
    } finally {
      if (button) button.disabled = false;
    }
  }
}

/** What is special about a deal, as small marks. */
function marks(deal) {
  const words = [deal.bundle && t("deal.bundle"), deal.buy_x_pay_y && t("deal.xy.mark", deal.buy_x_pay_y), deal.ticketed && t("deal.ticketed.mark")];
  return words.filter(Boolean).map((word) => h("span", { class: "mark" }, word));
}

customElements.define("deal-board", DealBoard);
