/** Watching a stream by WHEP: receive only, retried for as long as the viewer stays. No DOM. */
import { MediaPeer } from "./peer.js";

/** While the stream is live and connected, so many seconds without a decoded frame mean a dead connection. */
const STALL_S = 8;
/** Before the show the room tells when it begins; asking is for those whom it does not reach. */
const BEFORE_SHOW_MS = 15_000;

/** Events: those of MediaPeer, and `media` {stream} with the MediaStream to show. */
export class WhepViewer extends MediaPeer {
  #last = null;
  #still = 0;

  constructor(options) {
    super(options);
    /** Set by the page: whether the host is live, so that silence means a fault and not a pause. */
    this.expectMedia = false;
  }

  prepare(pc) {
    this.#last = null;
    this.#still = 0;
    const stream = new MediaStream();
    for (const kind of ["audio", "video"]) {
      const { receiver } = pc.addTransceiver(kind, { direction: "recvonly" });
      stream.addTrack(receiver.track);
    }
    pc.addEventListener("track", () => this.#offer(stream), { once: true });
  }

  patience({ retryAfterMs }) {
    return this.expectMedia ? retryAfterMs : Math.max(retryAfterMs ?? 0, BEFORE_SHOW_MS);
  }

  #offer(stream) {
    this.dispatchEvent(new CustomEvent("media", { detail: { stream } }));
  }

  summarise(report) {
    const now = { at: performance.now(), bytes: 0, frames: 0, lost: 0, packets: 0, jitterMs: 0, width: 0, height: 0 };
    for (const entry of report.values()) {
      if (entry.type !== "inbound-rtp") continue;
      now.bytes += entry.bytesReceived ?? 0;
      now.lost += Math.max(0, entry.packetsLost ?? 0);
      now.packets += entry.packetsReceived ?? 0;
      if (entry.kind !== "video") continue;
      now.frames = entry.framesDecoded ?? 0;
      now.jitterMs = (entry.jitter ?? 0) * 1000;
      now.width = entry.frameWidth ?? 0;
      now.height = entry.frameHeight ?? 0;
    }
    const seconds = this.#last ? (now.at - this.#last.at) / 1000 : 0;
    const bitrate = seconds > 0 ? Math.max(0, ((now.bytes - this.#last.bytes) * 8) / seconds) : 0;
    const moved = !this.#last || now.frames > this.#last.frames;
    this.#still = moved || !this.expectMedia ? 0 : this.#still + seconds;
    this.#last = now;
    return {
      bitrate,
      framesDecoded: now.frames,
      moving: moved && now.frames > 0,
      lossRatio: now.packets ? now.lost / (now.lost + now.packets) : 0,
      jitterMs: now.jitterMs,
      width: now.width,
      height: now.height,
      stalled: this.#still > STALL_S,
    };
  }
}
