/** `<show-header>`: whose show this is, whether it is live, how many watch, and how the connection is. */
import { avatar, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { bitrate, number, t } from "../ui/i18n.js";

/** Above these a connection is called fair, then poor: lost packets as a share, jitter in ms. */
const FAIR = { loss: 0.01, jitter: 40 };
const POOR = { loss: 0.05, jitter: 120 };

class ShowHeader extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.face = h("span", { class: "face" });
    this.host = h("strong", { class: "host-name", testid: "host-name" });
    this.heading = h("h1", { class: "show-title", testid: "show-title" });
    this.live = h("span", { class: "pill live-pill" }, t("live"));
    this.demo = h("span", { class: "pill demo-pill", testid: "demo-mark", title: t("demo.more") }, t("demo"));
    this.count = h("span", { testid: "viewers" }, "0");
    this.viewers = h("span", { class: "pill viewers-pill" }, icon("eye"), h("span", { class: "unseen" }, t("viewers")), this.count);
    this.status = h("span", { class: "pill status-pill", testid: "status", role: "status", dataset: { state: "connecting" } });
    this.tools = h("div", { class: "tools" }, h("language-switch"));
    this.quality = h("span", { class: "pill quality-pill", testid: "quality", role: "img" }, icon("signal"), h("span", {}));
    this.append(
      h("a", { class: "round back", href: "/", aria: { label: t("all-shows") } }, icon("back")),
      h("div", { class: "who" }, this.face, h("div", { class: "who-words" }, this.host, this.heading)),
      h("div", { class: "pills" }, this.live, this.demo, this.viewers, this.quality, this.status),
      this.tools,
    );
    for (const each of [this.live, this.demo, this.quality]) show(each, false);
  }

  follow(store) {
    const draw = () => {
      const { stream } = store;
      if (!stream) return;
      if (this.face.dataset.of !== stream.host.name) this.face.replaceChildren(avatar(stream.host.name));
      this.face.dataset.of = stream.host.name;
      setText(this.host, stream.host.name);
      setText(this.heading, stream.title);
      document.title = t("watch.title", { title: stream.title, host: stream.host.name });
      show(this.live, stream.state === "live");
      show(this.demo, isDemo(stream));
    };
    store.addEventListener("stream", draw);
    store.addEventListener("viewers", () => setText(this.count, number(store.viewers)));
  }

  /** How the picture arrives: its lines and, by colour and words, how good the connection is. */
  receive(stats) {
    const over = (limit) => stats.lossRatio > limit.loss || stats.jitterMs > limit.jitter;
    const level = over(POOR) ? "poor" : over(FAIR) ? "fair" : "good";
    show(this.quality, stats.height > 0 && this.status.dataset.state === "live");
    if (!stats.height) return;
    this.quality.dataset.level = level;
    const lines = `${Math.min(stats.width, stats.height)}p`;
    setText(this.quality.lastChild, lines);
    const words = t(`quality.${level}`, { lines });
    this.quality.setAttribute("aria-label", words);
    this.quality.title = `${words} · ${bitrate(stats.bitrate)}`;
  }

  /** The connection in a word; it hides when all is well and nobody needs to read it. */
  become(state) {
    if (this.status.dataset.state === state && this.status.textContent) return;
    this.status.dataset.state = state;
    if (state !== "live") show(this.quality, false);
    setText(this.status, t(`status.${state}`));
  }
}

/** The robot host's id (livecommerce/demo/programme.py): no guest can have it, and only the secret mints it. */
const DEMO_HOST = "demo-host";

/** Whether robots run this show: it must be said on the page. */
export const isDemo = (stream) => stream.host.id === DEMO_HOST;

customElements.define("show-header", ShowHeader);
