/** One line of the chat: who, their badge, what they answer, whom they name, whether it is a question. */
import { cssVar, h, hueOf } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { pieces } from "./mentions.js";

/** An element for a line of a Show. */
export function drawLine(line, store) {
  if (line.kind === "purchase") {
    const { name, title, more } = line;
    const words = more ? t("bought.many", { name, title, count: more }) : t("bought", { name, title });
    return h("div", { class: "line bought", testid: "purchase-line" }, icon("bag"), h("span", {}, words));
  }
  if (line.kind === "announcement") return h("div", { class: "line announcement" }, icon("bolt"), h("span", {}, line.text));
  const roles = line.user.roles ?? [];
  const name = h("bdi", { class: "line-name" }, line.user.name);
  cssVar(name, "--hue", String(hueOf(line.user.id)));
  const badge = ["host", "moderator"].find((role) => roles.includes(role));
  const element = h(
    "div",
    { class: badge ? `line from-${badge}` : "line", testid: "chat-line", tabindex: "-1", dataset: { id: line.id } },
    line.reply_to && quote(line, store),
    name,
    badge && h("span", { class: "badge", testid: `badge-${badge}` }, t(`role.${badge}`)),
    h("span", { class: "line-text", dir: "auto" }, words(line.text, store)),
  );
  if (speaksTo(line, store)) element.classList.add("for-me");
  markQuestion(element, store.questions.get(line.id));
  return element;
}

/** Show what became of a line as a question: "open", "answered", or nothing. */
export function markQuestion(element, state) {
  element.querySelector(".line-question")?.remove();
  if (!state) return;
  element.dataset.question = state;
  const mark = h("span", { class: "line-question", testid: "chat-question" }, icon(state === "answered" ? "check" : "question"), t(`question.${state}`));
  element.append(mark);
}

function quote(line, store) {
  const original = store.lines.find((each) => each.id === line.reply_to);
  return h(
    "span",
    { class: "line-quote", testid: "chat-quote", dataset: { quotes: line.reply_to } },
    icon("reply"),
    h("span", { dir: "auto" }, ...(original ? [h("bdi", {}, original.user.name), `: ${original.text}`] : [t("chat.quote.gone")])),
  );
}

/** A message that was taken back disappears from the answers to it as well. */
export function forgetQuotes(list, id) {
  for (const each of list.querySelectorAll(`[data-quotes="${CSS.escape(id)}"] > span`)) each.textContent = t("chat.quote.gone");
}

function words(text, store) {
  if (!text.includes("@")) return [text];
  const names = [...new Set(store.lines.filter((line) => line.user).map((line) => line.user.name))];
  const mine = store.user?.name.toLocaleLowerCase();
  return pieces(text, mine ? [...names, store.user.name] : names).map((piece) =>
    piece.mention ? h("b", { class: piece.mention.toLocaleLowerCase() === mine ? "mention me" : "mention" }, piece.text) : piece.text,
  );
}

function speaksTo(line, store) {
  const me = store.user;
  if (!me || line.user.id === me.id) return false;
  const answered = line.reply_to && store.lines.find((each) => each.id === line.reply_to)?.user?.id === me.id;
  return Boolean(answered || line.mentions?.includes(me.id) || line.text.toLocaleLowerCase().includes(`@${me.name.toLocaleLowerCase()}`));
}
