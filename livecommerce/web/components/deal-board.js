/** `<deal-board>`: every deal of the show, newest first, with its counts as they move and the steps that are possible. */
import { cssVar, h, setText, show } from "../ui/dom.js";
import { t } from "../ui/i18n.js";
import { priceTag } from "../ui/goods.js";

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

class DealBoard extends HTMLElement {
  #rows = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("ul", { class: "deals", testid: "deal-list" });
    this.note = h("refusal-note", { testid: "board-refusal" });
    this.none = h("p", { class: "nothing" }, t("deal.none"));
    this.append(h("h2", {}, t("deals")), this.note, this.none, this.list);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    store.addEventListener("deals", () => this.#draw());
  }

  /** Bring a deal into sight: on a phone the form above it fills the screen. */
  reveal(id) {
    this.#rows.get(id)?.item.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #draw() {
    const order = [...this.store.deals.values()];
    order.sort((a, b) => RANK[a.state] - RANK[b.state] || (b.closes_at_ms ?? Infinity) - (a.closes_at_ms ?? Infinity));
    show(this.none, order.length === 0);
    const shown = order.slice(0, MAX_SHOWN);
    for (const [id, row] of this.#rows) {
      if (shown.some((deal) => deal.id === id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    shown.forEach((deal, index) => {
      const row = this.#rows.get(deal.id) ?? this.#row(deal);
      this.#rows.set(deal.id, row);
      this.#fill(row, deal);
      if (this.list.children[index] !== row.item) this.list.insertBefore(row.item, this.list.children[index] ?? null);
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
      actions: h("div", { class: "deal-actions" }),
    };
    const count = (key, number) => h("span", {}, h("small", {}, t(key)), number);
    row.item = h(
      "li",
      { class: "board-deal", testid: "board-deal", dataset: { id: deal.id } },
      h("div", { class: "board-top" }, h("div", { class: "board-words" }, h("strong", {}, deal.title), priceTag(deal)), row.state, row.ring),
      row.bar,
      h("div", { class: "board-counts" }, count("deal.left-word", row.left), count("deal.held-word", row.held), count("deal.sold-word", row.sold)),
      row.actions,
    );
    return row;
  }

  #fill(row, deal) {
    const running = deal.state === "open" || deal.state === "sold_out";
    row.item.dataset.state = deal.state;
    row.state.dataset.state = deal.state;
    setText(row.state, t(`deal.${deal.state}`));
    for (const name of ["left", "held", "sold"]) setText(row[name], String(deal[name]));
    cssVar(row.bar, "--sold", String(deal.sold / deal.stock));
    cssVar(row.bar, "--held", String(deal.held / deal.stock));
    show(row.ring, running || (deal.state === "scheduled" && Boolean(deal.opens_at_ms)));
    const endsAt = running ? deal.closes_at_ms : deal.opens_at_ms;
    if (endsAt) row.ring.run({ endsAt, totalMs: deal.duration_s * 1000 }, this.store.clock);
    if (row.drawn === deal.state) return;
    row.drawn = deal.state;
    row.actions.replaceChildren(...STEPS[deal.state].map((step) => this.#step(deal.id, step)));
  }

  #step(id, step) {
    const testid = { open: "deal-open-now", extend: "deal-extend", close: "deal-close", cancel: "deal-cancel" }[step];
    const kind = step === "cancel" ? "small danger" : step === "open" ? "small deal-go" : "small";
    const words = t(`deal.do.${step}`, { count: EXTEND_S });
    return h("button", { class: kind, type: "button", testid, onclick: (e) => this.#doing(e.currentTarget, id, step) }, words);
  }

  async #doing(button, id, step) {
    button.disabled = true;
    this.note.clear();
    try {
      const path = `/api/v1/streams/${this.store.stream.id}/deals/${id}/${step}`;
      this.store.takeDeal(await this.api.post(path, step === "extend" ? { seconds: EXTEND_S } : undefined));
    } catch (error) {
      this.note.refuse(error);
    } finally {
      button.disabled = false;
    }
  }
}

customElements.define("deal-board", DealBoard);
