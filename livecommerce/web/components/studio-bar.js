/** `<studio-bar>`: the host's line of truth: on the air or not and since when, how many watch, how the sending goes. */
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { bitrate, elapsed, number, t } from "../ui/i18n.js";
import { everyTick } from "../ui/ticker.js";

class StudioBar extends HTMLElement {
  #since = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.heading = h("h1", { testid: "studio-show" }, t("studio.page"));
    this.status = h("span", { class: "pill studio-state", testid: "studio-state", role: "status", dataset: { state: "none" } });
    this.time = h("span", { class: "pill studio-time", testid: "on-air-time" });
    this.count = h("span", { testid: "viewers" }, "0");
    this.viewers = h("span", { class: "pill" }, icon("eye"), h("span", { class: "unseen" }, t("viewers")), this.count);
    this.rate = h("span", { testid: "bitrate" });
    this.picture = h("span", { testid: "sent-picture" });
    this.hint = h("span", { class: "health-hint", testid: "health-hint" });
    this.line = h("span", { class: "pill health", testid: "health" }, icon("signal"), this.rate, this.picture, this.hint);
    this.keys = h("button", { class: "round help", type: "button", testid: "shortcuts", title: t("keys.title"), aria: { label: t("keys.title") }, onclick: () => this.dispatchEvent(new CustomEvent("help")) }, "?");
    this.append(
      h("a", { class: "round back", href: "/", aria: { label: t("all-shows") } }, icon("back")),
      this.heading,
      h("div", { class: "bar-pills" }, this.status, this.time, this.viewers, this.line),
      this.keys,
      h("language-switch"),
    );
    for (const part of [this.status, this.viewers, this.line, this.time, this.keys]) show(part, false);
    everyTick(() => this.#since && setText(this.time, elapsed(Date.now() - this.#since)));
  }

  follow(store) {
    show(this.viewers, true);
    show(this.keys, true);
    store.addEventListener("stream", () => setText(this.heading, store.stream.title));
    store.addEventListener("viewers", () => setText(this.count, number(store.viewers)));
  }

  become(state, words = t(`studio.state.${state}`)) {
    show(this.status, true);
    this.status.dataset.state = state;
    setText(this.status, words);
    show(this.time, this.#since !== null && ["live", "connecting", "reconnecting"].includes(state));
    if (!["live", "connecting", "reconnecting"].includes(state)) show(this.line, false);
  }

  /** Since when the show is on the air, in ms since the epoch; null while it is not. */
  since(ms) {
    this.#since = ms;
  }

  /** What the last second of sending was like, as the health panel judged it. */
  health({ quality, hint, stats }) {
    show(this.line, true);
    setText(this.rate, bitrate(stats.bitrate));
    setText(this.picture, stats.height ? `${stats.width}×${stats.height} · ${number(Math.round(stats.fps))} fps` : "");
    this.line.dataset.quality = quality;
    setText(this.hint, hint ? t(`health.${hint}`) : "");
  }
}

customElements.define("studio-bar", StudioBar);
