"""One table: every refusal's code, HTTP status, title and whether it is temporary.

Domains raise errors that carry a stable ``code``; this is the only place that knows what a code means on the wire
(HTTP: RFC 9457 ``application/problem+json``; WebSocket: ``{"re":n,"err":{…}}``). A test checks that every domain
error's code stands here.
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What a code means: HTTP status, a title for people, and whether asking again later can help."""

    status: int
    title: str
    temporary: bool = False


KINDS: dict[str, Kind] = {
    # who are you, may you
    "token_required": Kind(401, "A token is needed"),
    "token_invalid": Kind(401, "The token is not valid"),
    "token_expired": Kind(401, "The token has expired"),
    "forbidden": Kind(403, "Not allowed"),
    "banned": Kind(403, "Banned from this stream"),
    "guests_off": Kind(403, "Guests are not welcome here"),
    "frozen": Kind(403, "Only the host may talk at the moment", True),
    "ticket_required": Kind(403, "A claim ticket is needed"),
    "ticket_invalid": Kind(403, "The claim ticket is not valid"),
    "limit_reached": Kind(403, "The limit for each buyer is reached"),
    # what do you mean
    "stream_not_found": Kind(404, "No such stream"),
    "deal_not_found": Kind(404, "No such deal"),
    "order_not_found": Kind(404, "No such order"),
    "product_not_found": Kind(404, "No such product"),
    "item_not_found": Kind(404, "No such stock item"),
    "code_not_found": Kind(404, "No such discount code"),
    "message_not_found": Kind(404, "No such message"),
    "poll_not_found": Kind(404, "No such poll"),
    "session_not_found": Kind(404, "No such media session"),
    "not_found": Kind(404, "Not found"),
    "method_not_allowed": Kind(405, "Method not allowed"),
    "invalid": Kind(422, "The request does not fit its schema"),
    "malformed": Kind(400, "The request could not be read"),
    "key_required": Kind(400, "An Idempotency-Key is needed"),
    "key_reused": Kind(422, "The Idempotency-Key was used for something else"),
    "webhook_refused": Kind(400, "The webhook is not the payment provider's"),
    "timeout": Kind(408, "The request took too long to arrive", True),
    "too_large": Kind(413, "The request is too large"),
    "unsupported_media_type": Kind(415, "Unsupported media type"),
    "unknown_command": Kind(400, "Unknown command"),
    "bad_sdp": Kind(400, "The session description could not be used"),
    "precondition_required": Kind(428, "An If-Match is needed"),
    "precondition_failed": Kind(412, "The session has changed since"),
    "code_unknown": Kind(422, "The discount code is not valid"),
    "code_not_applicable": Kind(422, "The discount code is for something else"),
    # not now
    "code_used_up": Kind(409, "The discount code is used up"),
    "code_limit_reached": Kind(403, "The limit of the discount code for each buyer is reached"),
    "sold_out": Kind(409, "Sold out"),
    "not_open": Kind(409, "Not open yet"),
    "closed": Kind(409, "Closed"),
    "illegal_state": Kind(409, "Not possible in this state"),
    "stream_ended": Kind(409, "The stream has ended"),
    "not_live": Kind(409, "The stream is not live", True),
    "payment_declined": Kind(402, "The payment was declined"),
    "rate_limited": Kind(429, "Too many requests", True),
    "duplicate": Kind(409, "Said already", True),
    # our side
    "outcome_unknown": Kind(503, "The outcome is not known yet", True),
    "unavailable": Kind(503, "Unavailable for the moment", True),
    "full": Kind(503, "Full for the moment", True),
    "internal": Kind(500, "Something went wrong on our side", True),
}


class Problem(Exception):
    """A refusal raised by the application itself; same shape as the domains' errors."""

    def __init__(self, code: str, detail: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_ms = retry_after_ms


def kind_of(code: str) -> Kind:
    """The kind for a code; an unknown one is our own fault, hence ``internal``."""
    return KINDS.get(code, KINDS["internal"])
