"""What a stream is, and the only steps its life may take. Pure: no clock, no I/O.

    created ──start──► live ⇄ interrupted        start      media of its publisher arrives
       │                 │         │             interrupt  the publisher fell silent, left, or its worker died
       └───────end───────┴────end──┴──► ended    end        the host is done; nothing leaves this state

The scripts in ``lua/`` repeat this table (a script cannot call Python); a test walks every cell of both.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum

import msgspec

from streams.errors import StreamEnded, StreamRefused

#: bounds in characters, after cleaning
MAX_TITLE = 120


class Move(StrEnum):
    """What may happen to a stream."""

    START = "start"
    INTERRUPT = "interrupt"
    END = "end"


class StreamState(StrEnum):
    """Where a stream is in its life."""

    CREATED = "created"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    ENDED = "ended"

    def step(self, move: Move) -> StreamState:
        """The state after ``move``; the same state where the move changes nothing.

        Raises :class:`StreamEnded` for media that arrives after the end.
        """
        if self is StreamState.ENDED and move is Move.START:
            raise StreamEnded("The stream has ended; create a new one to go live again.")
        return _STEPS.get((self, move), self)


_STEPS: dict[tuple[StreamState, Move], StreamState] = {
    (StreamState.CREATED, Move.START): StreamState.LIVE,
    (StreamState.INTERRUPTED, Move.START): StreamState.LIVE,
    (StreamState.LIVE, Move.INTERRUPT): StreamState.INTERRUPTED,
    (StreamState.CREATED, Move.END): StreamState.ENDED,
    (StreamState.LIVE, Move.END): StreamState.ENDED,
    (StreamState.INTERRUPTED, Move.END): StreamState.ENDED,
}


class Host(msgspec.Struct, frozen=True):
    """Who runs a stream: the ``sub`` of their token and their public name."""

    id: str
    name: str


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as the catalogue knows it; the edge adds viewers, the pinned product and addresses."""

    id: str
    title: str
    state: StreamState
    host: Host
    created_ms: int
    #: ``None`` until the end
    ended_ms: int | None = None


class Origin(msgspec.Struct, frozen=True):
    """Who publishes a live stream's media: the worker and its media session."""

    worker_id: str
    session_id: str


def clean_title(title: str) -> str:
    """The title as it is shown: NFC, no control characters, single spaces.

    Raises :class:`StreamRefused` when nothing, or more than :data:`MAX_TITLE` characters, are left.
    """
    # Bidirectional overrides (Cf) could make a title display as another; joiners stay, emoji and scripts need them.
    shown = "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c
        for c in unicodedata.normalize("NFC", title)
        if unicodedata.category(c) != "Cf" or c in "\u200c\u200d"
    )
    shown = " ".join(shown.split())
    if not shown.strip("\u200c\u200d"):
        raise StreamRefused("A stream needs a title.")
    if len(shown) > MAX_TITLE:
        raise StreamRefused(f"A stream's title has at most {MAX_TITLE} characters.")
    return shown
