/** `<toast-rack>`: "Noor just bought …", at most one new toast in a while; what comes faster is added together. */
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const EVERY_MS = 1_200;
const STAYS_MS = 4_500;
/** A second toast would lie over the chat where the picture fills the screen. */
const maxShown = () => (matchMedia("(min-width: 900px) and (min-height: 561px)").matches ? 2 : 1);

class ToastRack extends HTMLElement {
  #waiting = [];
  #timer = null;

  connectedCallback() {
    // not a live region: the chat log carries the same words for those who want to read them
    this.setAttribute("aria-hidden", "true");
  }

  follow(store) {
    store.addEventListener("purchase", ({ detail }) => {
      if (!detail.replayed) this.#add(detail);
    });
  }

  #add(purchase) {
    this.#waiting.push(purchase);
    if (this.#waiting.length > 500) this.#waiting.shift();
    if (!this.#timer) this.#next();
  }

  #next() {
    this.#timer = null;
    const [first, ...more] = this.#waiting.splice(0);
    if (!first) return;
    const words = more.length
      ? t("toast.many", { name: first.name, count: more.length })
      : t("toast.one", { name: first.name, title: first.title });
    this.#show(words);
    this.#timer = setTimeout(() => this.#next(), EVERY_MS);
  }

  #show(words) {
    const toast = h("div", { class: "toast", testid: "toast" }, icon("bag"), h("span", {}, words));
    this.append(toast);
    while (this.children.length > maxShown()) this.firstChild.remove();
    setTimeout(() => toast.classList.add("leaving"), STAYS_MS - 300);
    setTimeout(() => toast.remove(), STAYS_MS);
  }
}

customElements.define("toast-rack", ToastRack);
