/** `<poll-desk>`: ask everybody, watch the votes come in, close. */
import { cssVar, field, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { countdown, number, percent, t } from "../ui/i18n.js";

const LEAST_ANSWERS = 2;
const MOST_ANSWERS = 5;
const TIMES_S = [30, 60, 120, 300];

class PollDesk extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.question = h("input", { testid: "poll-question", type: "text", maxlength: "300", required: true, autocomplete: "off", placeholder: t("poll.question.example") });
    this.answers = h("div", { class: "poll-answers" });
    this.more = h("button", { class: "small quiet", type: "button", testid: "poll-more", onclick: () => this.#addAnswer(true) }, icon("plus"), t("poll.more"));
    this.time = h("select", { testid: "poll-time" }, TIMES_S.map((s) => h("option", { value: String(s), selected: s === 60 }, countdown(s * 1000))));
    this.send = h("button", { class: "primary", type: "submit", testid: "poll-open" }, icon("poll"), t("poll.open"));
    this.form = h(
      "form",
      { class: "poll-form", onsubmit: (e) => this.#submit(e) },
      field(t("poll.question"), this.question),
      h("fieldset", { class: "plain" }, h("legend", { class: "field-label" }, t("poll.answers")), this.answers, this.more),
      field(t("poll.time"), this.time),
      this.send,
    );
    this.note = h("refusal-note", { testid: "poll-refusal" });
    this.result = h("section", { class: "poll-result", testid: "poll-result" });
    this.append(h("h2", {}, t("poll")), this.result, this.form, this.note);
    for (let i = 0; i < LEAST_ANSWERS; i += 1) this.#addAnswer();
    show(this.result, false);
  }

  follow(store) {
    this.store = store;
    store.addEventListener("poll", () => this.#draw());
  }

  #addAnswer(focus = false) {
    const place = this.answers.children.length + 1;
    const input = h("input", { type: "text", testid: "poll-answer", maxlength: "100", autocomplete: "off", required: place <= LEAST_ANSWERS, aria: { label: t("poll.answer", { place }) }, placeholder: t("poll.answer", { place }) });
    this.answers.append(input);
    show(this.more, place < MOST_ANSWERS);
    if (focus) input.focus();
  }

  #draw() {
    const { poll } = this.store;
    const open = poll?.state === "open";
    show(this.result, poll !== null);
    show(this.form, !open);
    if (!poll) return;
    if (this.result.dataset.id !== poll.id || this.result.dataset.state !== poll.state) this.#frame(poll, open);
    poll.counts.forEach((count, i) => {
      const share = poll.votes ? count / poll.votes : 0;
      cssVar(this.bars[i].row, "--share", share.toFixed(3));
      setText(this.bars[i].words, `${number(count)} · ${percent(Math.round(share * 100) / 100)}`);
    });
    setText(this.votes, t("poll.votes", { count: poll.votes }));
  }

  #frame(poll, open) {
    Object.assign(this.result.dataset, { id: poll.id, state: poll.state });
    this.bars = poll.answers.map((answer) => {
      const words = h("span", { class: "poll-count", testid: "poll-count" });
      return { words, row: h("li", { class: "poll-bar" }, h("span", { dir: "auto" }, answer), words) };
    });
    this.votes = h("span", { testid: "poll-votes" });
    const ring = h("countdown-ring");
    if (open) ring.run({ endsAt: poll.closes_at_ms, totalMs: Math.max(1, poll.closes_at_ms - this.store.clock.now()) }, this.store.clock);
    const close = h("button", { class: "small", type: "button", testid: "poll-close", onclick: () => this.#close(poll.id) }, t("poll.close"));
    this.result.replaceChildren(
      h("div", { class: "section-head" }, h("h3", { dir: "auto" }, poll.question), open && ring),
      h("ul", { class: "poll-bars" }, this.bars.map((bar) => bar.row)),
      h("div", { class: "section-head" }, this.votes, open ? close : h("span", { class: "pill" }, t("poll.closed"))),
    );
  }

  #submit(event) {
    event.preventDefault();
    return this.#doing(async () => {
      const answers = [...this.answers.children].map((input) => input.value.trim()).filter(Boolean);
      const { poll } = await this.store.room.call("poll.open", { question: this.question.value.trim(), answers, seconds: Number(this.time.value) });
      this.store.takePoll(poll);
      this.question.value = "";
      this.answers.replaceChildren();
      for (let i = 0; i < LEAST_ANSWERS; i += 1) this.#addAnswer();
    });
  }

  #close(id) {
    return this.#doing(async () => this.store.takePoll((await this.store.room.call("poll.close", { poll_id: id })).poll));
  }

  async #doing(act) {
    this.note.clear();
    this.send.disabled = true;
    try {
      await act();
    } catch (error) {
      this.note.refuse(error);
    } finally {
      this.send.disabled = false;
    }
  }
}

customElements.define("poll-desk", PollDesk);
