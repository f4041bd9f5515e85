/**
 * What a room's events add up to: the stream, its chat, products, deals and one's own orders. No DOM.
 *
 * Events: reset, stream, viewers, lines {added, removed, unwanted? (which lines were taken back, kept or not)}, rules, pinned-line, products, deals {deal, was}, order {order},
 * place {dealId}, poll {opened?, closed?}, question {id}, offer {order}, purchase {name, title, units, replayed}, reactions {counts}, moderation {…}, activity (something the host counts).
 */
export const MAX_LINES = 200;
/** So many lines in a row may tell of purchases. */
const MAX_PURCHASES = 3;

const DEAL_EVENTS = ["scheduled", "opened", "extended", "sold_out", "closed", "cancelled"].map((e) => `deal.${e}`);

export class Show extends EventTarget {
  constructor({ clock }) {
    super();
    this.clock = clock;
    this.user = null;
    this.stream = null;
    this.viewers = 0;
    this.lines = [];
    /** How the room may talk, {slow_s, frozen}, and the message pinned over it; null where the server says nothing of it. */
    this.rules = null;
    this.pinnedLine = null;
    this.products = new Map();
    this.deals = new Map();
    this.orders = new Map();
    /** One's place in the waiting lists, by deal. */
    this.places = new Map();
    /** The poll that is open, or the one just closed; null where none was. */
    this.poll = null;
    /** What became of lines marked as questions, by id: "open" or "answered". */
    this.questions = new Map();
  }

  /** Follow a room: its joins and its events. */
  follow(room) {
    this.room = room;
    room.addEventListener("joined", (e) => this.#reset(e.detail));
    room.addEventListener("event", (e) => this.apply(e.detail));
  }

  get pinned() {
    return this.products.get(this.stream?.pinned) ?? null;
  }

  /** Whether the signed-in user may do this here: watch, chat, buy, host, moderate. */
  may(grant) {
    return this.user?.can?.includes(grant) ?? false;
  }

  #tell(topic, detail = {}) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  #reset(ok) {
    this.user = ok.user;
    this.stream = ok.stream;
    this.viewers = ok.stream.viewers ?? this.viewers;
    if (!ok.recovered) this.lines = [];
    this.products = new Map(ok.products.map((p) => [p.id, p]));
    this.deals = new Map(ok.deals.map((d) => [d.id, { ...d, seen: ok.offset }]));
    const open = new Map(ok.orders.map((o) => [o.id, o]));
    const lost = [...this.orders.values()].filter((o) => ["held", "paying"].includes(o.state) && !open.has(o.id));
    for (const order of open.values()) this.orders.set(order.id, order);
    this.#tell("reset", { lost });
    if (ok.chat) this.takeRules(ok.chat.rules);
    if (ok.chat) this.pinLine(ok.chat.pinned);
    if (ok.chat?.poll || this.poll?.state === "open") this.takePoll(ok.chat?.poll ?? null);
    for (const topic of ["stream", "viewers", "products", "deals", "order"]) this.#tell(topic);
  }

  /** One event of the room. An unknown type is a newer server's: passed over. */
  apply(event) {
    if (DEAL_EVENTS.includes(event.type)) return this.#dealNow(event);
    const handler = HANDLERS[event.type];
    if (handler) handler(this, event);
  }

  // --- chat ---

