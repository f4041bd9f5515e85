/** `<share-link>`: the address to give to viewers. */
import { h, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

class ShareLink extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.link = h("a", { testid: "watch-link", target: "_blank", rel: "noopener" });
    this.button = h("button", { class: "small", type: "button", testid: "copy-link", onclick: () => this.#give() }, icon(navigator.share ? "share" : "copy"), h("span", {}, t("share.copy")));
    this.append(h("h2", {}, t("share.title")), h("div", { class: "share-row" }, this.link, this.button));
  }

  show(stream) {
    this.link.href = stream.urls?.watch ?? `/watch/${stream.id}`;
    setText(this.link, this.link.href.replace(/^https?:\/\//, ""));
    this.title = stream.title;
  }

  async #give() {
    const words = this.button.lastChild;
    try {
      if (navigator.share) await navigator.share({ title: this.title, url: this.link.href });
      else await navigator.clipboard.writeText(this.link.href);
      setText(words, t("share.copied"));
    } catch (error) {
      if (error?.name !== "AbortError") setText(words, t("share.by-hand"));
    }
    setTimeout(() => setText(words, t("share.copy")), 2_500);
  }
}

customElements.define("share-link", ShareLink);
