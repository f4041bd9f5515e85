/** What WHIP and WHEP share: one peer connection by HTTP, kept alive. No DOM. */
import { delayMs, sleep } from "../client/backoff.js";
import { OFFLINE, Refusal, asRefusal, refusalFromProblem } from "../client/errors.js";

const POST_TIMEOUT_MS = 10_000;
/** How long a connection may take from the answer to "connected". */
const CONNECT_TIMEOUT_MS = 10_000;
/** How long without TURN where the answer has just named TURN servers: the next attempt goes by them. */
const DIRECT_TIMEOUT_MS = 3_000;
/** "disconnected" often heals by itself (a phone changes cells); after this long it is given up. */
const DISCONNECT_GRACE_MS = 2_500;
const STATS_EVERY_MS = 1_000;
/** How long the server may take to say whether it still has our session, and how often it is asked when it cannot. */
const DOUBT_TIMEOUT_MS = 3_000;
const MOST_DOUBTS = 12;
/** So many looks at the statistics without a byte from the server, which reports at least once a second, are doubtful. */
const SILENT_LOOKS = 2;

/**
 * Events: `state` {state, refusal?}: idle, connecting, waiting (409/503: not yet), connected, reconnecting, failed
 * (a refusal that asking again will not change), stopped · `stats` {…}.
 */
export class MediaPeer extends EventTarget {
  #abort = null;
  #location = null;
  #iceServers = [];
  #wake = null;
  #doubting = false;
  #lost = false;

  constructor({ url, token }) {
    super();
    Object.assign(this, { url, token });
    this.state = "idle";
    this.pc = null;
  }

