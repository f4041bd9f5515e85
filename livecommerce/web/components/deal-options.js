/** `<deal-options>`: how many units, and a discount code for those who have one. It keeps no room while unused. */
import { safeStorage } from "../client.js";
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

/** What a code may be made of; the server judges it. */
const CODE = /[^A-Z0-9-]/g;
const MAX_CODE = 32;
/** More is not chosen by tapping. */
const MOST_UNITS = 20;
/** The code typed last in this show, so that it is typed once an evening. */
const SAVED = "livecommerce.code";

/** Fires `change` when the units or the code did. */
class DealOptions extends HTMLElement {
  #units = 1;
  #most = 1;
  #streamId = null;
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    const button = (name, sign, by) =>
      h("button", { class: "round", type: "button", testid: `units-${name}`, aria: { label: t(`units.${name}`) }, onclick: () => this.#take(this.#units + by) }, icon(sign));
    this.less = button("less", "minus", -1);
    this.more = button("more", "plus", 1);
    this.count = h("output", { testid: "units", aria: { label: t("units") } });
    this.stepper = h("span", { class: "units" }, this.less, this.count, this.more);
    this.input = h("input", {
      class: "code-input", testid: "code-input", type: "text", maxlength: String(MAX_CODE), autocomplete: "off", autocapitalize: "characters",
      spellcheck: "false", enterkeyhint: "done", placeholder: t("code"), aria: { label: t("code") },
    });
    this.input.addEventListener("input", () => this.#typed());
    this.unfold = h("button", { class: "code-open", type: "button", testid: "code-open", onclick: () => this.#unfold() }, icon("tag"), t("code.have"));
    this.append(this.stepper, this.unfold, this.input);
    show(this.input, false);
  }

  /** What may be chosen for a deal of which at most `most` units may be bought at once. */
  offer(deal) {
    this.#most = Math.max(1, Math.min(deal.per_buyer_limit ?? 1, deal.left || 1, MOST_UNITS));
    if (this.#streamId !== deal.stream_id) this.#recall(deal.stream_id);
    show(this.stepper, this.#most > 1);
    this.#take(this.#units);
  }

  get units() {
    return this.#units;
  }

  /** The code as the server knows it, or null. */
  get code() {
    return this.input.value || null;
  }

  /** A new deal: one unit again. */
  reset() {
    this.#units = 1;
  }

  #recall(streamId) {
    this.#streamId = streamId;
    const [stream, code] = (this.#storage.getItem(SAVED) ?? "").split(" ");
    this.input.value = stream === streamId ? (code ?? "") : "";
    if (this.input.value) this.#unfold(false);
  }

  #typed() {
    this.input.value = this.input.value.toUpperCase().replaceAll(CODE, "");
    this.#storage.setItem(SAVED, `${this.#streamId} ${this.input.value}`);
    this.#tell();
  }

  #unfold(focus = true) {
    show(this.unfold, false);
    show(this.input, true);
    if (focus) this.input.focus();
  }

  #take(units) {
    const before = this.#units;
    this.#units = Math.min(Math.max(1, units), this.#most);
    setText(this.count, `${this.#units} ×`);
    this.less.disabled = this.#units <= 1;
    this.more.disabled = this.#units >= this.#most;
    if (before !== this.#units) this.#tell();
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

customElements.define("deal-options", DealOptions);
