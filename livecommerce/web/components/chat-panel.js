/**
 * `<chat-panel>`: what people say and buy, newest below; scrolling back pauses it. A tap on a line (or the arrow keys)
 * offers what can be done with it: answer it, mark it as a question; for hosts and moderators, moderate it.
 */
import "./line-actions.js";
import "./mention-list.js";
import { Speech } from "../client.js";
import { h, setText, show } from "../ui/dom.js";
import { drawLine, forgetQuotes, markQuestion } from "../ui/chat-line.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";
import { mentioned } from "../ui/mentions.js";

/** Elements kept; older ones leave the page (the log on the server keeps them). */
const MAX_ELEMENTS = 120;
/** So close to the bottom counts as reading along. */
const NEAR_PX = 60;
const MAX_TEXT = 300;

class ChatPanel extends HTMLElement {
  #elements = new Map();
  #waiting = [];
  #scheduled = false;
  #reading = false;
  /** How many came while somebody read back. */
  #unread = 0;
  #replyTo = null;
  #asking = false;

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("div", { class: "chat-lines", role: "log", tabindex: "0", aria: { live: "off", label: t("chat") }, testid: "chat-lines" });
    this.more = h("button", { class: "chat-more", type: "button", testid: "chat-more", onclick: () => this.#toBottom() });
    this.input = h("input", {
      class: "chat-input", testid: "chat-input", type: "text", maxlength: String(MAX_TEXT), autocomplete: "off",
      enterkeyhint: "send", placeholder: t("chat.placeholder"), aria: { label: t("chat.placeholder") },
    });
    this.ask = h("button", { class: "round ask", testid: "chat-asking", type: "button", title: t("chat.asking"), aria: { label: t("chat.asking"), pressed: "false" }, onclick: () => this.#askInstead(!this.#asking) }, icon("question"));
    this.button = h("button", { class: "round send", testid: "chat-send", type: "submit", aria: { label: t("chat.send") } }, icon("send"));
    this.names = h("mention-list");
    this.field = h("span", { class: "chat-field" }, this.names, this.input, this.ask);
    this.form = h("form", { class: "chat-form", onsubmit: (e) => this.#submit(e) }, this.field, this.button);
    this.replying = h("p", { class: "chat-replying", testid: "chat-replying" });
    this.note = h("refusal-note", { testid: "chat-refusal" });
    this.pinned = h("p", { class: "chat-pinned", testid: "chat-pinned" });
    // the log itself is silent, for it may run at fifty lines a second; only what concerns this person is read out
    this.aside = h("p", { class: "unseen", role: "status", testid: "chat-aside" });
    this.append(this.pinned, h("div", { class: "chat-scroll" }, this.list, this.more), this.note, this.replying, this.form, this.aside);
    for (const each of [this.pinned, this.more, this.replying]) show(each, false);
    this.#listen();
  }

  #listen() {
    const { list } = this;
    list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    list.addEventListener("click", (e) => this.#tapped(e));
    list.addEventListener("pointerover", (e) => e.pointerType === "mouse" && this.#offer(e.target.closest("[data-id]")));
    list.addEventListener("focusin", (e) => this.#offer(e.target.closest("[data-id]")));
    list.addEventListener("keydown", (e) => this.#walk(e));
    this.addEventListener("keydown", (e) => e.key === "Escape" && this.#reply(null));
    this.actions = h("line-actions", { class: "line-actions" });
    this.actions.addEventListener("reply", ({ detail }) => this.#reply(detail.line));
    this.actions.addEventListener("refused", ({ detail }) => this.note.refuse(detail.error));
    this.actions.addEventListener("done", ({ detail }) => setText(this.aside, detail.words));
    // a card that opens takes height from the list: who was at the bottom stays there
    new ResizeObserver(() => this.#reading || this.#toBottom()).observe(list);
  }

  /** Show a Show's lines and send to its room. */
  follow(store) {
    this.store = store;
    this.speech = new Speech(store);
    this.names.follow(store, this.input);
    store.addEventListener("reset", () => this.#redraw());
    store.addEventListener("lines", ({ detail }) => {
      this.#forget(detail);
      this.#waiting.push(...detail.added);
      if (this.#reading) this.#unread += detail.added.length;
      if (this.#waiting.length > MAX_ELEMENTS) this.#waiting.splice(0, this.#waiting.length - MAX_ELEMENTS);
      this.#schedule();
    });
    store.addEventListener("question", ({ detail }) => this.#marked(detail.id));
    store.addEventListener("stream", () => this.#drawForm());
    store.addEventListener("rules", () => this.#drawForm());
    store.addEventListener("pinned-line", () => this.#drawPinned());
  }

  /** Lines taken back vanish; those that are only old stay while somebody reads them. */
  #forget({ removed, unwanted }) {
    const shown = unwanted ? [...this.#elements.keys()].filter(unwanted) : this.#reading ? [] : removed;
    for (const line of new Set([...shown, ...(unwanted ? removed : [])])) this.#remove(line, Boolean(unwanted));
  }

  // --- one line: what can be done with it ---

  #lineOf(element) {
    return [...this.#elements.keys()].find((line) => line.id === element.dataset.id) ?? null;
  }

  #offer(element) {
    if (!element || !this.store?.user || element.contains(this.actions)) return;
    const line = this.#lineOf(element);
    if (!line?.user) return;
    this.actions.offer(line, this.store);
    element.append(this.actions);
  }

  #tapped({ target }) {
    const element = target.closest("[data-id]");
    if (!element || target.closest("line-actions") || !getSelection().isCollapsed) return;
    if (element.dataset.open === "true") return this.#shut();
    this.#shut();
    this.#offer(element);
    element.dataset.open = "true";
  }

  #shut() {
    for (const each of this.list.querySelectorAll("[data-open]")) delete each.dataset.open;
  }

  /** Arrow keys walk through the lines; Tab then reaches the line's actions. */
  #walk(event) {
    const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = this.list.contains(document.activeElement) ? document.activeElement.closest(".line") : null;
    let to = from ? from[step] : this.list.lastElementChild;
    while (to && !to.dataset.id) to = to[step];
    this.#reading = true;
    to?.focus();
  }

  #marked(id) {
    const element = this.list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (element) markQuestion(element, this.store.questions.get(id));
  }

  #reply(line) {
    this.#replyTo = line;
    show(this.replying, line !== null);
    if (!line) return;
    const close = h("button", { class: "round tiny", type: "button", testid: "chat-reply-cancel", aria: { label: t("cancel") }, onclick: () => this.#reply(null) }, icon("close"));
    this.replying.replaceChildren(icon("reply"), h("span", { dir: "auto" }, h("bdi", { class: "who-said" }, line.user.name), " ", line.text), close);
    this.#shut();
    this.input.focus();
  }

  #askInstead(asking) {
    this.#asking = asking;
    this.ask.setAttribute("aria-pressed", String(asking));
    this.#drawForm();
    if (asking) this.input.focus();
  }

  /** Whether one may write now, and if not, why. */
  #drawForm() {
    const { stream, rules } = this.store;
    const over = stream.state === "ended";
    const frozen = Boolean(rules?.frozen) && !this.#moderating;
    this.input.disabled = this.button.disabled = this.ask.disabled = over || frozen;
    show(this.ask, !this.#moderating);
    const slow = rules?.slow_s && !this.#moderating ? t("chat.slow", { count: rules.slow_s }) : t("chat.placeholder");
    this.input.placeholder = over ? t("chat.over") : frozen ? t("chat.frozen") : this.#asking ? t("chat.asking.more") : slow;
  }

  #drawPinned() {
    const line = this.store.pinnedLine;
    show(this.pinned, line !== null);
    if (!line) return;
    const unpin = () => this.#command("chat.pin", { message_id: null });
    this.pinned.replaceChildren(
      icon("pin"),
      h("span", { dir: "auto" }, h("bdi", { class: "who-said" }, line.user.name), " ", line.text),
      this.#moderating ? h("button", { class: "small quiet", type: "button", testid: "chat-unpin", onclick: unpin }, t("chat.unpin")) : "",
    );
  }

  get #moderating() {
    return this.store.user?.roles?.some((role) => role === "host" || role === "moderator") ?? false;
  }

  #redraw() {
    this.#elements.clear();
    this.list.replaceChildren();
    this.#waiting = this.store.lines.slice(-MAX_ELEMENTS);
    this.#schedule();
  }

  // Lines of a burst are drawn together, once a frame: 50 a second cost as much as one.
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => this.#flush();
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  // Who reads back keeps what they read: once the list is full, newer lines wait until they return to the bottom.
  #flush() {
    this.#scheduled = false;
    const most = this.#reading ? Math.max(0, MAX_ELEMENTS - this.list.children.length) : MAX_ELEMENTS;
    const lines = this.#waiting.splice(0, most).filter((line) => this.store.lines.includes(line));
    for (const line of lines) {
      const element = drawLine(line, this.store);
      if (element.classList.contains("for-me")) setText(this.aside, t("chat.for-me", { name: line.user.name, text: line.text }));
      this.#elements.set(line, element);
      this.list.append(element);
    }
    while (this.list.children.length > MAX_ELEMENTS) this.#remove(this.#elements.keys().next().value);
    if (this.#reading) this.#drawMore();
    else this.list.scrollTop = this.list.scrollHeight;
  }

  #drawMore() {
    show(this.more, this.#unread > 0);
    if (this.#unread) setText(this.more, t("chat.new", { count: Math.min(this.#unread, MAX_ELEMENTS) }));
  }

  #remove(line, deleted = false) {
    this.#elements.get(line)?.remove();
    this.#elements.delete(line);
    if (!deleted || !line.id) return;
    forgetQuotes(this.list, line.id);
    if (this.#replyTo?.id === line.id) this.#reply(null);
  }

  async #command(command, fields) {
    try {
      await this.store.room.call(command, fields);
    } catch (error) {
      this.note.refuse(error);
    }
  }

  // The words stay in the field, unchangeable, until the server has them: nobody types them twice.
  async #submit(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text || this.input.readOnly) return;
    this.#sending(true);
    this.note.clear();
    try {
      await this.speech.say(text, { replyTo: this.#replyTo?.id, mentions: mentioned(text, this.store.lines), asking: this.#asking });
      this.input.value = "";
      this.#reply(null);
      this.#askInstead(false);
      this.#toBottom();
    } catch (error) {
      this.note.refuse(error);
    } finally {
      this.#sending(false);
    }
  }

  #sending(busy) {
    this.input.readOnly = busy;
    this.form.setAttribute("aria-busy", String(busy));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.#reading = scrollHeight - scrollTop - clientHeight > NEAR_PX;
    if (!this.#reading) this.#caughtUp();
  }

  #caughtUp() {
    this.#unread = 0;
    show(this.more, false);
    if (this.#waiting.length) this.#schedule();
  }

  #toBottom() {
    this.#reading = false;
    this.#caughtUp();
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** Words under the input, for what the page has to say about the chat. */
  say(text) {
    this.note.say(text);
    setText(this.note, text);
  }
}

customElements.define("chat-panel", ChatPanel);
