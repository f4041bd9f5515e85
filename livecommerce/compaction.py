"""When the embedded Valkey writes its append-only file anew: in a calm moment, not in the middle of a sale.

By itself Valkey does so whenever the file has doubled. At 1.5 KB a claim that is after some 40,000 claims, and for four
seconds its copy takes half a core and the disk from the sale that caused it: of 100,000 claims in a row 9,774 and
11,087 a second were accepted without it, 8,723 and 9,708 with it (``flash-sale``, in turns, two cores).
"""

from __future__ import annotations

from typing import NamedTuple

#: a smaller file is not worth the work
MIN_BYTES = 64 << 20
#: how many times what a rewrite left: from here in a calm moment, from there in any, where the file is that large, too
GROWN, OVERGROWN, OVERGROWN_BYTES = 2, 4, 1 << 30
#: a file that grows faster is being sold into; a chat of 200 messages a second stays below
CALM_BYTES_PER_S = 256 << 10


class Size(NamedTuple):
    """The file in bytes, what of it the last rewrite (or the start) left, and when it was looked at, in seconds."""

    bytes: int
    base_bytes: int
    at_s: float


def is_due(before: Size, now: Size) -> bool:
    """Whether to rewrite the file, by two looks at it."""
    if now.bytes >= max(OVERGROWN_BYTES, OVERGROWN * now.base_bytes):
        return True
    grown = now.bytes >= max(MIN_BYTES, GROWN * now.base_bytes)
    return grown and now.bytes - before.bytes <= CALM_BYTES_PER_S * (now.at_s - before.at_s)
