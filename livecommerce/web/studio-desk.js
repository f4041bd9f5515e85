/** The desk of the studio: which part stands where, on a desk and on a phone, and what turns to what. */
import { h, setText, show } from "./ui/dom.js";
import { icon } from "./ui/icons.js";
import { number, t } from "./ui/i18n.js";
import { tabStrip } from "./ui/tabs.js";

/** What the bar at the bottom of a phone offers. */
const PHONE = [["show", "camera"], ["deals", "bolt"], ["products", "bag"], ["orders", "check"], ["insights", "chart"], ["chat", "chat"]];
/** Panels that share a column, in the order of their tabs. */
const WORK = ["deals", "products", "orders", "insights"];
const ROOM = ["chat", "questions", "poll", "rules"];

export class Desk {
  /** `parts`: the components by name. */
  constructor(parts) {
    this.parts = parts;
    this.panels = {
      show: this.#panel("show", parts.preview, parts.health, parts.share),
      deals: this.#panel("deals", parts.board, parts.composer, parts.codes),
      products: this.#panel("products", parts.products),
      orders: this.#panel("orders", parts.orders),
      insights: this.#panel("insights", parts.insights),
      chat: this.#panel("chat", parts.chat),
      questions: this.#panel("questions", parts.questions),
      poll: this.#panel("poll", parts.poll),
      rules: this.#panel("rules", parts.rules),
    };
    this.asked = h("span", { class: "count", testid: "question-count" });
    this.work = this.#strip("studio.work", WORK);
    this.room = this.#strip("studio.room", ROOM);
    const column = (name, strip, names) => h("div", { class: `column column-${name}` }, strip, names.map((each) => this.panels[each]));
    this.main = h("main", { class: "desk" }, column("stage", null, ["show"]), column("work", this.work, WORK), column("room", this.room, ROOM));
    this.phone = this.#phone();
    for (const name of ["chat", "deals", "show"]) this.turn(name);
  }

  #panel(name, ...children) {
    return h("section", { class: `panel panel-${name}`, id: `panel-${name}`, dataset: { tab: name } }, children);
  }

  #strip(label, names) {
    const badges = { questions: this.asked };
    return tabStrip(t(label), names.map((name) => ({ name, label: t(`tab.${name}`), badge: badges[name], panel: this.panels[name] })), (name) => this.turn(name));
  }

  #phone() {
    const tab = ([name, picture]) =>
      h("button", { type: "button", testid: `tab-${name}`, aria: { controls: `panel-${name}` }, dataset: { tab: name }, onclick: () => this.turn(name) }, icon(picture), h("span", {}, t(`tab.${name}`)));
    return h("nav", { class: "tabs", aria: { label: t("studio.parts") } }, PHONE.map(tab));
  }

  /** Bring a panel to the front: of its column on a desk, of the whole page on a phone. */
  turn(name) {
    const names = [["show"], WORK, ROOM].find((column) => column.includes(name));
    for (const each of names) this.panels[each].dataset.front = String(each === name);
    const [column] = names;
    this.main.dataset.column = column;
    for (const strip of [this.work, this.room]) if (names.length > 1 && strip.querySelector(`[data-name="${name}"]`)) strip.choose(name);
    const shown = names === ROOM ? "chat" : name;
    for (const tab of this.phone.children) tab.setAttribute("aria-current", String(tab.dataset.tab === shown));
    if (name === "insights") this.parts.insights.look();
    if (name === "rules") this.parts.rules.look();
  }

  /** How many questions wait. */
  count(questions) {
    setText(this.asked, questions ? number(questions) : "");
    show(this.asked, questions > 0);
  }
}
