"""Claim tickets: what a buyer fetches during the countdown and shows with the claim. Pure: no I/O, no clock.

``<opens_ms>.<expires_ms>.<HMAC-SHA256, base64url>``; user, stream and deal are signed but not written in it, so that a
ticket is worth nothing in other hands or for another deal. A worker checks one without asking anybody (10 µs at most),
before the claim takes a place in the lane. Before the opening it is of no use: every claim is refused then, by the
script. A deal opens once, so a deal's ticket is one of that opening.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode

from msgspec import Struct

#: tickets are given out from so long before the opening
EARLY_MS = 60_000
#: how long one is good, from the opening or (later) from when it was given out
GOOD_MS = 120_000
_FORM = re.compile(r"([0-9]{1,14})\.([0-9]{1,14})\.([A-Za-z0-9_-]{43})\Z")


class Ticket(Struct, frozen=True):
    """A claim ticket; a new one may be had at any time."""

    ticket: str
    expires_ms: int


def issue(key: bytes, user_id: str, stream_id: str, deal_id: str, *, opens_ms: int, now_ms: int) -> Ticket:
    """A ticket of this user for this deal."""
    expires_ms = max(opens_ms, now_ms) + GOOD_MS
    signature = _sign(key, user_id, stream_id, deal_id, str(opens_ms), str(expires_ms))
    return Ticket(f"{opens_ms}.{expires_ms}.{signature}", expires_ms)


def is_good(key: bytes, ticket: str, user_id: str, stream_id: str, deal_id: str, *, now_ms: int) -> bool:
    """Whether it is this user's ticket for this deal, and has not expired."""
    form = _FORM.match(ticket)
    if form is None:
        return False
    opens, expires, signature = form.groups()
    signed = _sign(key, user_id, stream_id, deal_id, opens, expires)
    return hmac.compare_digest(signed, signature) and now_ms < int(expires)


def _sign(key: bytes, *fields: str) -> str:
    # No field can hold a line break: ids are words, a user's id is printable.
    digest = hmac.digest(key, "\n".join(fields).encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")
