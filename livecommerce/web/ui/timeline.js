/** A show over time: viewers as an area, messages, claims and paid orders as bars below, deals as bands behind. */
import { h } from "./dom.js";
import { number, t, timeOfDay } from "./i18n.js";
import { svg } from "./svg.js";

const WIDTH = 460;
const LEFT = 30;
const TOP = 18;
const VIEWERS = 120;
const LANE = 30;
const GAP = 22;
/** About how wide a letter of a deal's title is. */
const LETTER = 6.8;
const LANES = ["messages", "claims", "paid"];
const HEIGHT = TOP + VIEWERS + LANES.length * (LANE + GAP) + 24;

/** Draw a report (`GET …/analytics`) into a figure. */
export function drawTimeline(figure, report) {
  const { from_ms: from, bucket_ms: bucket, viewers } = report;
  // a show that has just begun is not stretched over the whole width
  const slots = Math.max(viewers.length, 30);
  const x = (ms) => LEFT + (Math.max(0, Math.min(slots, (ms - from) / bucket)) / slots) * (WIDTH - LEFT);
  const at = (i) => LEFT + (i / slots) * (WIDTH - LEFT);
  const most = Math.max(1, ...viewers);
  const y = (count) => TOP + VIEWERS - (count / most) * VIEWERS;
  const steps = viewers.map((count, i) => `L${at(i).toFixed(1)} ${y(count).toFixed(1)}L${at(i + 1).toFixed(1)} ${y(count).toFixed(1)}`).join("");
  const bottom = TOP + VIEWERS;
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words(report, most) },
    deals(report, x),
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: bottom, y2: bottom }),
    svg("path", { class: "area", d: `M${LEFT} ${bottom}${steps}L${at(viewers.length).toFixed(1)} ${bottom}Z` }),
    svg("path", { class: "line", d: `M${steps.slice(1)}` }),
    label(LEFT - 6, TOP + 9, number(most), "end"),
    label(LEFT - 6, bottom, "0", "end"),
    label(LEFT + 4, TOP + 9, t("insight.viewers"), "start"),
    LANES.flatMap((key, lane) => bars(report[key], key, bottom + GAP + lane * (LANE + GAP), at)),
    label(LEFT, HEIGHT - 4, timeOfDay(from, "short"), "start"),
    label(WIDTH, HEIGHT - 4, timeOfDay(from + slots * bucket, "short"), "end"),
  );
  figure.replaceChildren(drawing, h("figcaption", { class: "unseen" }, words(report, most)));
}

function bars(counts, key, top, at) {
  const most = Math.max(1, ...counts);
  const rects = counts.map((count, i) => {
    const height = (count / most) * LANE;
    return count > 0 && svg("rect", { class: `bar ${key}`, x: at(i).toFixed(1), width: Math.max(1, at(i + 1) - at(i) - 0.6).toFixed(1), y: (top + LANE - height).toFixed(1), height: height.toFixed(1) });
  });
  return [
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: top + LANE, y2: top + LANE }),
    ...rects,
    label(LEFT + 4, top - 5, t(`insight.${key}`), "start"),
    label(LEFT - 6, top + 8, number(most), "end"),
  ];
}

/** Where deals were open: a band through all lanes, its title at the top where there is room. */
function deals({ deals: spans, to_ms: end }, x) {
  let taken = -Infinity;
  return spans.flatMap((deal) => {
    const [left, right] = [x(deal.opened_ms), x(deal.closed_ms ?? end)];
    const band = svg("rect", { class: "deal-band", x: left.toFixed(1), width: Math.max(2, right - left).toFixed(1), y: TOP, height: HEIGHT - TOP - 24 }, svg("title", {}, deal.title));
    const wide = 8 + deal.title.length * LETTER;
    // one that begins near the end is written towards the left
    const start = Math.min(left, WIDTH - wide);
    if (start <= taken) return [band];
    taken = start + wide;
    return [band, label(start + 2, TOP - 6, deal.title, "start", "deal-name")];
  });
}

function label(x, y, text, anchor, kind = "axis-label") {
  return svg("text", { class: kind, x, y, "text-anchor": anchor }, text);
}

function words(report, most) {
  return t("insights.words", { peak: most, deals: report.deals.length, paid: report.paid.reduce((all, n) => all + n, 0) });
}
