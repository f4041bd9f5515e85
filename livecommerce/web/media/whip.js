/**
 * Going live by WHIP: send camera or screen and microphone, VP8 first and in three sizes where the picture is large
 * enough, so that each viewer gets the one its path carries; tracks can be swapped while live. No DOM.
 */
import { MediaPeer } from "./peer.js";

export const MAX_VIDEO_BITRATE = 2_500_000;
/** The sizes, smallest first as Chromium spends its upload on them; together MAX_VIDEO_BITRATE. */
export const LAYERS = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_850_000 },
];
/** A lower picture is sent in one size: a quarter of it would show nothing. */
export const MIN_LAYERED_HEIGHT = 640;
export const MAX_AUDIO_BITRATE = 96_000;

export class WhipPublisher extends MediaPeer {
  #senders = {};
  #last = null;

  /** `stream` is the MediaStream to send; a missing kind is sent as silence or black until it is swapped in. */
  constructor({ stream, ...options }) {
    super(options);
    this.stream = stream;
  }

  prepare(pc) {
    this.#last = null;
    for (const kind of ["audio", "video"]) {
      const transceiver = this.#add(pc, kind, this.#track(kind));
      this.#senders[kind] = transceiver.sender;
      // Chromium's H264 sends needless keyframes and cannot be decoded everywhere; VP8 can.
      if (kind === "video") preferCodec(transceiver, "video/VP8");
    }
  }

  #add(pc, kind, track) {
    const one = [{ maxBitrate: kind === "video" ? MAX_VIDEO_BITRATE : MAX_AUDIO_BITRATE }];
    const add = (sendEncodings) =>
      pc.addTransceiver(track ?? kind, { direction: "sendonly", streams: [this.stream], sendEncodings });
    if (kind !== "video" || !((track?.getSettings().height ?? 0) >= MIN_LAYERED_HEIGHT)) return add(one);
    try {
      return add(LAYERS.map((layer) => ({ ...layer })));
    } catch {
      return add(one); // this browser sends one size only
    }
  }

  #track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /** Send another camera, screen or microphone without renegotiating: viewers notice only the new picture. */
  async replace(stream) {
    this.stream = stream;
    for (const kind of ["audio", "video"]) {
      if (this.pc && this.#senders[kind]) await this.#senders[kind].replaceTrack(this.#track(kind));
    }
  }

  summarise(report) {
    const now = { at: performance.now(), bytes: 0, fps: 0, width: 0, height: 0, limit: "none", rttMs: 0, lossRatio: 0 };
    for (const entry of report.values()) {
      if (entry.type === "outbound-rtp") {
        now.bytes += entry.bytesSent ?? 0;
        // Of several sizes the largest that is being sent tells how the picture does.
        if (entry.kind !== "video" || !entry.framesPerSecond || entry.frameWidth < now.width) continue;
        now.fps = entry.framesPerSecond;
        now.width = entry.frameWidth ?? 0;
        now.height = entry.frameHeight ?? 0;
        now.limit = entry.qualityLimitationReason ?? "none";
      } else if (entry.type === "remote-inbound-rtp" && entry.kind === "video") {
        now.rttMs = (entry.roundTripTime ?? 0) * 1000;
        now.lossRatio = entry.fractionLost ?? 0;
      }
    }
    const seconds = this.#last ? (now.at - this.#last.at) / 1000 : 0;
    const bitrate = seconds > 0 ? Math.max(0, ((now.bytes - this.#last.bytes) * 8) / seconds) : 0;
    this.#last = now;
    const { fps, width, height, limit, rttMs, lossRatio } = now;
    return { bitrate, fps, width, height, limit, rttMs, lossRatio, stalled: false };
  }
}

function preferCodec(transceiver, mimeType) {
  const codecs = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
  const first = codecs.filter((codec) => codec.mimeType === mimeType);
  const rest = codecs.filter((codec) => codec.mimeType !== mimeType);
  if (first.length && transceiver.setCodecPreferences) transceiver.setCodecPreferences([...first, ...rest]);
}