  /** One more line; `instead` is how many of the newest it replaces. */
  addLine(line, instead = 0) {
    if (line.id && this.lines.some((l) => l.id === line.id)) return;
    const gone = instead ? this.lines.splice(-instead) : [];
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) gone.push(...this.lines.splice(0, this.lines.length - MAX_LINES));
    this.#tell("lines", { added: [line], removed: gone });
  }

  takeRules(rules) {
    this.rules = rules;
    this.#tell("rules");
  }

  pinLine(line) {
    this.pinnedLine = line ?? null;
    this.#tell("pinned-line");
  }

  removeLines(unwanted) {
    if (this.pinnedLine && unwanted(this.pinnedLine)) this.pinLine(null);
    const removed = this.lines.filter(unwanted);
    this.lines = this.lines.filter((line) => !removed.includes(line));
    // told even where none was kept: a page may still show one
    this.#tell("lines", { added: [], removed, unwanted });
  }

  /** The poll as it is: opened, counted or closed. */
  takePoll(poll, happened = {}) {
    this.poll = poll;
    this.#tell("poll", happened);
  }

  countPoll({ poll_id: id, counts, votes }) {
    if (this.poll?.id === id) this.takePoll({ ...this.poll, counts, votes });
  }

  /** A line was marked as a question, or its answer was given. */
  markQuestion(id, state) {
    this.questions.set(id, state);
    if (this.questions.size > MAX_LINES) this.questions.delete(this.questions.keys().next().value);
    this.#tell("question", { id });
  }

  // --- stream and showcase ---

  /** The stream's resource, as HTTP gave it before the room did. */
  takeStream(stream) {
    this.stream = stream;
    this.viewers = stream.viewers ?? this.viewers;
    this.#tell("stream");
    this.#tell("viewers");
  }

  changeStream(changes) {
    if (!this.stream) return;
    this.stream = { ...this.stream, ...changes };
    this.#tell("stream");
  }

  setViewers(count) {
    this.viewers = count;
    this.#tell("viewers");
  }

  putProduct(product) {
    this.products.set(product.id, product);
    this.#tell("products");
  }

  removeProduct(id) {
    this.products.delete(id);
    this.#tell("products");
  }

  /** Products in their host's order; those not named follow as they were. */
  orderProducts(ids) {
    const named = ids.filter((id) => this.products.has(id));
    const rest = [...this.products.keys()].filter((id) => !named.includes(id));
    this.products = new Map([...named, ...rest].map((id) => [id, this.products.get(id)]));
    this.#tell("products");
  }

  pin(id) {
    this.changeStream({ pinned: id });
    this.#tell("products");
  }

  // --- deals ---

  #dealNow({ type, data, offset }) {
    if (!data.deal) return;
    const was = this.deals.get(data.deal.id);
    if (was && offset <= was.seen) return;
    const deal = { ...data.deal, seen: offset };
    if (deal.server_ms) this.clock.notice(deal.server_ms);
    this.deals.set(deal.id, deal);
    this.#tell("deals", { deal, was, type });
    this.#tell("activity");
  }

  /** Take a deal that an HTTP answer carried: it is at least as new as what we had, but has no position. */
  takeDeal(deal) {
    const was = this.deals.get(deal.id);
    if (was && was.server_ms > deal.server_ms) return;
    this.deals.set(deal.id, { ...deal, seen: was?.seen ?? -1 });
    this.#tell("deals", { deal: this.deals.get(deal.id), was });
  }

  /**
   * Change a deal's counts unless something newer is known; `held` follows from the invariant.
   * A numbered event at the position we know is already in it; a glance at that position is as new.
   */
  count(dealId, position, { left, sold, soldMore = 0, numbered = true }) {
    const was = this.deals.get(dealId);
    if (!was || position < was.seen || (numbered && position === was.seen)) return;
    const deal = { ...was, seen: position, left: left ?? was.left, sold: sold ?? was.sold + soldMore };
    deal.held = Math.max(0, deal.stock - deal.left - deal.sold);
    if (deal.state === "open" && deal.left === 0) deal.state = "sold_out";
    else if (deal.state === "sold_out" && deal.left > 0) deal.state = "open";
    this.deals.set(dealId, deal);
    this.#tell("deals", { deal, was });
  }

  purchased({ data, replayed }) {
    const deal = this.deals.get(data.deal_id);
    const title = deal?.title ?? "";
    const line = { kind: "purchase", name: data.buyer?.name ?? "", title, units: data.units };
    // a sale of hundreds leaves room for what people say: from the third in a row on, one line counts the rest
    const run = this.lines.slice(-MAX_PURCHASES);
    const full = run.length === MAX_PURCHASES && run.every((each) => each.kind === "purchase" && each.title === title);
    if (full) this.addLine({ ...line, more: (run.at(-1).more ?? 0) + 1 }, 1);
    else this.addLine(line);
    this.#tell("purchase", { name: line.name, title, units: data.units, replayed });
    this.#tell("activity");
  }

  claimed() {
    this.#tell("activity");
  }

  // --- one's own ---

  takeOrder(order) {
    const was = this.orders.get(order.id);
    this.orders.set(order.id, order);
    this.#tell("order", { order, was });
  }

  /** Where one stands in a deal's waiting list; position null is "not waiting". */
  takePlace({ deal_id: id, position }) {
    if (position === null || position === undefined) this.places.delete(id);
    else this.places.set(id, position);
    this.#tell("place", { dealId: id });
  }

  /** A unit came back and is held for the one who waited. */
  offered(order) {
    this.takePlace({ deal_id: order.deal_id, position: null });
    this.takeOrder(order);
    this.#tell("offer", { order });
  }

  react(counts) {
    this.#tell("reactions", { counts });
  }

  moderated(data) {
    this.#tell("moderation", data);
  }
}

