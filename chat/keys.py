"""The key schema of chat, as prose. Every key carries the stream's hash tag, so that a script touches one slot.

``lc:{s}:room``, ``lc:{s}:log``
    The room's position and log: they belong to the application (``livecommerce/keys.py``); chat's scripts only hand
    them to ``emit``.
``lc:{s}:chat:messages``
    Sorted set. Member: id of a message that may be deleted or replied to; score: its offset. The newest
    :data:`MESSAGES_CAP` only, as many as the log holds.
``lc:{s}:chat:authors``
    Hash. Field: message id of the set above; value: its author's user id.
``lc:{s}:chat:bans``
    Hash. Field: user id; value: until when (ms since the epoch; :data:`FOREVER_MS` for good). An entry in the past
    is no ban; the next message of that user removes it.
``lc:{s}:chat:rate:<user>``
    String with a TTL: the "theoretical arrival time" (ms) of GCRA, the rate limiter. ``lc:{s}:chat:pace`` is the same
    for the whole room, ``lc:{s}:chat:address:<address>`` for all users of one address.
``lc:{s}:chat:last:<user>``
    String with a TTL of 30 s: the user's last text, which is not said twice.
``lc:{s}:chat:settings``
    Hash. ``slow_ms`` (between one user's messages), ``frozen`` (1: only hosts and moderators talk), ``words`` (JSON
    list of blocked words as they were given).
``lc:{s}:chat:words``
    Set of the blocked words, folded; a long one also as ``*<word>``, which is looked for inside other words, too.
``lc:{s}:chat:pinned``
    Hash. ``id`` and ``message`` (JSON, the data of its ``chat.message``) of the pinned message.
``lc:{s}:chat:moderators``
    Set of the ids of users whom the host made moderators.
``lc:{s}:chat:journal``
    Stream. One entry a step of moderation, field ``e``: JSON ``{action, by, …}``; the entry's id is its time. The
    newest :data:`JOURNAL_CAP` or a little more.
``lc:{s}:chat:poll``
    Hash of the newest poll, open or closed: ``id state fixed answers closes_at_ms votes``, ``c0``… the counts,
    ``shown``/``shown_ms`` the votes last shown and when.
``lc:{s}:chat:poll:<id>:votes``
    Hash with a TTL of :data:`VOTES_TTL_MS`. Field: user id; value: the answer's number.
``lc:{s}:chat:questions``, ``lc:{s}:chat:questions:order``
    Hash of open questions by message id (JSON, the message); sorted set of the ids by offset.
``lc:{s}:chat:key:<user>:<key>``
    String with a TTL of :data:`KEY_TTL_MS`: ``<id> <offset>`` of the message that was sent with this key.
``lc:{s}:chat:announced:<user>:<key>``
    The same of an announcement: its offset.
"""

from __future__ import annotations

#: how many messages can be deleted or replied to
MESSAGES_CAP = 2000
#: how long a key finds its message: longer than any client keeps retrying
KEY_TTL_MS = 10 * 60 * 1000
#: steps of moderation that are kept
JOURNAL_CAP = 10_000
#: how long a user's last text is not said again
LAST_TTL_MS = 30_000
#: how long a poll's votes are kept: longer than a poll
VOTES_TTL_MS = 24 * 3600 * 1000
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


def announced(stream_id: str, user_id: str, key: str) -> str:
    """The announcement a user made with a key."""
    return f"lc:{{{stream_id}}}:chat:announced:{user_id}:{key}"


def authors(stream_id: str) -> str:
    """Hash of authors by message id."""
    return f"lc:{{{stream_id}}}:chat:authors"


def pace(stream_id: str) -> str:
    """The rate limiter of the room."""
    return f"lc:{{{stream_id}}}:chat:pace"


def address(stream_id: str, address: str) -> str:
    """The rate limiter of one address."""
    return f"lc:{{{stream_id}}}:chat:address:{address}"


def last(stream_id: str, user_id: str) -> str:
    """A user's last text."""
    return f"lc:{{{stream_id}}}:chat:last:{user_id}"


def settings(stream_id: str) -> str:
    """Hash of the room's rules."""
    return f"lc:{{{stream_id}}}:chat:settings"


def words(stream_id: str) -> str:
    """Set of blocked words, folded."""
    return f"lc:{{{stream_id}}}:chat:words"


def pinned(stream_id: str) -> str:
    """Hash of the pinned message."""
    return f"lc:{{{stream_id}}}:chat:pinned"


def moderators(stream_id: str) -> str:
    """Set of appointed moderators."""
    return f"lc:{{{stream_id}}}:chat:moderators"


def journal(stream_id: str) -> str:
    """Stream of the steps of moderation."""
    return f"lc:{{{stream_id}}}:chat:journal"


def poll(stream_id: str) -> str:
    """Hash of the newest poll."""
    return f"lc:{{{stream_id}}}:chat:poll"


def votes(stream_id: str, poll_id: str) -> str:
    """Hash of a poll's votes by user."""
    return f"lc:{{{stream_id}}}:chat:poll:{poll_id}:votes"


def questions(stream_id: str) -> tuple[str, str]:
    """Hash of open questions, and the sorted set of their order."""
    return f"lc:{{{stream_id}}}:chat:questions", f"lc:{{{stream_id}}}:chat:questions:order"
