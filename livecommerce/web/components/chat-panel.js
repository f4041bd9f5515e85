/** `<chat-panel>`: what people say and buy, newest below; scrolling back pauses it; the host can delete and ban. */
import { OUTCOME_UNKNOWN, newKey } from "../client.js";
import { cssVar, h, hueOf, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

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
  /** What was tried and is not known to have been taken: {text, key}. */
  #unsent = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("ol", { class: "chat-lines", role: "log", tabindex: "0", aria: { live: "off", label: t("chat") }, testid: "chat-lines" });
    this.more = h("button", { class: "chat-more", type: "button", onclick: () => this.#toBottom() }, t("chat.new"));
    this.input = h("input", {
      class: "chat-input", testid: "chat-input", type: "text", maxlength: String(MAX_TEXT), autocomplete: "off",
      enterkeyhint: "send", placeholder: t("chat.placeholder"), aria: { label: t("chat.placeholder") },
    });
    this.button = h("button", { class: "round send", testid: "chat-send", type: "submit", aria: { label: t("chat.send") } }, icon("send"));
    this.form = h("form", { class: "chat-form", onsubmit: (e) => this.#submit(e) }, this.input, this.button);
    this.note = h("refusal-note", { testid: "chat-refusal" });
    this.pinned = h("p", { class: "chat-pinned", testid: "chat-pinned" });
    this.append(this.pinned, h("div", { class: "chat-scroll" }, this.list, this.more), this.note, this.form);
    show(this.pinned, false);
    show(this.more, false);
    this.list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // a card that opens takes height from the list: who was at the bottom stays there
    new ResizeObserver(() => this.#reading || this.#toBottom()).observe(this.list);
  }

  /** Show a Show's lines and send to its room. */
  follow(store) {
    this.store = store;
    store.addEventListener("reset", () => this.#redraw());
    store.addEventListener("lines", ({ detail }) => {
      for (const line of detail.removed) this.#remove(line);
      this.#waiting.push(...detail.added);
      if (this.#waiting.length > MAX_ELEMENTS) this.#waiting.splice(0, this.#waiting.length - MAX_ELEMENTS);
      this.#schedule();
    });
    store.addEventListener("stream", () => this.#drawForm());
    store.addEventListener("rules", () => this.#drawForm());
    store.addEventListener("pinned-line", () => this.#drawPinned());
  }

  /** Whether one may write now, and if not, why. */
  #drawForm() {
    const { stream, rules } = this.store;
    const over = stream.state === "ended";
    const frozen = Boolean(rules?.frozen) && !this.#moderating;
    this.input.disabled = this.button.disabled = over || frozen;
    const slow = rules?.slow_s && !this.#moderating ? t("chat.slow", { count: rules.slow_s }) : t("chat.placeholder");
    this.input.placeholder = over ? t("chat.over") : frozen ? t("chat.frozen") : slow;
  }

  #drawPinned() {
    const line = this.store.pinnedLine;
    show(this.pinned, line !== null);
    if (!line) return;
    const unpin = () => this.#command("chat.pin", { message_id: null });
    this.pinned.replaceChildren(
      icon("pin"),
      h("span", { dir: "auto" }, h("b", {}, line.user.name), " ", line.text),
      this.#moderating ? h("button", { class: "small quiet", type: "button", testid: "chat-unpin", onclick: unpin }, t("chat.unpin")) : "",
    );
  }

  get #moderating() {
    return this.store.user?.roles?.some((role) => role === "host" || role === "moderator") ?? false;
  }

  #redraw() {
    this.#elements.clear();
    this.list.replaceChildren();
    this.#waiting = [...this.store.lines];
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

  #flush() {
    this.#scheduled = false;
    const lines = this.#waiting.splice(0).filter((line) => this.store.lines.includes(line));
    for (const line of lines) {
      const element = this.#draw(line);
      this.#elements.set(line, element);
      this.list.append(element);
    }
    while (this.list.children.length > MAX_ELEMENTS) this.#remove(this.#elements.keys().next().value);
    if (this.#reading) show(this.more, lines.length > 0 || !this.more.hidden);
    else this.list.scrollTop = this.list.scrollHeight;
  }

  #remove(line) {
    this.#elements.get(line)?.remove();
    this.#elements.delete(line);
  }

  #draw(line) {
    if (line.kind === "purchase") {
      const words = t("bought", { name: line.name, title: line.title });
      return h("li", { class: "line bought", testid: "purchase-line" }, icon("bag"), h("span", {}, words));
    }
    if (line.kind === "announcement") return h("li", { class: "line announcement" }, icon("bolt"), h("span", {}, line.text));
    const roles = line.user.roles ?? [];
    const name = h("span", { class: "line-name" }, line.user.name);
    cssVar(name, "--hue", String(hueOf(line.user.id)));
    const badge = ["host", "moderator"].find((role) => roles.includes(role));
    return h(
      "li",
      { class: badge ? `line from-${badge}` : "line", testid: "chat-line", dataset: { id: line.id } },
      name,
      badge && h("span", { class: "badge", testid: `badge-${badge}` }, t(`role.${badge}`)),
      h("span", { class: "line-text", dir: "auto" }, line.text),
      this.#moderating && this.#actions(line),
    );
  }

  #actions(line) {
    const act = (command, fields) => () => this.#command(command, fields);
    return h(
      "span",
      { class: "line-actions" },
      h("button", { type: "button", testid: "chat-delete", onclick: act("chat.delete", { message_id: line.id }) }, t("chat.delete")),
      this.store.rules && h("button", { type: "button", testid: "chat-pin", onclick: act("chat.pin", { message_id: line.id }) }, t("chat.pin")),
      line.user.id !== this.store.user.id &&
        h("button", { type: "button", testid: "chat-ban", onclick: act("chat.ban", { user_id: line.user.id }) }, t("chat.ban")),
    );
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
      await this.#send(text);
      this.input.value = "";
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

  /** One key for all attempts at the same words: a message whose fate is unknown is said once. */
  async #send(text) {
    const { room } = this.store;
    if (this.#unsent?.text !== text) this.#unsent = { text, key: newKey() };
    try {
      await room.ready();
      await room.call("chat.send", this.#unsent);
    } catch (error) {
      if (error.code !== OUTCOME_UNKNOWN) throw error;
      await room.ready();
      await room.call("chat.send", this.#unsent);
    }
    this.#unsent = null;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.#reading = scrollHeight - scrollTop - clientHeight > NEAR_PX;
    if (!this.#reading) show(this.more, false);
  }

  #toBottom() {
    this.#reading = false;
    show(this.more, false);
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** Words under the input, for what the page has to say about the chat. */
  say(text) {
    this.note.say(text);
    setText(this.note, text);
  }
}

customElements.define("chat-panel", ChatPanel);
