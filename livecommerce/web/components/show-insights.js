/** `<show-insights>`: the show in figures and over time, as a drawing and, for whoever wants numbers, as a table. */
import { h, setText, show } from "../ui/dom.js";
import { money, number, percent, t, timeOfDay } from "../ui/i18n.js";
import { drawTimeline } from "../ui/timeline.js";

const EVERY_MS = 10_000;
const MAX_ROWS = 60;

class ShowInsights extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const figure = (key) => {
      this[key] = h("strong", { testid: `insight-${key}` }, "–");
      return h("div", {}, h("small", {}, t(`insight.${key}`)), this[key]);
    };
    this.drawing = h("figure", { class: "timeline", testid: "timeline" });
    this.goods = h("ul", { class: "good-views", testid: "product-views" });
    this.rows = h("tbody", {});
    this.note = h("refusal-note", { testid: "insight-refusal" });
    this.none = h("p", { class: "nothing" }, t("insights.none"));
    const head = ["time", "viewers", "messages", "claims", "paid"].map((key) => h("th", { scope: "col" }, t(`insight.${key}`)));
    this.table = h("table", { testid: "insight-table" }, h("caption", { class: "unseen" }, t("insights")), h("thead", {}, h("tr", {}, head)), this.rows);
    this.numbers = h("details", { class: "folded", testid: "insight-numbers" }, h("summary", {}, t("insights.numbers")), h("div", { class: "table-scroll", tabindex: "0", role: "region", aria: { label: t("insights") } }, this.table));
    this.append(
      h("h2", {}, t("insights")),
      h("div", { class: "figures five" }, ["peak", "messages", "claims", "paid", "conversion", "revenue"].map(figure)),
      this.note,
      this.none,
      this.drawing,
      h("h3", {}, t("insights.products")),
      this.goods,
      this.numbers,
    );
  }

  disconnectedCallback() {
    clearInterval(this.reading);
  }

  follow(store, api) {
    Object.assign(this, { store, api });
    this.reading = setInterval(() => this.offsetParent && !document.hidden && this.look(), EVERY_MS);
    store.addEventListener("products", () => this.report && this.#drawGoods());
  }

  /** It has come into sight. */
  async look() {
    if (!this.store?.stream) return;
    try {
      this.report = await this.api.get(`/api/v1/streams/${this.store.stream.id}/analytics`);
      this.#draw();
    } catch (error) {
      if (!error.temporary) this.note.refuse(error);
    }
  }

  #draw() {
    const { report } = this;
    const sum = (key) => report[key].reduce((all, n) => all + n, 0);
    setText(this.peak, number(Math.max(0, ...report.viewers)));
    for (const key of ["messages", "claims", "paid"]) setText(this[key], number(sum(key)));
    setText(this.conversion, report.conversion === null ? "–" : percent(report.conversion));
    setText(this.revenue, report.revenue ? money(report.revenue) : "–");
    show(this.none, report.viewers.length === 0);
    show(this.drawing, report.viewers.length > 0);
    if (report.viewers.length) drawTimeline(this.drawing, report);
    this.#drawGoods();
    if (this.numbers.open || !this.rows.children.length) this.#drawTable();
    this.numbers.ontoggle = () => this.numbers.open && this.#drawTable();
  }

  #drawGoods() {
    const views = Object.entries(this.report.product_views).sort((a, b) => b[1] - a[1]);
    const row = ([id, count]) => h("li", {}, h("span", {}, this.store.products.get(id)?.title ?? id), h("b", {}, number(count)));
    this.goods.replaceChildren(...(views.length ? views.map(row) : [h("li", { class: "nothing" }, t("insights.products.none"))]));
  }

  #drawTable() {
    const { from_ms: from, bucket_ms: bucket, viewers, messages, claims, paid } = this.report;
    const rows = viewers.map((count, i) => [timeOfDay(from + i * bucket), count, messages[i], claims[i], paid[i]]);
    this.rows.replaceChildren(...rows.slice(-MAX_ROWS).reverse().map(([time, ...counts]) => h("tr", {}, h("th", { scope: "row" }, time), counts.map((n) => h("td", { class: "figure" }, number(n))))));
  }
}

customElements.define("show-insights", ShowInsights);
