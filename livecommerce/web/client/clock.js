/** The server's clock, as well as it can be known from here. Countdowns use it; only the server decides. */

/** Local milliseconds that do not jump when the machine's clock is set. */
export function localNow() {
  return performance.timeOrigin + performance.now();
}

/** Keeps the offset of the quickest round trip seen lately. */
export class ServerClock {
  #offset = 0;
  #roundTrip = Infinity;
  #sampledAt = 0;

  constructor({ now = localNow } = {}) {
    this.local = now;
  }

  /** Learn from a request sent at `sentAt` whose answer, stamped `serverMs`, is here now. */
  roundTrip(serverMs, sentAt) {
    const received = this.local();
    const took = Math.max(0, received - sentAt);
    // an old sample is worth less: after a minute any new one wins (clocks drift, laptops sleep)
    if (took > this.#roundTrip && received - this.#sampledAt < 60_000) return;
    this.#roundTrip = took;
    this.#sampledAt = received;
    this.#offset = serverMs + took / 2 - received;
  }

  /** Learn from a one-way notice: it is always late, so it can only say "the server is at least this far". */
  notice(serverMs) {
    const least = serverMs - this.local();
    if (least > this.#offset || this.#roundTrip === Infinity) this.#offset = least;
  }

  /** The server's time now, in milliseconds since the epoch. */
  now() {
    return this.local() + this.#offset;
  }
}
