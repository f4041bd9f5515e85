/** `<studio-bar>`: the host's line of truth: on the air or not, how many watch, how the sending goes. */
import { h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { bitrate, number, t } from "../ui/i18n.js";

class StudioBar extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.heading = h("h1", { testid: "studio-show" }, t("studio.page"));
    this.status = h("span", { class: "pill studio-state", testid: "studio-state", role: "status", dataset: { state: "none" } });
    this.count = h("span", { testid: "viewers" }, "0");
    this.viewers = h("span", { class: "pill", aria: { label: t("viewers") } }, icon("eye"), this.count);
    this.rate = h("span", { testid: "bitrate" });
    this.picture = h("span", { testid: "sent-picture" });
    this.hint = h("span", { class: "health-hint", testid: "health-hint" });
    this.line = h("span", { class: "pill health", testid: "health" }, icon("signal"), this.rate, this.picture, this.hint);
    this.append(
      h("a", { class: "round back", href: "/", aria: { label: t("all-shows") } }, icon("back")),
      this.heading,
      h("div", { class: "bar-pills" }, this.status, this.viewers, this.line),
      h("language-switch"),
    );
    show(this.status, false);
    show(this.viewers, false);
    show(this.line, false);
  }

  follow(store) {
    show(this.viewers, true);
    store.addEventListener("stream", () => setText(this.heading, store.stream.title));
    store.addEventListener("viewers", () => setText(this.count, number(store.viewers)));
  }

  become(state, words = t(`studio.state.${state}`)) {
    show(this.status, true);
    this.status.dataset.state = state;
    setText(this.status, words);
    if (!["live", "connecting", "reconnecting"].includes(state)) show(this.line, false);
  }

  /** What the last second of sending was like. */
  health(stats) {
    show(this.line, true);
    setText(this.rate, bitrate(stats.bitrate));
    setText(this.picture, stats.height ? `${stats.width}×${stats.height} · ${number(Math.round(stats.fps))} fps` : "");
    const poor = stats.connection !== "connected" || stats.lossRatio > 0.05;
    this.line.dataset.quality = poor ? "poor" : stats.limit === "none" ? "good" : "fair";
    setText(this.hint, poor ? t("health.poor") : stats.limit === "bandwidth" ? t("health.bandwidth") : stats.limit === "cpu" ? t("health.cpu") : "");
  }
}

customElements.define("studio-bar", StudioBar);
