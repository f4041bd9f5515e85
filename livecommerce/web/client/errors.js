/** The typed errors of the client: what was refused, by whom, and whether asking again can help. */

/** The server (or the way to it) said no. `code` is a row of the server's problem table, or one of ours below. */
export class Refusal extends Error {
  constructor(code, message = "", { status = 0, temporary = false, retryAfterMs = null } = {}) {
    super(message || code);
    this.name = "Refusal";
    this.code = code;
    this.status = status;
    this.temporary = temporary;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Codes that only this side can give. */
export const OFFLINE = "offline";
export const OUTCOME_UNKNOWN = "outcome_unknown";

/** From an HTTP `application/problem+json` body. */
export function refusalFromProblem(status, body, retryAfterHeader = null) {
  const known = body && typeof body === "object" ? body : {};
  const seconds = Number.parseFloat(retryAfterHeader ?? "");
  const retryAfterMs = known.retry_after_ms ?? (Number.isFinite(seconds) ? seconds * 1000 : null);
  const code = typeof known.code === "string" ? known.code : status >= 500 ? "unavailable" : "internal";
  const temporary = status === 429 || status === 503 || status === 408;
  return new Refusal(code, known.detail ?? known.title ?? "", { status, temporary, retryAfterMs });
}

/** From a WebSocket `err` reply. */
export function refusalFromReply(err) {
  return new Refusal(err.code ?? "internal", err.message ?? "", {
    temporary: Boolean(err.temporary),
    retryAfterMs: err.retry_after_ms ?? null,
  });
}

/** Any thrown thing as a Refusal: programming errors become `internal`, so that a page always has words for it. */
export function asRefusal(error) {
  return error instanceof Refusal ? error : new Refusal("internal", String(error?.message ?? error));
}
