/** Drawing what is sold: pictures, prices, reductions. */
import { cssVar, h, hueOf, initial } from "./dom.js";
import { money, t } from "./i18n.js";

/** A product's picture, or a tile of its own colour where there is none or it does not load. */
export function picture({ image_url: url, title }) {
  const letter = h("span", {}, initial(title));
  const tile = h("span", { class: "picture", aria: { hidden: "true" } }, letter);
  cssVar(tile, "--hue", String(hueOf(title ?? "")));
  if (url) {
    const image = h("img", { src: url, alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" });
    image.addEventListener("load", () => letter.remove()); // many pictures of goods are cut out, and it would show through
    image.addEventListener("error", () => image.remove());
    tile.append(image);
  }
  return tile;
}

/** Where a show's poster is on this very server, whatever address the server believes to have; null where it has none. */
export function posterOf({ poster_url: url }) {
  if (!url) return null;
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}

/** How much less than before, in whole percent, or 0. */
export function reduction({ price, compare_at: before }) {
  if (!before || before.currency !== price.currency || before.amount <= price.amount) return 0;
  return Math.round((1 - price.amount / before.amount) * 100);
}

/** The price, the price before struck through, and the reduction. */
export function priceTag(thing) {
  const percent = reduction(thing);
  return h(
    "span",
    { class: "price" },
    h("span", { class: "price-now" }, money(thing.price)),
    percent > 0 && h("s", { class: "price-before" }, h("span", { class: "unseen" }, t("price.before", { price: "" })), money(thing.compare_at)),
    percent > 0 && h("span", { class: "price-off" }, `−${percent}%`),
  );
}

/** What the law wants said beside a reduction: the lowest price of the last 30 days; nothing where it is not known. */
export function lowestNote(thing) {
  if (!thing.lowest_30d || !reduction(thing)) return null;
  return h("small", { class: "price-lowest" }, t("price.lowest", { price: money(thing.lowest_30d) }));
}

/** A deal's terms in a few words: what a set holds, how many one pays for, a fair start. */
export function dealTerms(deal) {
  const set = deal.bundle?.map((part) => (part.units > 1 ? t("order.what", { count: part.units, title: part.title }) : part.title)).join(" + ");
  const { buy, pay } = deal.buy_x_pay_y ?? {};
  if (!set && !buy) return null;
  return h("ul", { class: "deal-terms" }, buy && h("li", { class: "term-pay" }, t("deal.buy-pay", { buy, pay })), set && h("li", {}, set));
}
