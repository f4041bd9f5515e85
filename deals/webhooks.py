"""Webhooks of payment providers: how they are signed, and what counts as one. Pure: no I/O, no clock.

``t=<seconds>,v1=<hex>``, the latter being HMAC-SHA256 of ``<seconds>.<body>``: the scheme of several real providers,
so that an adapter may use :func:`verify` for theirs. The time is signed with the body and has to be near ours, so that
an old webhook that somebody recorded is worth nothing.
"""

from __future__ import annotations

import hmac
import re

from msgspec import Struct

from deals.errors import WebhookRefused

#: how far a webhook's time may be from ours, either way
TOLERANCE_MS = 300_000
#: a signature header longer than this is none; while secrets change it may hold several signatures
_MOST_CHARACTERS = 1024
_TIME = re.compile(r"[0-9]{1,12}\Z")


class Webhook(Struct, frozen=True):
    """Something happened at the provider: the event's id (the same when it is sent again) and the order's.

    ``order_id`` is None for what is no order of ours; ``what`` is only for logs.
    """

    id: str
    order_id: str | None
    what: str = ""


def sign(secret: bytes, body: bytes, now_ms: int) -> str:
    """The signature header of a body sent at that moment."""
    seconds = now_ms // 1000
    return f"t={seconds},v1={_digest(secret, str(seconds), body)}"


def verify(secret: bytes, header: str, body: bytes, now_ms: int) -> None:
    """Raise :class:`WebhookRefused` unless the header signs this body with this secret, and did so just now."""
    refused = WebhookRefused("The webhook's signature is not valid.")
    if not secret or len(header) > _MOST_CHARACTERS or not header.isascii():
        raise refused
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not _TIME.match(times[0]):
        raise refused
    good = _digest(secret, times[0], body)
    # No early end, and in constant time: how much of a guess was right must not show.
    matches = [hmac.compare_digest(good, value) for name, _, value in parts if name == "v1"]
    if not any(matches):
        raise refused
    if abs(now_ms - int(times[0]) * 1000) > TOLERANCE_MS:
        raise WebhookRefused("The webhook is too old, or our clocks differ.")


def _digest(secret: bytes, seconds: str, body: bytes) -> str:
    return hmac.digest(secret, seconds.encode() + b"." + body, "sha256").hex()
