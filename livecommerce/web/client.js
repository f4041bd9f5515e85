/** The client of livecommerce: sign in, ask, join a room, buy. It knows no DOM; see README.md for a tour. */
export { ServerClock, localNow } from "./client/clock.js";
export { OFFLINE, OUTCOME_UNKNOWN, Refusal, asRefusal, refusalFromProblem, refusalFromReply } from "./client/errors.js";
export { Api } from "./client/http.js";
export { Session, claimsOf, safeStorage, tokenInFragment } from "./client/session.js";
export { PROTOCOL, Room, mayReturn } from "./client/room.js";
export { claimUnits, newKey, payOrder, shouldAskAgain } from "./client/claims.js";
export { Tickets } from "./client/tickets.js";
export { Show } from "./client/show.js";
export { Speech } from "./client/speech.js";
export { delayMs, sleep } from "./client/backoff.js";

/** The WebSocket address of a stream's room on the server that served this page. */
export function roomUrl(streamId, base = location.href) {
  const url = new URL(`/ws/${encodeURIComponent(streamId)}`, base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
