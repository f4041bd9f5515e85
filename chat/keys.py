"""The key schema of chat, as prose. Every key carries the stream's hash tag, so that a script touches one slot.

``lc:{s}:room``, ``lc:{s}:log``
    The room's position and log: they belong to the application (``livecommerce/keys.py``); chat's scripts only hand
    them to ``emit``.
``lc:{s}:chat:messages``
    Sorted set. Member: id of a message that may be deleted or replied to; score: its offset. The newest
    :data:`MESSAGES_CAP` only, as many as the log holds.
``lc:{s}:chat:bans``
    Hash. Field: user id; value: until when (ms since the epoch; :data:`FOREVER_MS` for good). An entry in the past
    is no ban; the next message of that user removes it.
``lc:{s}:chat:rate:<user>``
    String with a TTL: the "theoretical arrival time" (ms) of GCRA, the rate limiter.
``lc:{s}:chat:key:<user>:<key>``
    String with a TTL of :data:`KEY_TTL_MS`: ``<id> <offset>`` of the message that was sent with this key.
"""

from __future__ import annotations

#: how many messages can be deleted or replied to
MESSAGES_CAP = 2000
#: how long a key finds its message: longer than any client keeps retrying
KEY_TTL_MS = 10 * 60 * 1000
#: the end of a ban without end (the year 9999)
FOREVER_MS = 253_402_300_799_000


def room(stream_id: str) -> str:
    """Hash of the room's epoch and newest offset."""
    return f"lc:{{{stream_id}}}:room"


def log(stream_id: str) -> str:
    """Stream of the room's events; also its sharded pub/sub channel."""
    return f"lc:{{{stream_id}}}:log"


def messages(stream_id: str) -> str:
    """Sorted set of known message ids by offset."""
    return f"lc:{{{stream_id}}}:chat:messages"


def bans(stream_id: str) -> str:
    """Hash of bans by user."""
    return f"lc:{{{stream_id}}}:chat:bans"


def rate(stream_id: str, user_id: str) -> str:
    """The rate limiter of one user."""
    return f"lc:{{{stream_id}}}:chat:rate:{user_id}"


def sent(stream_id: str, user_id: str, key: str) -> str:
    """The message a user sent with a key."""
    return f"lc:{{{stream_id}}}:chat:key:{user_id}:{key}"
