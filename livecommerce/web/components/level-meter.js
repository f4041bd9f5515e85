/** `<level-meter>`: how loud the microphone is, so that a host sees being heard before going live. */
import { cssVar, h, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

const EVERY_MS = 80;
/** Below this many decibels the meter is empty. */
const FLOOR_DB = -60;
/** A bar that a screen reader is told of in steps: it must not chatter. */
const STEP = 10;

class LevelMeter extends HTMLElement {
  #context = null;
  #timer = null;
  #source = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.bar = h("span", { class: "level-bar", role: "meter", aria: { label: t("studio.level"), valuemin: "0", valuemax: "100", valuenow: "0" } });
    this.words = h("span", { class: "level-words" }, t("studio.level"));
    this.append(icon("mic"), this.words, this.bar);
  }

  disconnectedCallback() {
    this.stop();
  }

  /** Measure a stream's sound; a stream without sound stands at nothing. */
  listen(stream) {
    this.#source?.disconnect();
    clearInterval(this.#timer);
    const silent = !stream?.getAudioTracks().length;
    this.dataset.silent = String(silent);
    setText(this.words, t(silent ? "studio.level.none" : "studio.level"));
    if (silent) return this.#draw(0);
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {});
    this.#source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const decibels = 10 * Math.log10(power || 1e-10);
      this.#draw(Math.max(0, Math.min(1, 1 - decibels / FLOOR_DB)));
    }, EVERY_MS);
  }

  /** Say that the microphone is muted: the bar then stands at nothing by itself. */
  mute(muted) {
    this.dataset.muted = String(muted);
    if (this.dataset.silent === "false") setText(this.words, t(muted ? "studio.level.muted" : "studio.level"));
  }

  stop() {
    clearInterval(this.#timer);
    this.#source?.disconnect();
    this.#context?.close().catch(() => {});
    this.#context = null;
  }

  #draw(level) {
    cssVar(this, "--level", level.toFixed(3));
    this.dataset.level = String(Math.round(level * 100));
    this.bar.setAttribute("aria-valuenow", String(Math.round((level * 100) / STEP) * STEP));
  }
}

customElements.define("level-meter", LevelMeter);
