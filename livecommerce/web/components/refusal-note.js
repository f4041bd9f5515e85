/** `<refusal-note>`: why something was refused, in words; it announces itself once and goes away again. */
import { setText } from "../ui/dom.js";
import { refusalText } from "../ui/i18n.js";
import { asRefusal } from "../client.js";

const STAYS_MS = 8_000;

class RefusalNote extends HTMLElement {
  #timer = null;

  connectedCallback() {
    this.setAttribute("role", "alert");
    if (!this.textContent) this.hidden = true;
  }

  /** Show a Refusal (or any error) in words; the code stays readable for tests and support. */
  refuse(error) {
    const refusal = asRefusal(error);
    this.dataset.code = refusal.code;
    this.say(refusalText(refusal));
  }

  /** Show a sentence. */
  say(text, { staysMs = STAYS_MS } = {}) {
    clearTimeout(this.#timer);
    this.hidden = false;
    setText(this, text);
    this.#timer = setTimeout(() => this.clear(), staysMs);
  }

  clear() {
    clearTimeout(this.#timer);
    this.hidden = true;
    delete this.dataset.code;
    setText(this, "");
  }
}

customElements.define("refusal-note", RefusalNote);
