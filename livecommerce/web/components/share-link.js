/** `<share-link>`: the address to give to viewers: as a link, a copy, a QR code to show to a phone. */
import { h, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";
import { qrCode } from "../ui/qr.js";
import { svg } from "../ui/svg.js";

/** Light modules around the code, so that readers find it. */
const QUIET = 4;

class ShareLink extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.link = h("a", { testid: "watch-link", target: "_blank", rel: "noopener" });
    this.code = h("button", { class: "share-code", type: "button", testid: "share-code", aria: { label: t("share.code") }, onclick: () => this.large.showModal() });
    this.copy = this.#button("copy-link", "copy", "share.copy", () => this.#copy());
    this.give = navigator.share && this.#button("share-link", "share", "share.give", () => this.#give());
    this.said = h("span", { class: "unseen", role: "status", testid: "share-said" });
    this.large = this.#dialog();
    this.append(
      h("h2", {}, t("share.title")),
      h("div", { class: "share-body" }, this.code, h("div", { class: "share-words" }, h("p", {}, t("share.scan")), this.link, h("div", { class: "row" }, this.copy, this.give))),
      this.said,
      this.large,
    );
  }

  #button(testid, name, key, onclick) {
    return h("button", { class: "small", type: "button", testid, onclick }, icon(name), h("span", {}, t(key)));
  }

  #dialog() {
    this.poster = h("div", { class: "share-poster", testid: "share-poster" });
    this.posterLink = h("p", { class: "share-poster-link" });
    const close = h("button", { class: "round", type: "button", aria: { label: t("close") }, onclick: () => this.large.close() }, icon("close"));
    return h("dialog", { class: "sheet share-sheet", aria: { label: t("share.code") } }, h("header", {}, h("h2", {}, t("share.title")), close), this.poster, this.posterLink);
  }

  show(stream) {
    this.link.href = stream.urls?.watch ?? `/watch/${stream.id}`;
    const shown = this.link.href.replace(/^https?:\/\//, "");
    setText(this.link, shown);
    setText(this.posterLink, shown);
    this.title_ = stream.title;
    this.code.replaceChildren(drawCode(this.link.href));
    this.poster.replaceChildren(drawCode(this.link.href));
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.link.href);
      this.#say(this.copy, t("share.copied"));
    } catch {
      this.#say(this.copy, t("share.by-hand"));
    }
  }

  async #give() {
    try {
      await navigator.share({ title: this.title_, url: this.link.href });
    } catch (error) {
      if (error?.name !== "AbortError") this.#say(this.give, t("share.by-hand"));
    }
  }

  #say(button, words) {
    const label = button.lastChild;
    const before = label.dataset.words ?? label.textContent;
    label.dataset.words = before;
    setText(label, words);
    setText(this.said, words);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => setText(label, before), 2_500);
  }
}

/** A QR code as a drawing: one path of its dark modules, on white. */
export function drawCode(text) {
  const { size, rows } = qrCode(text);
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : ""))).join("");
  const side = size + 2 * QUIET;
  return svg(
    "svg",
    { viewBox: `0 0 ${side} ${side}`, class: "qr", role: "img", "aria-label": text, "shape-rendering": "crispEdges" },
    svg("rect", { width: side, height: side, fill: "#fff" }),
    svg("path", { d: path, fill: "#000" }),
  );
}

customElements.define("share-link", ShareLink);
