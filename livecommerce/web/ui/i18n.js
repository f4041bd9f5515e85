/** Texts in the visitor's language, money and time by Intl. */
import { safeStorage } from "../client.js";

export const LANGUAGES = ["en", "nl"];
const SAVED = "livecommerce.lang";

let texts = {};
let language = "en";
let plurals = new Intl.PluralRules("en");

/** The language to use: `?lang=`, then the saved choice, then what the browser asks for. */
export function chooseLanguage(search, saved, wanted) {
  const asked = new URLSearchParams(search).get("lang");
  for (const candidate of [asked, saved, ...wanted]) {
    const base = candidate?.toLowerCase().split("-")[0];
    if (LANGUAGES.includes(base)) return base;
  }
  return "en";
}

/** Load the texts; every page awaits this before it draws. */
export async function loadTexts() {
  language = chooseLanguage(location.search, safeStorage().getItem(SAVED), navigator.languages ?? []);
  const response = await fetch(new URL(`../i18n/${language}.json`, import.meta.url));
  texts = await response.json();
  plurals = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  document.querySelector(".not-started")?.remove();
}

export function currentLanguage() {
  return language;
}

/** Save the choice and draw the page anew in it. */
export function switchLanguage(to) {
  safeStorage().setItem(SAVED, to);
  const url = new URL(location.href);
  url.searchParams.delete("lang");
  history.replaceState(null, "", url);
  location.reload();
}

/** The text of a key, with `{name}` filled in; with `count`, the plural form (`key.one`, `key.other`). */
export function t(key, values = {}) {
  let text = texts[key];
  if (values.count !== undefined) text = texts[`${key}.${plurals.select(values.count)}`] ?? texts[`${key}.other`] ?? text;
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : isolated(String(value));
  });
}

/** A name written from right to left keeps to itself within a sentence (Unicode's FSI … PDI); others stay as they are. */
function isolated(text) {
  return /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(text) ? `\u2068${text}\u2069` : text;
}

/** Words for a refusal: by its code, and when to come back if that is known. */
export function refusalText(refusal) {
  const key = `problem.${refusal.code}`;
  const words = texts[key] ?? t("problem.internal");
  const seconds = refusal.retryAfterMs ? Math.max(1, Math.ceil(refusal.retryAfterMs / 1000)) : 0;
  return seconds && refusal.code === "rate_limited" ? t("problem.rate_limited_s", { count: seconds }) : words;
}

export function number(value) {
  return new Intl.NumberFormat(language).format(value);
}

/** How many decimals a currency has (EUR 2, JPY 0). */
export function digitsOf(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

/** Money in minor units as people read it; whole amounts keep their cents, as on a price tag. */
export function money({ amount, currency }) {
  return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount / 10 ** digitsOf(currency));
}

/** What a person typed ("12,50", "12.5") as minor units, or null when it is no amount. */
export function parseAmount(text, currency) {
  const match = /^\s*(\d{1,9})(?:[.,](\d+))?\s*$/.exec(text);
  const digits = digitsOf(currency);
  if (!match || (match[2] ?? "").length > digits) return null;
  return Number(match[1]) * 10 ** digits + Number((match[2] ?? "").padEnd(digits, "0") || 0);
}

/** Minor units as a form field shows them. */
export function formatAmount({ amount, currency }) {
  return (amount / 10 ** digitsOf(currency)).toFixed(digitsOf(currency));
}

/** A share of one as a percentage, with a decimal where it is small. */
export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);
}

export function timeOfDay(ms, timeStyle = "medium") {
  return new Intl.DateTimeFormat(language, { timeStyle }).format(ms);
}

/** A moment as a list of one's orders shows it: day and time. */
export function dateAndTime(ms) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

/** "1:05" or "0:09": seconds left, rounded up so that it says 0 only when it is over. */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const rest = String(seconds % 60).padStart(2, "0");
  return seconds >= 3600
    ? `${Math.floor(seconds / 3600)}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}:${rest}`
    : `${Math.floor(seconds / 60)}:${rest}`;
}

/** "0:09" or "1:02:03": how long something has lasted. */
export function elapsed(ms) {
  return countdown(Math.floor(Math.max(0, ms) / 1000) * 1000);
}

export function bitrate(bitsPerSecond) {
  return bitsPerSecond >= 1e6
    ? `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(bitsPerSecond / 1e6)} Mbit/s`
    : `${number(Math.round(bitsPerSecond / 1e3))} kbit/s`;
}
