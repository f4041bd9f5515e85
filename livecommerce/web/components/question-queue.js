/** `<question-queue>`: what viewers asked, oldest first; a tap marks a question as answered. */
import { avatar, h, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

class QuestionQueue extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.list = h("ol", { class: "questions", testid: "question-list" });
    this.none = h("p", { class: "nothing" }, t("questions.none"));
    this.note = h("refusal-note", { testid: "question-refusal" });
    this.append(h("h2", {}, t("questions")), this.note, this.none, this.list);
  }

  follow(staff) {
    this.staff = staff;
    staff.addEventListener("questions", () => this.#draw());
  }

  #draw() {
    const { questions } = this.staff;
    show(this.none, questions.length === 0);
    this.list.replaceChildren(...questions.map((message) => this.#row(message)));
  }

  #row(message) {
    const words = h("div", { class: "question-words" }, h("strong", { dir: "auto" }, message.user.name), h("p", { dir: "auto" }, message.text));
    const done = h("button", { class: "small", type: "button", testid: "question-answer", aria: { label: t("question.answer.of", { name: message.user.name }) }, onclick: (e) => this.#answer(e.currentTarget, message.id) }, icon("check"), t("question.answer"));
    return h("li", { class: "question", testid: "question", dataset: { id: message.id } }, avatar(message.user.name), words, done);
  }

  async #answer(button, id) {
    button.disabled = true;
    this.note.clear();
    try {
      await this.staff.room.call("question.answer", { message_id: id });
    } catch (error) {
      button.disabled = false;
      this.note.refuse(error);
    }
  }
}

customElements.define("question-queue", QuestionQueue);
