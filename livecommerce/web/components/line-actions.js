/** `<line-actions>`: what can be done with one line of the chat, each in one tap. One bar serves all lines. */
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const TIME_OUT_S = 300;

/** Fires `reply` {line} and `refused` {error}. */
class LineActions extends HTMLElement {
  /** Offer what this user may do with a line of the room. */
  offer(line, store) {
    this.store = store;
    this.line = line;
    this.replaceChildren(...this.#choices().map((choice) => this.#button(choice)));
  }

  #choices() {
    const { line, store } = this;
    const roles = store.user?.roles ?? [];
    const host = roles.includes("host");
    const staff = host || roles.includes("moderator");
    const others = line.user.id !== store.user?.id;
    const message = { message_id: line.id };
    const user = { user_id: line.user.id };
    const asked = store.questions.get(line.id);
    const judged = staff && others && !line.user.roles?.includes("host");
    return [
      { name: "reply", act: () => this.#tell("reply", { line }) },
      asked === "open" && staff && { name: "answered", sign: "check", command: "question.answer", fields: message },
      !asked && (staff || !others) && { name: "ask", sign: "question", command: "question.ask", fields: message },
      staff && { name: "pin", sign: "pin", command: "chat.pin", fields: message },
      staff && { name: "delete", sign: "bin", command: "chat.delete", fields: message },
      judged && { name: "timeout", sign: "clock", command: "chat.ban", fields: { ...user, seconds: TIME_OUT_S } },
      judged && { name: "clear", sign: "broom", command: "chat.clear_user", fields: user },
      judged && { name: "ban", sign: "ban", command: "chat.ban", fields: user },
      judged && host && { name: "appoint", sign: "shield", command: "moderator.grant", fields: user },
    ].filter(Boolean);
  }

  #button({ name, sign = name, command, fields, act }) {
    const words = t(`chat.${name}`, { name: this.line.user.name });
    const onclick = act ?? (() => this.#command(command, fields, name));
    return h("button", { type: "button", testid: `chat-${name}`, title: words, aria: { label: words }, onclick }, icon(sign));
  }

  #tell(topic, detail) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  async #command(command, fields, name) {
    const done = t(`chat.${name}.done`, { name: this.line.user.name });
    this.remove();
    try {
      await this.store.room.call(command, fields);
      this.#tell("done", { words: done });
    } catch (error) {
      this.#tell("refused", { error });
    }
  }
}

customElements.define("line-actions", LineActions);
