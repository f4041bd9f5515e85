/** `<room-rules>`: the host's hand on the room: slow mode, a pause of the chat, a word to everybody. */
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const SLOW_S = [0, 5, 10, 30, 60];

class RoomRules extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.slow = h("select", { testid: "slow-mode", aria: { label: t("rules.slow") }, onchange: () => this.#set({ slow_s: Number(this.slow.value) }) });
    this.slow.append(...SLOW_S.map((s) => h("option", { value: String(s) }, s ? t("rules.slow.each", { count: s }) : t("rules.slow.off"))));
    this.freeze = h("button", { class: "small", type: "button", testid: "freeze-chat", onclick: () => this.#set({ frozen: !this.store.rules.frozen }) });
    this.words = h("input", { testid: "announce-text", type: "text", maxlength: "300", autocomplete: "off", placeholder: t("rules.announce"), aria: { label: t("rules.announce") } });
    this.note = h("refusal-note", { testid: "rules-refusal" });
    this.append(
      h("div", { class: "rules-row" }, this.slow, this.freeze),
      h("form", { class: "rules-row", onsubmit: (e) => this.#announce(e) }, this.words, h("button", { class: "small", type: "submit", testid: "announce" }, icon("bolt"), t("rules.announce.send"))),
      this.note,
    );
    this.hidden = true;
  }

  follow(store) {
    this.store = store;
    store.addEventListener("rules", () => this.#draw());
  }

  /** Nothing where the server knows no rules (an older one). */
  #draw() {
    const { rules } = this.store;
    show(this, rules !== null && this.store.may("moderate"));
    if (!rules) return;
    if (!SLOW_S.includes(rules.slow_s)) this.slow.append(h("option", { value: String(rules.slow_s) }, t("rules.slow.each", { count: rules.slow_s })));
    this.slow.value = String(rules.slow_s);
    this.freeze.setAttribute("aria-pressed", String(rules.frozen));
    setText(this.freeze, t(rules.frozen ? "rules.thaw" : "rules.freeze"));
  }

  #set(changes) {
    return this.#doing(() => this.store.room.call("chat.settings", changes));
  }

  async #announce(event) {
    event.preventDefault();
    const text = this.words.value.trim();
    if (text && (await this.#doing(() => this.store.room.call("announce", { text })))) this.words.value = "";
  }

  async #doing(act) {
    this.note.clear();
    try {
      await act();
      return true;
    } catch (error) {
      this.note.refuse(error);
      this.#draw();
      return false;
    }
  }
}

customElements.define("room-rules", RoomRules);
