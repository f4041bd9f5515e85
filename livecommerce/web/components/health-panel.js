/** `<health-panel>`: how the sending goes: bitrate, loss, delay, and each size that leaves this computer. */
import { HealthJudge, layersOf } from "../ui/health.js";
import { h, setText, show } from "../ui/dom.js";
import { bitrate, number, percent, t } from "../ui/i18n.js";

/** Fires `judged` {quality, hint, stats}. */
class HealthPanel extends HTMLElement {
  #judge = new HealthJudge();
  #sent = new Map();
  #at = 0;

  connectedCallback() {
    if (this.firstChild) return;
    const figure = (key, testid) => {
      this[key] = h("dd", { testid }, "–");
      return h("div", {}, h("dt", {}, t(`health.${key}`)), this[key]);
    };
    this.layers = h("tbody", { testid: "health-layers" });
    const head = ["size", "fps", "rate"].map((key) => h("th", { scope: "col" }, t(`health.${key}`)));
    this.table = h("table", { class: "layers" }, h("caption", { class: "unseen" }, t("health.layers")), h("thead", {}, h("tr", {}, head)), this.layers);
    this.hint = h("p", { class: "health-words", testid: "health-words", role: "status" });
    this.append(h("dl", { class: "health-figures" }, figure("bitrate", "health-bitrate"), figure("loss", "health-loss"), figure("rtt", "health-rtt"), figure("viewers", "health-viewers")), this.table, this.hint);
    show(this, false);
    show(this.hint, false);
  }

  follow(store) {
    store.addEventListener("viewers", () => setText(this.viewers, number(store.viewers)));
  }

  /** A publisher's second: its summary, and its peer connection for the sizes. */
  async take(stats, pc) {
    show(this, true);
    setText(this.bitrate, bitrate(stats.bitrate));
    setText(this.loss, percent(stats.lossRatio));
    setText(this.rtt, `${number(Math.round(stats.rttMs))} ms`);
    const verdict = this.#judge.judge(stats, performance.now());
    this.dataset.quality = verdict.quality;
    show(this.hint, verdict.hint !== null);
    setText(this.hint, verdict.hint ? t(`health.${verdict.hint}.more`) : "");
    this.dispatchEvent(new CustomEvent("judged", { detail: { ...verdict, stats } }));
    if (!pc) return;
    const report = await pc.getStats().catch(() => null);
    if (report) this.#drawLayers(report);
  }

  #drawLayers(report) {
    const seconds = this.#at ? (performance.now() - this.#at) / 1000 : 0;
    this.#at = performance.now();
    const row = (layer) =>
      h(
        "tr",
        { dataset: { active: String(layer.active) } },
        h("td", {}, layer.height ? `${layer.width}×${layer.height}` : t("health.resting")),
        h("td", {}, layer.active ? number(Math.round(layer.fps)) : "–"),
        h("td", {}, layer.active ? bitrate(layer.bitrate) : "–"),
      );
    this.layers.replaceChildren(...layersOf(report, this.#sent, seconds).map(row));
  }

  /** Nothing is sent (any more): a new connection is judged anew. */
  rest() {
    this.#judge.restart();
    this.#sent.clear();
    this.#at = 0;
    show(this, false);
  }
}

customElements.define("health-panel", HealthPanel);
