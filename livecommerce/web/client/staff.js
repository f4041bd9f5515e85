/**
 * What hosts and moderators are told beside the show: open questions, blocked words, moderators, bans,
 * low stock, and the names of who spoke. No DOM.
 *
 * Events: questions, words, moderators, bans, low-stock {dealId, left}.
 */
const MAX_NAMES = 2_000;
const JOURNAL_STEPS = 500;

export class Staff extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.questions = [];
    this.words = [];
    this.moderators = new Set();
    /** Bans that hold, newest first: {userId, untilMs|null}. */
    this.bans = [];
    this.names = new Map();
  }

  follow(room) {
    this.room = room;
    room.addEventListener("joined", ({ detail }) => this.#joined(detail));
    room.addEventListener("event", ({ detail }) => HANDLERS[detail.type]?.(this, detail.data, detail));
    this.store.addEventListener("lines", ({ detail }) => detail.added.forEach((line) => line.user && this.#name(line.user)));
  }

  tell(topic, detail = {}) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  #joined({ user, chat }) {
    this.#name(user);
    this.questions = chat?.questions ?? [];
    this.words = chat?.words ?? [];
    this.moderators = new Set(chat?.moderators);
    for (const message of this.questions) this.#name(message.user);
    for (const topic of ["questions", "words", "moderators"]) this.tell(topic);
  }

  #name({ id, name }) {
    this.names.delete(id);
    this.names.set(id, name);
    if (this.names.size > MAX_NAMES) this.names.delete(this.names.keys().next().value);
  }

  /** The name of a user as far as it was seen here. */
  nameOf(id) {
    return this.names.get(id) ?? id;
  }

  takeQuestions(questions) {
    this.questions = questions;
    for (const message of questions) this.#name(message.user);
    this.tell("questions");
  }

  takeWords(words) {
    this.words = words;
    this.tell("words");
  }

  /** Make somebody a moderator, or no longer. */
  async appoint(userId, granted) {
    await this.room.call(granted ? "moderator.grant" : "moderator.revoke", { user_id: userId });
    if (granted) this.moderators.add(userId);
    else this.moderators.delete(userId);
    this.tell("moderators");
  }

  async unban(userId) {
    await this.room.call("chat.unban", { user_id: userId });
    await this.readBans();
  }

  /** The bans that hold now: the newest step about each user in the journal of moderation decides. */
  async readBans() {
    const { items } = await this.room.call("moderation.journal", { limit: JOURNAL_STEPS });
    const newest = new Map();
    for (const step of items) {
      if ((step.action === "ban" || step.action === "unban") && !newest.has(step.user_id)) newest.set(step.user_id, step);
    }
    const until = (step) => (step.detail ? step.at_ms + Number(step.detail) * 1000 : null);
    this.bans = [...newest.values()]
      .filter((step) => step.action === "ban" && (until(step) ?? Infinity) > this.store.clock.now())
      .map((step) => ({ userId: step.user_id, untilMs: until(step) }));
    this.tell("bans");
  }
}

const HANDLERS = {
  "question.queue": (staff, data) => staff.takeQuestions(data.questions),
  "deal.low_stock": (staff, data) => staff.tell("low-stock", { dealId: data.deal_id, left: data.left }),
};
