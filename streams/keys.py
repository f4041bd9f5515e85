"""The key schema of the streams domain, as prose.

``lc:{s}:stream``
    Hash, one a stream, the truth about it. ``id``, ``title``, ``state`` (created, live, interrupted, ended),
    ``host_id``, ``host_name``, ``created_ms``; ``ended_ms`` after the end; ``origin_worker`` and ``origin_session``
    while live. Written only by the scripts in ``lua/``.
``lc:streams``
    Sorted set of stream ids for listing, in another slot and therefore written outside the scripts: **a hint**. Its
    score is ``rank × 10^14 + created_ms``, rank 3 live, 2 interrupted, 1 created, 0 ended. Readers compare with the
    hash and repair what a crash left behind; a hint without a stream is removed once it is a minute old.
``lc:{s}:room``, ``lc:{s}:log``
    The room's epoch and log, owned by the application's emit prelude; here they are only handed to scripts.
"""

#: sorted set of stream ids, newest live ones at the top
INDEX = "lc:streams"


def stream(stream_id: str) -> str:
    """Hash of the stream."""
    return f"lc:{{{stream_id}}}:stream"


def room(stream_id: str) -> str:
    """Hash of the room's epoch and newest offset."""
    return f"lc:{{{stream_id}}}:room"


def log(stream_id: str) -> str:
    """Stream of the room's events; also its channel."""
    return f"lc:{{{stream_id}}}:log"