  /** Connect, and stay connected until `stop`. Calling it again while running does nothing. */
  start() {
    if (this.#abort) return;
    // a browser without it, or where it is switched off: asking again changes nothing
    if (!globalThis.RTCPeerConnection) return this.#become("failed", new Refusal("browser_old"));
    const abort = new AbortController();
    this.#abort = abort;
    this.#run(abort.signal).catch((error) => {
      if (abort.signal.aborted) return;
      this.#abort = null;
      this.#become("failed", asRefusal(error));
    });
  }

  /** End the session on the server too. */
  stop() {
    this.#abort?.abort(new DOMException("stopped", "AbortError"));
    this.#abort = null;
    this.#close();
    this.#become("stopped");
  }

  /** Give up what there is and connect anew (the token has changed). */
  restart() {
    this.#abort?.abort(new DOMException("restarted", "AbortError"));
    this.#abort = null;
    this.#close();
    this.start();
  }

  /** Try now instead of after the wait (the stream has just gone live, the network is back). */
  nudge() {
    this.#wake?.();
  }

  /**
   * Something says that the server may have died (its room's connection broke, no packets come): ask whether it still
   * has our session, and connect anew at once where it has not. By itself a browser needs five seconds to notice.
   */
  async doubt() {
    const location = this.#location;
    if (!location || this.#doubting) return;
    this.#doubting = true;
    try {
      for (let attempt = 0; attempt < MOST_DOUBTS && this.#location === location; attempt += 1) {
        // first, too: the server has as many viewers as it had
        await sleep(delayMs(attempt));
        if (this.#location !== location) return;
        const answer = await this.#ask(location);
        if (answer === null) continue;
        if ([404, 410].includes(answer.status) && this.#location === location) {
          this.#lost = true;
          this.nudge();
        }
        return;
      }
    } finally {
      this.#doubting = false;
    }
  }

  /** "No more candidates" once more (RFC 9725 §4.3): changes nothing where the session is. Null: nobody answers. */
  async #ask(location) {
    const [ufrag, pwd] = ["ice-ufrag", "ice-pwd"].map(
      (name) => this.pc?.localDescription?.sdp.match(new RegExp(`a=${name}:(\\S+)`))?.[1],
    );
    try {
      const response = await fetch(location, {
        method: "PATCH",
        headers: { "Content-Type": "application/trickle-ice-sdpfrag", Authorization: `Bearer ${this.token()}` },
        body: `a=ice-ufrag:${ufrag}\r\na=ice-pwd:${pwd}\r\na=end-of-candidates\r\n`,
        signal: AbortSignal.timeout(DOUBT_TIMEOUT_MS),
      });
      return response.status >= 500 ? null : response;
    } catch {
      return null;
    }
  }

  /** Subclasses: add transceivers to a fresh peer connection. */
  prepare(_pc) {}

  /** Subclasses: how many ms to wait after "not yet", unless nudged; null is the usual backoff. */
  patience({ retryAfterMs }) {
    return retryAfterMs;
  }

  /** Subclasses: a summary of an RTCStatsReport; returning `{stalled: true}` gives the connection up. */
  summarise(_report) {
    return {};
  }

  async #run(signal) {
    for (let attempt = 0; ; attempt += 1) {
      let wait = null;
      try {
        this.#become(attempt === 0 ? "connecting" : this.state === "waiting" ? "waiting" : "reconnecting");
        await this.#connect(signal);
        attempt = 0;
        this.#become("connected");
        await this.#stay(signal);
        this.#become("reconnecting");
      } catch (error) {
        if (signal.aborted) throw error;
        const refusal = asRefusal(error);
        const notYet = refusal.status === 409 || refusal.status === 503;
        if (!notYet && !refusal.temporary && refusal.status !== 0 && refusal.status < 500) throw refusal;
        if (notYet) this.#become("waiting", refusal);
        wait = notYet ? this.patience(refusal) : refusal.retryAfterMs;
      } finally {
        this.#close();
      }
      await this.#pause(wait ?? delayMs(attempt), signal);
    }
  }

  async #pause(ms, signal) {
    const nudged = new Promise((resolve) => (this.#wake = resolve));
    await Promise.race([sleep(ms, signal), nudged]);
    this.#wake = null;
  }

  async #connect(signal) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: this.#iceServers });
    this.pc = pc;
    this.prepare(pc);
    await pc.setLocalDescription(await pc.createOffer());
    // The server is ICE-lite with every candidate in its answer: there is nothing to gather first or trickle after.
    const answer = await this.#post(pc.localDescription.sdp, signal);
    if (signal.aborted) throw signal.reason;
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
    const learned = this.#iceServers.length > 0 && pc.getConfiguration().iceServers.length === 0;
    await reached(pc, "connected", learned ? DIRECT_TIMEOUT_MS : CONNECT_TIMEOUT_MS, signal);
  }

  async #post(offer, signal) {
    let response;
    try {
      response = await fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.token()}` },
        body: offer,
        signal: AbortSignal.any([signal, AbortSignal.timeout(POST_TIMEOUT_MS)]),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw new Refusal(OFFLINE, String(error?.message), { temporary: true });
    }
    if (!response.ok) {
      const problem = await response.json().catch(() => null);
      throw refusalFromProblem(response.status, problem, response.headers.get("Retry-After"));
    }
    const location = response.headers.get("Location");
    this.#location = location ? new URL(location, response.url).href : null;
    this.#iceServers = iceServersIn(response.headers.get("Link"));
    return response.text();
  }

  /** Resolves when the connection is no longer worth keeping. */
  async #stay(signal) {
    const { pc } = this;
    let lostAt = null;
    let [heard, silent] = [-1, 0];
    this.#lost = false;
    pc.addEventListener("connectionstatechange", () => pc.connectionState === "disconnected" && this.doubt());
    for (;;) {
      await this.#pause(STATS_EVERY_MS, signal);
      if (this.#lost || ["failed", "closed"].includes(pc.connectionState)) return;
      if (pc.connectionState !== "disconnected") lostAt = null;
      else lostAt ??= performance.now();
      if (lostAt !== null && performance.now() - lostAt > DISCONNECT_GRACE_MS) return;
      const report = await pc.getStats();
      const bytes = bytesReceived(report);
      silent = bytes === heard ? silent + 1 : 0;
      heard = bytes;
      if (silent === SILENT_LOOKS && this.expectMedia !== false) this.doubt();
      const summary = this.summarise(report);
      this.dispatchEvent(new CustomEvent("stats", { detail: { ...summary, connection: pc.connectionState } }));
      if (summary.stalled) return;
    }
  }

  #close() {
    this.pc?.close();
    this.pc = null;
    if (!this.#location) return;
    const location = this.#location;
    this.#location = null;
    // keepalive: it must go out although the page may be going away
    const headers = { Authorization: `Bearer ${this.token()}` };
    fetch(location, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }

  #become(state, refusal = null) {
    if (this.state === state && !refusal) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, refusal } }));
  }
}

/** All that came, the server's reports included; the browser's own checks are not in it. */
function bytesReceived(report) {
  let bytes = 0;
  for (const entry of report.values()) if (entry.type === "candidate-pair") bytes += entry.bytesReceived ?? 0;
  return bytes;
}

/** Resolves when the peer connection reaches a state; rejects when it fails or takes too long. */
function reached(pc, wanted, timeoutMs, signal) {
  return new Promise((resolve, reject) => {
    const finish = (settle, value) => {
      clearTimeout(timer);
      pc.removeEventListener("connectionstatechange", look);
      signal.removeEventListener("abort", stop);
      settle(value);
    };
    const lost = () => new Refusal(OFFLINE, "no media connection", { temporary: true });
    const look = () => {
      if (pc.connectionState === wanted) finish(resolve);
      else if (["failed", "closed"].includes(pc.connectionState)) finish(reject, lost());
    };
    const stop = () => finish(reject, signal.reason);
    const timer = setTimeout(() => finish(reject, lost()), timeoutMs);
    pc.addEventListener("connectionstatechange", look);
    signal.addEventListener("abort", stop);
    look();
  });
}

/** The TURN and STUN servers of WHIP/WHEP `Link` headers (RFC 9725 §4.6), for the next connection. */
export function iceServersIn(header) {
  const servers = [];
  for (const [, url, rest] of (header ?? "").matchAll(/<([^>]+)>\s*;([^<]*)/g)) {
    if (!/rel="?ice-server"?/.test(rest)) continue;
    const value = (name) => rest.match(new RegExp(`${name}="([^"]*)"`))?.[1];
    const username = value("username");
    servers.push(username ? { urls: url, username, credential: value("credential") } : { urls: url });
  }
  return servers;
}
