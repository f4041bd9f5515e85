/** `<level-meter>`: how loud the microphone is, so that a host sees being heard before going live. */
import { cssVar } from "../ui/dom.js";
import { t } from "../ui/i18n.js";

const EVERY_MS = 80;
/** Below this many decibels the meter is empty. */
const FLOOR_DB = -60;

class LevelMeter extends HTMLElement {
  #context = null;
  #timer = null;
  #source = null;

  connectedCallback() {
    this.setAttribute("role", "meter");
    this.setAttribute("aria-label", t("studio.level"));
    this.setAttribute("aria-valuemin", "0");
    this.setAttribute("aria-valuemax", "100");
    this.setAttribute("aria-valuenow", "0");
  }

  disconnectedCallback() {
    this.stop();
  }

  /** Measure a stream's sound; a stream without sound stands at nothing. */
  listen(stream) {
    this.#source?.disconnect();
    clearInterval(this.#timer);
    this.dataset.silent = String(!stream?.getAudioTracks().length);
    if (!stream?.getAudioTracks().length) return this.#draw(0);
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

  stop() {
    clearInterval(this.#timer);
    this.#source?.disconnect();
    this.#context?.close().catch(() => {});
    this.#context = null;
  }

  #draw(level) {
    cssVar(this, "--level", level.toFixed(3));
    this.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}

customElements.define("level-meter", LevelMeter);
