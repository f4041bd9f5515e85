/** `<countdown-ring>`: a ring that empties and the time left, by the server's clock. */
import { cssVar, setText } from "../ui/dom.js";
import { countdown } from "../ui/i18n.js";
import { everyTick } from "../ui/ticker.js";

const NS = "http://www.w3.org/2000/svg";
const RADIUS = 20;
const AROUND = 2 * Math.PI * RADIUS;
/** From here on the ring is drawn as urgent. */
const URGENT_MS = 10_000;

export class CountdownRing extends HTMLElement {
  #stop = null;
  #span = null;
  #label = "";

  connectedCallback() {
    if (!this.firstChild) this.#draw();
    this.#stop ??= everyTick(() => this.#tick());
    this.#tick();
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  /** Count down to `endsAt` (server ms) out of `totalMs`; `null` stops. `label` says what ends, for where two rings run. */
  run(span, clock, label = "") {
    this.#span = span;
    this.clock = clock;
    this.#label = label;
    this.#name();
    if (this.isConnected) this.#tick();
  }

  #draw() {
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", "0 0 48 48");
    svg.setAttribute("aria-hidden", "true");
    for (const name of ["track", "left"]) {
      const circle = document.createElementNS(NS, "circle");
      for (const [key, value] of Object.entries({ cx: 24, cy: 24, r: RADIUS, class: name })) circle.setAttribute(key, value);
      svg.append(circle);
    }
    cssVar(svg, "--around", String(AROUND));
    this.digits = document.createElement("span");
    this.digits.setAttribute("role", "timer");
    this.caption = document.createElement("small");
    this.append(svg, this.digits, this.caption);
    this.#name();
  }

  #name() {
    if (!this.caption) return;
    setText(this.caption, this.#label);
    this.caption.hidden = !this.#label;
  }

  #tick() {
    if (!this.#span || !this.digits) return;
    const left = Math.max(0, this.#span.endsAt - this.clock.now());
    const share = this.#span.totalMs > 0 ? Math.min(1, left / this.#span.totalMs) : 0;
    setText(this.digits, countdown(left));
    cssVar(this, "--gone", String(AROUND * (1 - share)));
    this.dataset.urgent = String(left > 0 && left <= URGENT_MS);
    this.dataset.leftMs = String(Math.round(left));
  }
}

customElements.define("countdown-ring", CountdownRing);
