/** `<mention-list>`: who may be meant by an `@` that is being typed; arrow keys choose, Enter or Tab or a tap takes. */
import { h, show } from "../ui/dom.js";
import { t } from "../ui/i18n.js";
import { likely, nameBeingTyped } from "../ui/mentions.js";

class MentionList extends HTMLElement {
  #names = [];
  #at = 0;

  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("ul", { class: "mention-list", id: "mention-list", role: "listbox", testid: "mention-list", aria: { label: t("chat.mention") } });
    this.append(this.list);
    show(this.list, false);
  }

  /** Help typing in `input`, with the names that a Show's lines have. */
  follow(store, input) {
    Object.assign(this, { store, input });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": this.list.id, "aria-expanded": "false" })) input.setAttribute(name, value);
    for (const moved of ["input", "click"]) input.addEventListener(moved, () => this.#look());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#offer([]));
  }

  #look() {
    const typed = nameBeingTyped(this.input.value, this.input.selectionStart);
    this.#offer(typed === null ? [] : likely(typed, this.#people()));
  }

  /** The host first, then who spoke last; never oneself. */
  #people() {
    const { stream, lines, user } = this.store;
    const spoke = lines.filter((line) => line.user && line.user.id !== user?.id).map((line) => line.user.name);
    const host = stream && stream.host.id !== user?.id ? [stream.host.name] : [];
    return [...new Set([...host, ...spoke.reverse()])];
  }

  #offer(names) {
    this.#names = names;
    this.#at = 0;
    show(this.list, names.length > 0);
    this.input.setAttribute("aria-expanded", String(names.length > 0));
    this.#draw();
  }

  #draw() {
    const options = this.#names.map((name, place) => {
      // taken before the field loses the focus, which would close the list
      const onpointerdown = (event) => (event.preventDefault(), this.#take(name));
      const aria = { selected: String(place === this.#at) };
      return h("li", { id: `mention-${place}`, role: "option", testid: "mention", dir: "auto", aria, onpointerdown }, name);
    });
    this.list.replaceChildren(...options);
    if (options.length) this.input.setAttribute("aria-activedescendant", `mention-${this.#at}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    if (!this.#names.length || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.#at = (this.#at + step + this.#names.length) % this.#names.length;
      this.#draw();
    } else if (event.key === "Enter" || event.key === "Tab") this.#take(this.#names[this.#at]);
    else if (event.key === "Escape") this.#offer([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #take(name) {
    const { input } = this;
    const end = input.selectionStart;
    const start = input.value.lastIndexOf("@", end - 1);
    input.setRangeText(`@${name} `, start, end, "end");
    this.#offer([]);
  }
}

customElements.define("mention-list", MentionList);
