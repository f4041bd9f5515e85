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
const MOST_ENDED = 4;
/** From so many cards on, the grid looks the same. */
const MANY = 4;

class HomePage {
  #cards = new Map();

  constructor() {
    document.title = t("home.title");
    this.api = new Api();
    this.live = group("home.live-now", "cards live-cards");
    this.later = group("home.later", "cards");
    this.groups = h("div", { testid: "home-streams" }, this.live.section, this.later.section);
    this.empty = h(
      "section",
      { class: "empty", testid: "home-empty" },
      h("span", { class: "empty-icon" }, icon("live")),
      h("h2", {}, t("home.empty")),
      h("p", {}, t("home.empty.more")),
      h("a", { class: "button primary", href: "/studio" }, t("home.go-live")),
    );
    this.note = h("refusal-note", { testid: "home-refusal" });
    document.body.append(masthead(), h("main", {}, this.note, this.groups, this.empty));
    show(this.empty, false);
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
      this.#draw(items.filter((stream) => stream.state !== "ended").concat(items.filter((s) => s.state === "ended").slice(0, MOST_ENDED)));
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
    const onAir = ({ state }) => state === "live" || state === "interrupted";
    this.#fill(this.live, streams.filter(onAir));
    this.#fill(this.later, streams.filter((stream) => !onAir(stream)));
    show(this.empty, streams.length === 0);
  }

  #fill({ list, section }, streams) {
    show(section, streams.length > 0);
    list.dataset.count = String(Math.min(streams.length, MANY));
    streams.forEach((stream, index) => {
      const item = this.#cards.get(stream.id) ?? h("li", {}, h("stream-card"));
      this.#cards.set(stream.id, item);
      const key = JSON.stringify(stream);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
      if (item.dataset.key === key) item.firstChild.refresh();
      else item.firstChild.draw(stream, this.api);
      item.dataset.key = key;
    });
  }
}

function group(title, kind) {
  const list = h("ul", { class: kind, aria: { label: t(title) } });
  const section = h("section", { class: "group" }, h("h2", {}, t(title)), list);
  show(section, false);
  return { list, section };
}

function masthead() {
  const mark = h("img", { src: new URL("./favicon.svg", import.meta.url).pathname, alt: "", width: "36", height: "36" });
  const golive = h("a", { class: "button primary", href: "/studio", testid: "studio-link" }, icon("camera"), t("home.go-live"));
  return h(
    "header",
    { class: "masthead" },
    h("a", { class: "brand", href: "/" }, mark, h("h1", {}, "livecommerce")),
    h("p", { class: "tagline" }, t("home.tagline")),
    h("nav", {}, h("language-switch"), golive),
  );
}

await loadTexts();
await new HomePage().run();
