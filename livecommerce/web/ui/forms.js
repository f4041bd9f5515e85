/** What the studio's forms share: money fields, a remembered currency, whole numbers. */
import { Refusal, safeStorage } from "../client.js";
import { h } from "./dom.js";
import { parseAmount } from "./i18n.js";

const CURRENCIES = ["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "JPY"];
const SAVED = "livecommerce.currency";

/** A choice of currency, the last one used first. */
export function currencySelect(testid, label) {
  const storage = safeStorage();
  const last = storage.getItem(SAVED) ?? CURRENCIES[0];
  const options = CURRENCIES.map((code) => h("option", { value: code, selected: code === last }, code));
  return h("select", { testid, aria: { label }, onchange: (e) => storage.setItem(SAVED, e.target.value) }, options);
}

/** A field for an amount as people write it. */
export function amountInput(testid, { required = false } = {}) {
  return h("input", { testid, type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "0.00", required });
}

/** A field for a whole number. */
export function wholeInput(testid, value, { min = 1, max = 1_000_000 } = {}) {
  return h("input", { testid, type: "number", inputmode: "numeric", min: String(min), max: String(max), step: "1", value: String(value), required: true });
}

/** The money in a field; null when it is empty and may be; throws `amount` when it is no amount. */
export function readMoney(input, currency, { optional = false } = {}) {
  if (optional && !input.value.trim()) return null;
  const amount = parseAmount(input.value, currency);
  if (amount === null) {
    input.focus();
    throw new Refusal("amount");
  }
  return { amount, currency };
}

/** A copy of an object without its empty values: optional fields are left out, not sent as null. */
export function filled(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined && value !== ""));
}
