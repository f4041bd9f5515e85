/** `<heart-button>`: hearts that float, one's own at once (by the button, or by tapping the picture twice), everybody's as the room counts them. */
import { cssVar, h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

/** Taps are gathered this long and sent as one count. */
const GATHER_MS = 700;
const MAX_FLOATING = 24;
const KIND = "heart";
/** Taps so close together are a double tap, and each further one a heart more. */
const DOUBLE_MS = 350;

class HeartButton extends HTMLElement {
  #taps = 0;
  #timer = null;
  #tappedAt = -Infinity;

  connectedCallback() {
    if (this.firstChild) return;
    this.sky = h("div", { class: "hearts", aria: { hidden: "true" } });
    this.button = h("button", { class: "round heart", testid: "heart", type: "button", onclick: () => this.#tap(), title: t("heart.more"), aria: { label: t("heart") } }, icon("heart", { filled: true }));
    this.append(this.sky, this.button);
  }

  /** Count a Show's hearts; `stage` is the picture that takes double taps. */
  follow(store, stage) {
    this.store = store;
    stage.addEventListener("click", (event) => this.#tapPicture(event));
    store.addEventListener("reactions", ({ detail }) => {
      const others = Math.min(6, (detail.counts[KIND] ?? 0) - this.#taps);
      for (let i = 0; i < others; i += 1) setTimeout(() => this.#float(), i * 90);
    });
  }

  #tapPicture(event) {
    if (event.target.closest("button, a") || this.store.stream?.state === "ended") return;
    const again = event.timeStamp - this.#tappedAt < DOUBLE_MS;
    this.#tappedAt = event.timeStamp;
    if (again) this.#tap(event);
  }

  #tap(at = null) {
    this.#taps += 1;
    if (at?.clientX === undefined) this.#float();
    else this.#burst(at);
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  #flush() {
    this.#timer = null;
    const count = this.#taps;
    this.#taps = 0;
    // a heart that gets lost is not worth words
    this.store?.room.call("chat.react", { kind: KIND, count: Math.min(count, 50) }).catch(() => {});
  }

  /** A large heart where the picture was tapped. */
  #burst({ clientX, clientY }) {
    if (this.sky.children.length >= MAX_FLOATING) return;
    const heart = icon("heart", { filled: true });
    heart.classList.add("burst");
    cssVar(heart, "--x", `${Math.round(clientX)}px`);
    cssVar(heart, "--y", `${Math.round(clientY)}px`);
    heart.addEventListener("animationend", () => heart.remove());
    this.sky.append(heart);
  }

  #float() {
    if (this.sky.children.length >= MAX_FLOATING) return;
    const heart = icon("heart", { filled: true });
    cssVar(heart, "--drift", `${Math.round(Math.random() * 60 - 30)}px`);
    cssVar(heart, "--hue", String(330 + Math.round(Math.random() * 50)));
    heart.addEventListener("animationend", () => heart.remove());
    this.sky.append(heart);
  }
}

customElements.define("heart-button", HeartButton);
