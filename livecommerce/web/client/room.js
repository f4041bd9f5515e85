/**
 * A room by WebSocket: join, resume by epoch and offset, commands as promises, events by EventTarget.
 *
 * Events: `state` {state, code}, `joined` (the join's answer), `event` {type, data, offset?, as_of?, at_ms?, replayed},
 * `closed` {code} when there is no coming back. States: idle, connecting, joined, waiting, closed.
 */
import { delayMs } from "./backoff.js";
import { OFFLINE, OUTCOME_UNKNOWN, Refusal, refusalFromReply } from "./errors.js";

export const PROTOCOL = "livecommerce.v1.json";
const JOIN_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 8_000;
const PING_EVERY_MS = 20_000;
/** A burst of commands while the way is slow is bounded; more is a programming error or a stuck tab. */
const MAX_PENDING = 64;

/** Whether a close code means "come back" (3500 and above mean "do not"). */
export function mayReturn(code) {
  return code < 3500 || code > 3999;
}

export class Room extends EventTarget {
  #socket = null;
  #pending = new Map();
  #nextId = 1;
  #attempt = 0;
  #timer = null;
  #pings = null;
  #joinedTo = -1;
  #joinTimer = null;

  /** `token` is a function (it may be renewed between attempts); `clock` a ServerClock. */
  constructor({ url, token, clock, random = Math.random }) {
    super();
    Object.assign(this, { url, token, clock, random });
    this.state = "idle";
    this.epoch = null;
    this.offset = null;
  }

  get joined() {
    return this.state === "joined";
  }

  /** Connect and stay connected until `leave` or a close code that forbids it. */
  enter() {
    if (this.state === "connecting" || this.joined) return;
    this.#connect();
  }

  /** Leave for good. */
  leave() {
    this.#drop(1000);
    this.#become("closed", 1000);
  }

  /** Drop what there is and join anew (the token has changed). */
  restart() {
    this.#drop(1000);
    this.#connect();
  }

  /** Come back now rather than after the backoff (the network returned, the tab is visible again). */
  nudge() {
    if (this.state === "waiting") this.#connect();
  }

  /** Send a command; resolves with its `ok`, rejects with a Refusal (`outcome_unknown` when no answer came). */
  call(command, fields = {}, { timeoutMs = CALL_TIMEOUT_MS } = {}) {
    if (!this.joined || this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new Refusal(OFFLINE, "not connected", { temporary: true }));
    }
    return this.#send(command, fields, timeoutMs);
  }

  /** Resolves when joined; rejects with `offline` after `timeoutMs`, or at once when there is no coming back. */
  ready(timeoutMs = CALL_TIMEOUT_MS) {
    if (this.joined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.joined) finish(resolve);
        else if (this.state === "closed") lost();
      };
      const lost = () => finish(reject, new Refusal(OFFLINE, "not connected", { temporary: true }));
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.removeEventListener("state", look);
        settle(value);
      };
      const timer = setTimeout(lost, timeoutMs);
      this.addEventListener("state", look);
      look();
    });
  }

  #send(command, fields, timeoutMs) {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, null, unknown("no answer in time")), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, do: command, ...fields }));
    });
  }

  #settle(id, ok, refusal) {
    const waiting = this.#pending.get(id);
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    if (refusal) waiting.reject(refusal);
    else waiting.resolve(ok);
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#become("connecting");
    let socket;
    try {
      socket = new WebSocket(this.url, PROTOCOL);
    } catch {
      return this.#later(0);
    }
    this.#socket = socket;
    socket.onopen = () => this.#join(socket);
    socket.onmessage = (message) => this.#socket === socket && this.#read(message.data);
    socket.onclose = (event) => this.#socket === socket && this.#closed(event.code);
    this.#joinTimer = setTimeout(() => this.#socket === socket && !this.joined && this.#closed(0), JOIN_TIMEOUT_MS);
  }

  #join(socket) {
    const resume = this.offset === null ? {} : { epoch: this.epoch, offset: this.offset };
    const sentAt = this.clock.local();
    const id = this.#nextId;
    this.#send("join", { token: this.token(), ...resume }, JOIN_TIMEOUT_MS).catch((refusal) => {
      // a close code usually follows and decides; if none does, the refusal does
      if (this.#socket === socket && refusal.code !== OUTCOME_UNKNOWN) this.#refused(refusal);
    });
    this.#pending.get(id).join = sentAt;
  }

  #refused(refusal) {
    this.refusal = refusal;
    this.#closed(refusal.temporary ? 3000 : refusal.code.startsWith("token_") ? 3500 : 3503);
  }

  #read(text) {
    let messages;
    try {
      messages = JSON.parse(text);
    } catch {
      return;
    }
    for (const message of Array.isArray(messages) ? messages : [messages]) {
      if (message.re !== undefined) this.#reply(message);
      else if (message.type) this.#event(message);
    }
  }

  #reply(message) {
    const waiting = this.#pending.get(message.re);
    if (!waiting) return;
    if (waiting.join !== undefined && message.ok) this.#welcome(message.ok, waiting.join);
    if (message.ok !== undefined) this.#settle(message.re, message.ok, null);
    else this.#settle(message.re, null, refusalFromReply(message.err ?? {}));
  }

  #welcome(ok, sentAt) {
    clearTimeout(this.#joinTimer);
    this.clock.roundTrip(ok.server_ms, sentAt);
    this.#attempt = 0;
    this.epoch = ok.epoch;
    // not the top: the missed events follow as ordinary ones, and each moves the position itself
    if (!ok.recovered) this.offset = ok.offset === 0 ? 0 : null;
    this.#joinedTo = ok.offset;
    this.#become("joined");
    clearInterval(this.#pings);
    this.#pings = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.dispatchEvent(new CustomEvent("joined", { detail: ok }));
  }

  #event(message) {
    let replayed = false;
    if (message.offset !== undefined) {
      if (this.offset !== null && message.offset <= this.offset) return;
      this.offset = message.offset;
      replayed = message.offset <= this.#joinedTo;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: { ...message, data: message.data ?? {}, replayed } }));
  }

  #ping() {
    const socket = this.#socket;
    this.call("ping").catch((refusal) => {
      if (this.#socket === socket && refusal.code === OUTCOME_UNKNOWN) this.#closed(0);
    });
  }

  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#joinTimer);
    clearInterval(this.#pings);
    for (const id of [...this.#pending.keys()]) this.#settle(id, null, unknown("the connection closed"));
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(code === 0 ? undefined : 1000);
  }

  #closed(code) {
    this.#drop(code);
    if (mayReturn(code)) this.#later(code);
    else {
      this.#become("closed", code);
      this.dispatchEvent(new CustomEvent("closed", { detail: { code, refusal: this.refusal ?? null } }));
    }
  }

  #later(code) {
    this.#become("waiting", code);
    this.#timer = setTimeout(() => this.#connect(), delayMs(this.#attempt, this.random));
    this.#attempt += 1;
  }

  #become(state, code = null) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, code } }));
  }
}

function unknown(why) {
  return new Refusal(OUTCOME_UNKNOWN, why, { temporary: true });
}
