/** `<room-rules>`: the host's hand on the room: slow mode, a pause, a word to everybody, blocked words, staff, bans. */
import { newKey } from "../client.js";
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t, timeOfDay } from "../ui/i18n.js";

const SLOW_S = [0, 5, 10, 30, 60];
const MAX_WORDS = 200;
/** While the list of bans is in sight: others moderate, too. */
const BANS_MS = 10_000;

class RoomRules extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.slow = h("select", { testid: "slow-mode", aria: { label: t("rules.slow") }, onchange: () => this.#set({ slow_s: Number(this.slow.value) }) });
    this.slow.append(...SLOW_S.map((s) => h("option", { value: String(s) }, s ? t("rules.slow.each", { count: s }) : t("rules.slow.off"))));
    this.freeze = h("button", { class: "small", type: "button", testid: "freeze-chat", onclick: () => this.#set({ frozen: !this.store.rules.frozen }) });
    this.words = h("input", { testid: "announce-text", type: "text", maxlength: "300", autocomplete: "off", placeholder: t("rules.announce"), aria: { label: t("rules.announce") } });
    this.note = h("refusal-note", { testid: "rules-refusal" });
    this.append(
      h("h2", {}, t("rules")),
      h("form", { class: "rules-row", onsubmit: (e) => this.#announce(e) }, this.words, h("button", { class: "small", type: "submit", testid: "announce" }, icon("bolt"), t("rules.announce.send"))),
      h("div", { class: "rules-row" }, this.slow, this.freeze),
      this.note,
      this.#wordsPart(),
      this.#moderatorsPart(),
      this.#bansPart(),
    );
    this.hidden = true;
  }

  disconnectedCallback() {
    clearInterval(this.reading);
  }

  #wordsPart() {
    this.word = h("input", { testid: "word-new", type: "text", maxlength: "40", autocomplete: "off", spellcheck: "false", aria: { label: t("words.new") }, placeholder: t("words.new") });
    this.wordList = h("ul", { class: "tags", testid: "word-list" });
    const form = h("form", { class: "rules-row", onsubmit: (e) => this.#block(e) }, this.word, h("button", { class: "small", type: "submit", testid: "word-add" }, t("words.add")));
    return h("section", { class: "rules-part" }, h("h3", {}, t("words")), form, this.wordList);
  }

  #moderatorsPart() {
    this.person = h("select", { testid: "moderator-new", aria: { label: t("moderators.who") } });
    this.moderatorList = h("ul", { class: "people", testid: "moderator-list" });
    const form = h("form", { class: "rules-row", onsubmit: (e) => this.#appoint(e) }, this.person, h("button", { class: "small", type: "submit", testid: "moderator-add" }, t("moderators.add")));
    return h("section", { class: "rules-part" }, h("h3", {}, t("moderators")), form, this.moderatorList);
  }

  #bansPart() {
    this.banList = h("ul", { class: "people", testid: "ban-list" });
    return h("section", { class: "rules-part" }, h("h3", {}, t("bans")), this.banList);
  }

  follow(store, staff) {
    Object.assign(this, { store, staff });
    store.addEventListener("rules", () => this.#draw());
    staff.addEventListener("words", () => this.#drawWords());
    staff.addEventListener("moderators", () => this.#drawModerators());
    staff.addEventListener("bans", () => this.#drawBans());
    this.reading = setInterval(() => this.offsetParent && !document.hidden && this.look(), BANS_MS);
  }

  /** It has come into sight: who is banned, and who may be made a moderator. */
  look() {
    this.#drawModerators();
    if (this.store?.room?.joined) this.staff.readBans().catch((error) => error.temporary || this.note.refuse(error));
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

  #drawWords() {
    const { words } = this.staff;
    const tag = (word) =>
      h("li", {}, h("button", { class: "tag", type: "button", testid: "word", aria: { label: t("words.remove", { word }) }, onclick: () => this.#setWords(words.filter((w) => w !== word)) }, word, icon("close")));
    this.wordList.replaceChildren(...(words.length ? words.map(tag) : [h("li", { class: "nothing" }, t("words.none"))]));
  }

  #drawModerators() {
    const { moderators, names } = this.staff;
    const row = (id) =>
      h("li", { testid: "moderator", dataset: { user: id } }, h("span", {}, this.staff.nameOf(id)), h("button", { class: "small", type: "button", testid: "moderator-remove", onclick: () => this.#doing(() => this.staff.appoint(id, false)) }, t("remove")));
    this.moderatorList.replaceChildren(...(moderators.size ? [...moderators].map(row) : [h("li", { class: "nothing" }, t("moderators.none"))]));
    const others = [...names].filter(([id]) => !moderators.has(id) && id !== this.store.user?.id).reverse();
    const chosen = this.person.value;
    this.person.replaceChildren(h("option", { value: "" }, t("moderators.who")), ...others.map(([id, name]) => h("option", { value: id, selected: id === chosen }, name)));
  }

  #drawBans() {
    const { bans } = this.staff;
    const until = (ban) => (ban.untilMs ? t("bans.until", { time: timeOfDay(ban.untilMs, "short") }) : t("bans.ever"));
    const row = (ban) =>
      h(
        "li",
        { testid: "ban", dataset: { user: ban.userId } },
        h("span", {}, this.staff.nameOf(ban.userId), h("small", {}, until(ban))),
        h("button", { class: "small", type: "button", testid: "unban", aria: { label: t("bans.undo.of", { name: this.staff.nameOf(ban.userId) }) }, onclick: () => this.#doing(() => this.staff.unban(ban.userId)) }, t("bans.undo")),
      );
    this.banList.replaceChildren(...(bans.length ? bans.map(row) : [h("li", { class: "nothing" }, t("bans.none"))]));
  }

  #set(changes) {
    return this.#doing(() => this.store.room.call("chat.settings", changes));
  }

  #block(event) {
    event.preventDefault();
    const word = this.word.value.trim();
    const { words } = this.staff;
    if (!word || words.includes(word) || words.length >= MAX_WORDS) return;
    this.word.value = "";
    this.#setWords([...words, word]);
  }

  #setWords(words) {
    return this.#doing(async () => this.staff.takeWords((await this.store.room.call("chat.settings", { words })).words));
  }

  #appoint(event) {
    event.preventDefault();
    if (this.person.value) this.#doing(() => this.staff.appoint(this.person.value, true));
  }

  async #announce(event) {
    event.preventDefault();
    const text = this.words.value.trim();
    if (!text) return;
    // one key for all attempts at the same words: what may have been said already is said once
    if (this.announcing?.text !== text) this.announcing = { text, key: newKey() };
    if (!(await this.#doing(() => this.store.room.call("announce", this.announcing)))) return;
    this.announcing = null;
    this.words.value = "";
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
