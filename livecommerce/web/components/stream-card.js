/** `<stream-card>`: one show in the list. */
import { avatar, h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { number, t } from "../ui/i18n.js";
import { cssVar, hueOf } from "../ui/dom.js";
import { isDemo } from "./show-header.js";

class StreamCard extends HTMLElement {
  /** Draw a stream's resource. */
  draw(stream) {
    const live = stream.state === "live";
    this.dataset.id = stream.id;
    this.dataset.state = stream.state;
    this.setAttribute("data-testid", "home-stream");
    const cover = h(
      "div",
      { class: "cover" },
      avatar(stream.host.name),
      h(
        "div",
        { class: "cover-pills" },
        live ? h("span", { class: "pill live-pill" }, t("live")) : h("span", { class: "pill" }, t(`state.${stream.state}`)),
        isDemo(stream) && h("span", { class: "pill demo-pill", title: t("demo.more") }, t("demo")),
      ),
      live && h("span", { class: "pill cover-viewers" }, icon("eye"), number(stream.viewers ?? 0)),
    );
    cssVar(cover, "--hue", String(hueOf(stream.host.name)));
    const words = h("div", { class: "card-words" }, h("h2", {}, stream.title), h("p", {}, stream.host.name));
    this.replaceChildren(h("a", { class: "card", href: `/watch/${encodeURIComponent(stream.id)}` }, cover, words));
  }
}

customElements.define("stream-card", StreamCard);
