/** The show's poster: a small picture of what the preview shows, taken now and then while the show is on. */
import { h } from "./dom.js";

/** The encoder has settled and the host has stopped adjusting the camera. */
const FIRST_MS = 3_000;
const EVERY_MS = 20_000;
const MOST_SIDE = 640;
/** The server takes no more (docs/limits.md); a busy picture is tried again with less detail. */
const MOST_BYTES = 64 * 1024;
const QUALITIES = [0.72, 0.5, 0.3];

export class PosterTaker {
  #timer = null;
  #canvas = h("canvas");

  /** `video` is what to take it from; `send` gets each picture as a Blob. */
  constructor({ video, send }) {
    Object.assign(this, { video, send });
  }

  /** Take and send from now on; calling it again changes nothing. */
  start() {
    this.#timer ??= setTimeout(() => this.#next(), FIRST_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #next() {
    const running = this.#timer;
    try {
      const picture = await this.#take();
      if (picture && this.#timer === running) await this.send(picture);
    } catch {
      // a show without a new poster is still a show
    }
    if (this.#timer === running) this.#timer = setTimeout(() => this.#next(), EVERY_MS);
  }

  /** The picture as a JPEG, or null where there is none: no frame yet, or the host has turned it off. */
  async #take() {
    const { videoWidth: width, videoHeight: height, readyState, srcObject } = this.video;
    if (readyState < 2 || !width || !srcObject?.getVideoTracks()[0]?.enabled) return null;
    const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
    Object.assign(this.#canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    this.#canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
    for (const quality of QUALITIES) {
      const blob = await new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", quality));
      if (blob && blob.size <= MOST_BYTES) return blob;
    }
    return null;
  }
}
