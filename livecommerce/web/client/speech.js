/** Saying something in a room, once, whatever becomes of the connection. No DOM. */
import { newKey } from "./claims.js";
import { OUTCOME_UNKNOWN } from "./errors.js";

export class Speech {
  /** What was tried and is not known to have been taken: {text, key, reply_to?, mentions?}. */
  #unsent = null;

  /** `store` is a Show that follows a room. */
  constructor(store) {
    this.store = store;
  }

  /** One key for all attempts at the same words: a message whose fate is unknown is said once. Rejects with a Refusal. */
  async say(text, { replyTo = null, mentions = [], asking = false } = {}) {
    if (this.#unsent?.text !== text || this.#unsent.reply_to !== (replyTo ?? undefined)) {
      this.#unsent = { text, key: newKey(), ...(replyTo && { reply_to: replyTo }), ...(mentions.length && { mentions }) };
    }
    const sent = await this.#insist("chat.send", this.#unsent);
    // marking it twice is harmless, so a question whose mark was lost is marked by sending it again
    if (asking) await this.#insist("question.ask", { message_id: sent.id });
    this.#unsent = null;
  }

  async #insist(command, fields) {
    const { room } = this.store;
    try {
      await room.ready();
      return await room.call(command, fields);
    } catch (error) {
      if (error.code !== OUTCOME_UNKNOWN) throw error;
      await room.ready();
      return room.call(command, fields);
    }
  }
}
