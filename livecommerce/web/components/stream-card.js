/** `<stream-card>`: one show in the list: who, how many watch, what is sold and at what price. */
import { avatar, cssVar, h, hueOf, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { number, t } from "../ui/i18n.js";
import { picture, posterOf, priceTag } from "../ui/goods.js";
import { isDemo } from "./show-header.js";

/** What is sold is asked for again so often while the card is seen. */
const GOODS_EVERY_MS = 12_000;
const THUMBNAILS = 3;

class StreamCard extends HTMLElement {
  #askedAt = -Infinity;
  #seen = false;

  connectedCallback() {
    this.observer ??= new IntersectionObserver(([entry]) => {
      this.#seen = entry.isIntersecting;
      this.#ask();
    });
    this.observer.observe(this);
  }

  disconnectedCallback() {
    this.observer.disconnect();
  }

  /** Draw a stream's resource; `api` is asked for its products and deals. */
  draw(stream, api) {
    Object.assign(this, { stream, api });
    this.dataset.id = stream.id;
    this.dataset.state = stream.state;
    this.setAttribute("data-testid", "home-stream");
    if (!this.link) this.#build();
    const live = stream.state === "live";
    this.link.setAttribute("href", `/watch/${encodeURIComponent(stream.id)}`);
    cssVar(this.cover, "--hue", String(hueOf(stream.host.name)));
    this.pills.replaceChildren(
      live ? h("span", { class: "pill live-pill" }, t("live")) : h("span", { class: "pill" }, t(`state.${stream.state}`)),
      live ? h("span", { class: "pill" }, icon("eye"), h("span", { class: "unseen" }, t("viewers")), number(stream.viewers ?? 0)) : "",
      isDemo(stream) ? h("span", { class: "pill demo-pill", title: t("demo.more") }, t("demo")) : "",
    );
    this.#drawPoster(posterOf(stream));
    this.heading.textContent = stream.title;
    this.host.replaceChildren(avatar(stream.host.name), stream.host.name);
    this.refresh();
  }

  #build() {
    this.pills = h("div", { class: "cover-pills" });
    this.goods = h("div", { class: "cover-goods" });
    this.poster = h("img", { class: "cover-poster", testid: "home-poster", alt: "", decoding: "async" });
    this.offer = h("div", { class: "cover-offer" });
    this.cover = h("div", { class: "cover" }, this.goods, this.poster, this.pills, this.offer);
    show(this.poster, false);
    this.heading = h("h3", {});
    this.host = h("p", { class: "card-host" });
    this.enter = h("span", { class: "button primary card-enter" }, t("home.watch"));
    this.link = h("a", { class: "card" }, this.cover, h("div", { class: "card-words" }, this.heading, this.host, this.enter));
    this.replaceChildren(this.link);
    this.#drawGoods([], []);
  }

  /** What is on now stands before what is sold; the picture before stays until the next one is there. */
  async #drawPoster(address) {
    if ((this.address ?? null) === address) return;
    this.address = address;
    const next = new Image();
    if (address) next.src = address;
    const there = address !== null && (await next.decode().then(() => true, () => false));
    if (this.address !== address) return;
    if (there) this.poster.src = address;
    show(this.poster, there);
    this.dataset.poster = String(there);
  }

  /** Ask again what is sold, if that is due and anybody sees it. */
  refresh() {
    if (performance.now() - this.#askedAt > GOODS_EVERY_MS) this.#ask();
  }

  async #ask() {
    if (!this.#seen || !this.stream || performance.now() - this.#askedAt < GOODS_EVERY_MS) return;
    this.#askedAt = performance.now();
    const path = `/api/v1/streams/${encodeURIComponent(this.stream.id)}`;
    try {
      const [products, deals] = await Promise.all([this.api.get(`${path}/products`), this.api.get(`${path}/deals`)]);
      this.#drawGoods(products.items, deals.items);
    } catch {
      // a card without prices is still a way in
    }
  }

  #drawGoods(products, deals) {
    const deal = deals.find((each) => each.state === "open");
    const pinned = products.find((each) => each.id === this.stream.pinned) ?? products[0];
    const main = deal ?? pinned;
    const others = products.filter((each) => each !== pinned && each.id !== deal?.product_id);
    if (main) this.goods.replaceChildren(picture(main), ...others.slice(0, THUMBNAILS - 1).map(picture));
    else this.goods.replaceChildren(avatar(this.stream.host.name));
    this.goods.dataset.count = String(this.goods.children.length);
    show(this.offer, Boolean(main) && this.stream.state !== "ended");
    if (!main) return;
    this.offer.replaceChildren(
      picture(main),
      h("div", { class: "offer-words" }, deal ? h("span", { class: "offer-mark" }, icon("bolt", { filled: true }), t("home.deal")) : "", h("strong", {}, main.title), priceTag(main)),
    );
  }
}

customElements.define("stream-card", StreamCard);
