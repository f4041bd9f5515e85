/** How the sending goes, judged from a second's statistics. No DOM. */

/** The encoder begins low and climbs; before this what it says of the network means nothing. */
export const SETTLE_MS = 12_000;
/** A complaint is made when it has lasted so long. */
export const LASTS_MS = 5_000;
const POOR_LOSS = 0.05;

export class HealthJudge {
  #since = null;
  #cause = null;
  #causeSince = 0;

  /** A new connection settles anew. */
  restart() {
    this.#since = null;
    this.#cause = null;
  }

  /** `{quality: good|fair|poor, hint: null|poor|bandwidth|cpu}` for what was measured at `nowMs`. */
  judge({ connection, lossRatio, limit }, nowMs) {
    this.#since ??= nowMs;
    if (connection !== "connected") return { quality: "poor", hint: "poor" };
    const cause = lossRatio > POOR_LOSS ? "poor" : limit === "bandwidth" || limit === "cpu" ? limit : null;
    if (cause !== this.#cause) {
      this.#cause = cause;
      this.#causeSince = nowMs;
    }
    const settled = nowMs - this.#since >= SETTLE_MS;
    if (!cause || !settled || nowMs - this.#causeSince < LASTS_MS) return { quality: "good", hint: null };
    return { quality: cause === "poor" ? "poor" : "fair", hint: cause };
  }
}

/** Each size that is sent, largest first, from two statistics reports a while apart: {name, width, height, fps, bitrate, active}. */
export function layersOf(report, before, seconds) {
  const layers = [];
  for (const entry of report.values()) {
    if (entry.type !== "outbound-rtp" || entry.kind !== "video") continue;
    const sent = before.get(entry.id) ?? entry.bytesSent;
    const bitrate = seconds > 0 ? Math.max(0, ((entry.bytesSent - sent) * 8) / seconds) : 0;
    before.set(entry.id, entry.bytesSent);
    const fps = entry.framesPerSecond ?? 0;
    layers.push({ name: entry.rid ?? "", width: entry.frameWidth ?? 0, height: entry.frameHeight ?? 0, fps, bitrate, active: entry.active !== false && fps > 0 });
  }
  return layers.sort((a, b) => b.height - a.height || a.name.localeCompare(b.name));
}
