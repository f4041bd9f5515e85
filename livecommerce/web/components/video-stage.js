/** `<video-stage>`: the picture, what to read while there is none, and the sound button. */
import { avatar, h, setText, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";
import { safeStorage } from "../client.js";

const SOUND = "livecommerce.sound";
/** The glow around a picture that does not fill its stage: so few dots, so seldom, that it costs nothing. */
const GLOW = { width: 24, height: 32, everyMs: 1_000 };

class VideoStage extends HTMLElement {
  #storage = safeStorage();

  connectedCallback() {
    if (this.firstChild) return;
    this.video = h("video", { testid: "video", autoplay: true, playsInline: true, muted: true, tabindex: "-1", aria: { label: t("video") } });
    this.video.disablePictureInPicture = true;
    this.portrait = h("div", { class: "poster-face", aria: { hidden: "true" } });
    this.headline = h("p", { class: "poster-headline" });
    this.sentence = h("p", { class: "poster-sentence" });
    this.poster = h("div", { class: "poster", testid: "poster" }, this.portrait, this.headline, this.sentence);
    this.sound = h("button", { class: "sound", testid: "unmute", type: "button", onclick: () => this.#toggleSound() });
    this.glow = h("canvas", { class: "glow", aria: { hidden: "true" } });
    Object.assign(this.glow, { width: GLOW.width, height: GLOW.height });
    this.backdrop = h("img", { class: "backdrop", testid: "backdrop", alt: "", decoding: "async" });
    this.backdrop.addEventListener("load", () => this.#drawBackdrop());
    this.append(this.glow, this.backdrop, this.video, this.poster, this.sound);
    show(this.backdrop, false);
    this.shining = setInterval(() => this.#shine(), GLOW.everyMs);
    this.video.addEventListener("volumechange", () => this.#drawSound());
    this.video.addEventListener("resize", () => this.#shape());
    this.video.addEventListener("playing", () => this.#shine());
    this.#drawSound();
  }

  disconnectedCallback() {
    clearInterval(this.shining);
  }

  /** The stage's state: it decides what covers the picture. */
  become(state, host) {
    this.dataset.state = state;
    if (host && this.portrait.dataset.of !== host.name) {
      this.portrait.dataset.of = host.name;
      this.portrait.replaceChildren(avatar(host.name));
    }
    const words = state === "live" ? null : state;
    show(this.poster, words !== null);
    this.#drawBackdrop();
    if (words) {
      setText(this.headline, t(`stage.${words}`));
      setText(this.sentence, t(`stage.${words}.more`));
    }
    show(this.sound, state === "live");
  }

  /** What the show looked like a moment ago, for as long as there is nothing to play. */
  expect(address) {
    if (address && !this.moving && this.backdrop.getAttribute("src") !== address) this.backdrop.src = address;
  }

  #drawBackdrop() {
    const there = this.backdrop.complete && this.backdrop.naturalWidth > 0;
    show(this.backdrop, there && !["live", "refused"].includes(this.dataset.state));
  }

  /** Play a MediaStream: with sound if the viewer wanted it last time and the browser allows it, else muted. */
  async play(stream) {
    this.video.srcObject = stream;
    this.video.muted = this.#storage.getItem(SOUND) !== "on";
    try {
      await this.video.play();
    } catch (error) {
      if (error?.name !== "NotAllowedError") return;
      this.video.muted = true;
      await this.video.play().catch(() => {});
    }
  }

  /** Whether frames have been shown. */
  get moving() {
    return this.video.readyState >= 2 && this.video.videoWidth > 0;
  }

  #toggleSound() {
    this.video.muted = !this.video.muted;
    this.#storage.setItem(SOUND, this.video.muted ? "off" : "on");
    this.dataset.heard = "true";
    if (this.video.paused) this.video.play().catch(() => {});
  }

  #drawSound() {
    const { muted } = this.video;
    this.sound.dataset.muted = String(muted);
    this.sound.setAttribute("aria-label", muted ? t("sound.on") : t("sound.off"));
    this.sound.replaceChildren(icon(muted ? "mute" : "sound"), h("span", { class: "sound-words" }, muted ? t("sound.tap") : ""));
  }

  #shine() {
    if (document.hidden || !this.moving || getComputedStyle(this.glow).display === "none") return;
    this.glow.getContext("2d").drawImage(this.video, 0, 0, GLOW.width, GLOW.height);
  }

  #shape() {
    this.dataset.shape = this.video.videoWidth > this.video.videoHeight ? "wide" : "tall";
  }
}

customElements.define("video-stage", VideoStage);
