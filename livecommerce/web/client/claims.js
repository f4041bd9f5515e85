/** Buying: a claim whose outcome is unknown is asked again under the same key, so a tap buys once or not at all. */
import { delayMs, sleep } from "./backoff.js";
import { OFFLINE, OUTCOME_UNKNOWN, Refusal, asRefusal } from "./errors.js";

/** How long a buyer is kept waiting for the truth before being told that it is unknown. */
const PATIENCE_MS = 30_000;
const AGAIN = new Set([OFFLINE, OUTCOME_UNKNOWN, "unavailable", "timeout", "processing"]);

/** A fresh idempotency key: 128 random bits in printable ASCII. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether asking again under the same key is right after this refusal. */
export function shouldAskAgain(refusal) {
  return AGAIN.has(refusal.code);
}

/**
 * Claim units of a deal: by the room when joined, else by HTTP. Resolves with the order or throws a Refusal.
 * `code` is a discount code and `ticket` a ticketed deal's; either may be null.
 */
export async function claimUnits({ room, api, streamId, dealId, units = 1, code = null, ticket = null, key = newKey(), patienceMs = PATIENCE_MS }) {
  const wanted = { units, ...(code && { code }), ...(ticket && { ticket }) };
  return insist(patienceMs, () =>
    room?.joined
      ? room.call("deal.claim", { deal_id: dealId, ...wanted, key }).then((ok) => ok.order ?? processing())
      : claimByHttp(api, streamId, dealId, wanted, key),
  );
}

/** Pay for a held order. Paying twice is harmless: the server answers with the order as it is. */
export async function payOrder({ room, api, orderId, paymentToken, patienceMs = PATIENCE_MS }) {
  const path = `/api/v1/orders/${encodeURIComponent(orderId)}`;
  let asked = false;
  return insist(patienceMs, async () => {
    if (asked) {
      const order = await api.get(path);
      if (order.state !== "held") return order;
    }
    asked = true;
    if (room?.joined) {
      const ok = await room.call("order.pay", { order_id: orderId, payment_token: paymentToken }, { timeoutMs: 15_000 });
      return ok.order;
    }
    return api.post(`${path}/pay`, { payment_token: paymentToken });
  });
}

async function claimByHttp(api, streamId, dealId, wanted, key) {
  const path = `/api/v1/streams/${streamId}/deals/${dealId}/claims`;
  const answer = await api.request("POST", path, { json: wanted, headers: { "Idempotency-Key": key } });
  return answer.status === 202 ? processing(answer.body?.retry_after_ms) : answer.body;
}

function processing(retryAfterMs = null) {
  throw new Refusal("processing", "", { temporary: true, retryAfterMs });
}

async function insist(patienceMs, ask) {
  const deadline = performance.now() + patienceMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      const refusal = asRefusal(error);
      const wait = refusal.retryAfterMs ?? delayMs(attempt);
      if (!shouldAskAgain(refusal)) throw refusal;
      if (performance.now() + wait > deadline) throw new Refusal(OUTCOME_UNKNOWN, "", { temporary: true });
      await sleep(wait);
    }
  }
}
