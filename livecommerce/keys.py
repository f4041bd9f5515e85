"""The key schema of rooms and of the worker group, as prose.

Every key of a stream carries one hash tag, ``lc:{<stream_id>}:…``, so that a script touches one cluster slot.

``lc:{s}:room``
    Hash. ``epoch`` (decimal text, made when the room first speaks; another epoch means another log) and ``offset``
    (the number of the newest event).
``lc:{s}:log``
    Stream. Entry id ``<offset>-0``, field ``e``: the event as JSON, exactly as viewers receive it. Capped by
    ``lua/emit.lua``. **Also the name of the room's sharded pub/sub channel.**
``lc:{s}:presence``
    Hash. Field: worker id; value ``<count>:<reported_ms>``. A report older than 3 s does not count.
``lc:{s}:home``
    String: the id of the worker whose relay carries the stream's media. Written by the first WHIP or WHEP request,
    kept while that worker lives (viewers stay attached to it when the host reconnects), removed at the stream's end.
``lc:{s}:pipe:<number>``
    String with a TTL of 10 s, read once: the ticket (msgpack, with the keys) by which one worker pulls the stream's
    media from its home.
``lc:{s}:analytics``, ``lc:{s}:analytics:visitors``, ``lc:{s}:analytics:views:<product>``
    Hash with a TTL of 30 days: ``width`` ms of a bucket and the number of the ``first``; ``v:<n>`` the most viewers and
    ``m:<n>`` the messages of bucket *n* (time divided by the width), at most 360 of them. HyperLogLogs of the users who
    joined, and of those who looked at a product.
``lc:{s}:poster``
    String with a TTL of an hour: 16 characters that name the picture's bytes, then the bytes (JPEG, at most 64 KiB).
``lc:worker:<id>``
    String with a TTL of 5 s, refreshed every second: the worker's private HTTP address (``http://host:port``).
``lc:workers``
    Set of worker ids to look for; one whose ``lc:worker:<id>`` has expired is gone, whatever the set says.
``lc:ending``
    Sorted set. Member: id of a stream whose end was asked for; score: when, ms. Written before the stream ends,
    removed when its deals are closed and its media is gone: what a dead worker left is found here.

The other keys of a stream belong to the domains: see ``streams/keys.py``, ``deals/keys.py``, ``chat/keys.py``.
"""

#: set of worker ids that may be alive
WORKERS = "lc:workers"
#: sorted set of streams whose end is under way
ENDING = "lc:ending"


def room(stream_id: str) -> str:
    """Hash of the room's epoch and newest offset."""
    return f"lc:{{{stream_id}}}:room"


def log(stream_id: str) -> str:
    """Stream of the room's events; also its sharded pub/sub channel."""
    return f"lc:{{{stream_id}}}:log"


def presence(stream_id: str) -> str:
    """Hash of viewer counts by worker."""
    return f"lc:{{{stream_id}}}:presence"


def analytics(stream_id: str) -> str:
    """Hash of a show's counts over time."""
    return f"lc:{{{stream_id}}}:analytics"


def visitors(stream_id: str) -> str:
    """HyperLogLog of who joined."""
    return f"lc:{{{stream_id}}}:analytics:visitors"


def product_views(stream_id: str, product_id: str) -> str:
    """HyperLogLog of who looked at a product."""
    return f"lc:{{{stream_id}}}:analytics:views:{product_id}"


def poster(stream_id: str) -> str:
    """The picture that stands for a stream, behind its tag."""
    return f"lc:{{{stream_id}}}:poster"


def worker(worker_id: str) -> str:
    """Private address of a live worker."""
    return f"lc:worker:{worker_id}"


def pipe(stream_id: str, number: str) -> str:
    """A ticket on its way from the stream's home to another worker."""
    return f"lc:{{{stream_id}}}:pipe:{number}"


def home(stream_id: str) -> str:
    """Id of the worker that carries the stream's media."""
    return f"lc:{{{stream_id}}}:home"
