/** What an order came to: lines, discount, shipping, total; what the server does not name is not shown. */
import { h } from "./dom.js";
import { money, t, timeOfDay } from "./i18n.js";

const row = (name, value, kind = null) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value));

/** A `<dl>` for an order that is paid, or about to be (`due`). */
export function receiptRows(order, { due = false } = {}) {
  const { currency } = order.total;
  const lines = order.lines ?? [];
  return h(
    "dl",
    { class: "receipt-rows" },
    lines.map((line) => row(t("order.what", { count: line.units, title: line.title }), money({ amount: line.amount, currency }))),
    order.discount && row(order.code ? t("receipt.code", { code: order.code }) : t("receipt.discount"), `−${money(order.discount)}`, "receipt-off"),
    order.shipping && row(t("receipt.shipping"), order.shipping.amount ? money(order.shipping) : t("receipt.shipping.free")),
    row(t(due ? "receipt.due" : "receipt.total"), money(order.total), "receipt-total"),
    !due && order.paid_ms && row(t("receipt.when"), timeOfDay(order.paid_ms, "short")),
    !due && row(t("receipt.number"), order.id.split(".").at(-1)),
  );
}

/** Whether a price rule made the total something else than units times price. */
export const isRuled = (order) => Boolean(order.lines?.length || order.discount || order.shipping);
