/** `<poll-card>`: what the host asks, one vote, and how everybody votes. */
import "./countdown-ring.js";
import { cssVar, h, setText, show } from "../ui/dom.js";
import { safeStorage } from "../client.js";
import { percent, t } from "../ui/i18n.js";
import { everyTick } from "../ui/ticker.js";

/** The result stays this long after the end, for who reloads meanwhile too. */
const LINGERS_MS = 20_000;
/** One's own vote by poll: the server counts it once and tells it to nobody, so a reload must remember it. */
const SAVED = "livecommerce.vote";

class PollCard extends HTMLElement {
  #poll = null;
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    this.question = h("h2", { class: "poll-question", dir: "auto" });
    this.ring = h("countdown-ring", { testid: "poll-countdown" });
    this.answers = h("ul", { class: "poll-choices" });
    this.votes = h("p", { class: "poll-votes", testid: "poll-votes" });
    this.note = h("refusal-note", { testid: "poll-refusal" });
    this.card = h(
      "section",
      { class: "poll-card", testid: "poll-card", aria: { label: t("poll") } },
      h("div", { class: "poll-top" }, this.question, this.ring),
      this.answers,
      this.votes,
    );
    this.append(this.card, this.note);
    show(this.card, false);
    this.stop = everyTick(() => this.#fade());
  }

  disconnectedCallback() {
    this.stop?.();
  }

  follow(store) {
    this.store = store;
    store.addEventListener("poll", () => this.#draw());
    store.addEventListener("stream", () => this.#draw());
  }

  get #chosen() {
    const [id, answer] = (this.#storage.getItem(SAVED) ?? "").split(" ");
    return id === this.#poll?.id ? Number(answer) : null;
  }

  #draw() {
    const { poll } = this.store;
    const shown = poll !== null && this.store.stream?.state !== "ended" && (poll.state === "open" || this.#lingers(poll));
    show(this.card, shown);
    if (!shown) return;
    if (this.#poll?.id !== poll.id) this.#dress(poll);
    this.#poll = poll;
    const open = poll.state === "open";
    this.card.dataset.state = poll.state;
    show(this.ring, open);
    this.#count(poll, open);
  }

  #dress(poll) {
    setText(this.question, poll.question);
    this.ring.run({ endsAt: poll.closes_at_ms, totalMs: Math.max(1, poll.closes_at_ms - this.store.clock.now()) }, this.store.clock);
    this.rows = poll.answers.map((answer, place) => {
      const share = h("span", { class: "poll-share" });
      const button = h(
        "button",
        { class: "poll-choice", type: "button", testid: "poll-choice", onclick: () => this.#vote(place) },
        h("i", { class: "poll-bar", aria: { hidden: "true" } }),
        h("span", { class: "poll-words", dir: "auto" }, answer),
        share,
      );
      return { button, share };
    });
    this.answers.replaceChildren(...this.rows.map(({ button }) => h("li", {}, button)));
  }

  #count(poll, open) {
    const chosen = this.#chosen;
    const most = Math.max(...poll.counts);
    this.card.dataset.voted = String(chosen !== null || !open);
    this.rows.forEach(({ button, share }, place) => {
      const part = poll.votes ? poll.counts[place] / poll.votes : 0;
      cssVar(button, "--share", String(part));
      setText(share, percent(part));
      button.disabled = !open || chosen !== null;
      button.setAttribute("aria-pressed", String(chosen === place));
      button.dataset.most = String(!open && most > 0 && poll.counts[place] === most);
    });
    setText(this.votes, open && chosen === null ? t("poll.vote-now") : t("poll.votes", { count: poll.votes }));
  }

  async #vote(answer) {
    const { id } = this.#poll;
    this.#storage.setItem(SAVED, `${id} ${answer}`);
    this.note.clear();
    this.#draw();
    try {
      await this.store.room.call("poll.vote", { poll_id: id, answer });
    } catch (refusal) {
      // "illegal state" is a vote that was counted before, from another window perhaps
      if (refusal.code !== "illegal_state") this.#storage.removeItem(SAVED);
      this.note.refuse(refusal);
      this.#draw();
    }
  }

  /** A closed poll says when it closed, by the server's clock. */
  #lingers(poll) {
    return this.store.clock.now() - poll.closes_at_ms < LINGERS_MS;
  }

  #fade() {
    const { poll } = this.store ?? {};
    if (poll && poll.state !== "open" && !this.card.hidden && !this.#lingers(poll)) show(this.card, false);
  }
}

customElements.define("poll-card", PollCard);