const HANDLERS = {
  "chat.message": (show, { data, at_ms }) => show.addLine({ kind: "message", at_ms, ...data }),
  "chat.deleted": (show, { data }) => show.removeLines((line) => line.id === data.id),
  "chat.cleared": (show, { data }) => show.removeLines((line) => line.user?.id === data.user_id),
  "chat.settings": (show, { data, replayed }) => replayed || show.takeRules(data),
  "chat.pinned": (show, { data, replayed }) => replayed || show.pinLine(data.message),
  announcement: (show, { data }) => show.addLine({ kind: "announcement", text: data.text }),
  "question.asked": (show, { data }) => data.message && show.markQuestion(data.message.id, "open"),
  "question.answered": (show, { data }) => show.markQuestion(data.id, "answered"),
  "poll.opened": (show, { data, replayed }) => replayed || show.takePoll(data.poll, { opened: true }),
  "poll.closed": (show, { data, replayed }) => replayed || show.takePoll(data.poll, { closed: true }),
  "poll.counts": (show, { data }) => show.countPoll(data),
  "product.updated": (show, { data }) => data.product && show.putProduct(data.product),
  "product.removed": (show, { data }) => show.removeProduct(data.product_id),
  "product.order": (show, { data, replayed }) => replayed || show.orderProducts(data.product_ids),
  "product.pinned": (show, { data }) => show.pin(data.product_id ?? null),
  "stream.live": (show, { replayed }) => replayed || show.changeStream({ state: "live" }),
  "stream.interrupted": (show, { replayed }) => replayed || show.changeStream({ state: "interrupted" }),
  "stream.ended": (show, { replayed }) => replayed || show.changeStream({ state: "ended" }),
  "deal.claimed": (show, { data, offset }) => {
    show.count(data.deal_id, offset, { left: data.left });
    show.claimed();
  },
  "deal.released": (show, { data, offset }) => {
    show.count(data.deal_id, offset, { left: data.left });
    show.claimed();
  },
  "deal.stock": (show, { data, as_of }) =>
    show.count(data.deal_id, as_of ?? data.as_of, { left: data.left, sold: data.sold, numbered: false }),
  purchase: (show, event) => {
    show.count(event.data.deal_id, event.offset, { soldMore: event.data.units });
    show.purchased(event);
  },
  "order.updated": (show, { data }) => data.order && show.takeOrder(data.order),
  "waitlist.offer": (show, { data }) => data.order && show.offered(data.order),
  "waitlist.position": (show, { data }) => show.takePlace(data),
  viewers: (show, { data }) => show.setViewers(data.count),
  reactions: (show, { data }) => show.react(data),
  moderation: (show, { data }) => show.moderated(data),
};
