/** Claim tickets of ticketed deals: fetched in the minute before the opening, spread out, kept until they are used. */
import { sleep } from "./backoff.js";

/** The server gives tickets out from so long before the opening. */
const EARLY_MS = 60_000;
/** Not all viewers at once. */
const SPREAD_MS = 20_000;

export class Tickets {
  #held = new Map();
  #asking = new Map();

  /** `clock` is the server's; `random` is for tests. */
  constructor({ api, clock, random = Math.random }) {
    Object.assign(this, { api, clock, random });
  }

  /** See a deal: its ticket is fetched when its time comes. */
  see(deal) {
    if (!deal.ticketed || !deal.opens_at_ms || deal.state !== "scheduled" || this.#asking.has(deal.id)) return;
    const asked = this.#later(deal).catch(() => {});
    this.#asking.set(deal.id, asked);
  }

  async #later(deal) {
    await sleep(Math.max(0, deal.opens_at_ms - EARLY_MS - this.clock.now()) + this.random() * SPREAD_MS);
    await this.of(deal);
  }

  /** The ticket for a claim now: the one that is held, else a fresh one; null for a deal that needs none. */
  async of(deal) {
    if (!deal.ticketed) return null;
    const held = this.#held.get(deal.id);
    if (held && held.expires_ms > this.clock.now()) return held.ticket;
    const path = `/api/v1/streams/${encodeURIComponent(deal.stream_id)}/deals/${encodeURIComponent(deal.id)}/ticket`;
    const given = await this.api.post(path, undefined);
    this.#held.set(deal.id, given);
    return given.ticket;
  }

  /** A ticket the server did not take is not tried again. */
  drop(deal) {
    this.#held.delete(deal.id);
  }
}
