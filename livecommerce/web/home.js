/** The list of shows: /. Live first, refreshed while somebody looks. */
import "./components/language-switch.js";
import "./components/refusal-note.js";
import "./components/stream-card.js";
import { Api } from "./client.js";
import { h, show } from "./ui/dom.js";
import { icon } from "./ui/icons.js";
import { loadTexts, t } from "./ui/i18n.js";

const REFRESH_MS = 4_000;
const SHOWN = ["live", "interrupted", "created", "ended"];

class HomePage {
  #cards = new Map();

  constructor() {
    document.title = t("home.title");
    this.api = new Api();
    this.grid = h("ul", { class: "cards", testid: "home-streams", aria: { label: t("home.shows") } });
    this.empty = h(
      "section",
      { class: "empty", testid: "home-empty" },
      h("span", { class: "empty-icon" }, icon("live")),
      h("h2", {}, t("home.empty")),
      h("p", {}, t("home.empty.more")),
      h("a", { class: "button primary", href: "/studio" }, t("home.go-live")),
    );
    this.note = h("refusal-note", { testid: "home-refusal" });
    document.body.append(this.#header(), h("main", {}, this.note, this.grid, this.empty));
    show(this.empty, false);
  }

  #header() {
    return h(
      "header",
      { class: "masthead" },
      h("a", { class: "brand", href: "/" }, h("img", { src: new URL("./favicon.svg", import.meta.url).pathname, alt: "", width: "36", height: "36" }), h("h1", {}, "livecommerce")),
      h("p", { class: "tagline" }, t("home.tagline")),
      h("nav", {}, h("language-switch"), h("a", { class: "button primary", href: "/studio", testid: "studio-link" }, icon("camera"), t("home.go-live"))),
    );
  }

  async run() {
    for (;;) {
      if (!document.hidden) await this.#refresh();
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    }
  }

  async #refresh() {
    try {
      const { items } = await this.api.list("/api/v1/streams", { limit: 50, pages: 1 });
      this.note.clear();
      this.#draw(items.filter((stream) => stream.state !== "ended").concat(items.filter((s) => s.state === "ended").slice(0, 4)));
    } catch (error) {
      this.note.refuse(error);
    }
  }

  #draw(streams) {
    streams.sort((a, b) => SHOWN.indexOf(a.state) - SHOWN.indexOf(b.state));
    const present = new Set(streams.map((stream) => stream.id));
    for (const [id, item] of this.#cards) {
      if (present.has(id)) continue;
      item.remove();
      this.#cards.delete(id);
    }
    streams.forEach((stream, index) => {
      const item = this.#cards.get(stream.id) ?? h("li", {}, h("stream-card"));
      this.#cards.set(stream.id, item);
      const key = JSON.stringify(stream);
      if (item.dataset.key !== key) item.firstChild.draw(stream);
      item.dataset.key = key;
      if (this.grid.children[index] !== item) this.grid.insertBefore(item, this.grid.children[index] ?? null);
    });
    show(this.empty, streams.length === 0);
  }
}

await loadTexts();
await new HomePage().run();
