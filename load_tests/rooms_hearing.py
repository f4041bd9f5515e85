"""What the viewers of a crowd hear: counted, timed from when it was due, and decoded once for all of them."""

from __future__ import annotations

import time

from load_tests.meter import Meter
from load_tests.room_history import Book, Parsed
from load_tests.rooms_tally import Tally
from load_tests.rooms_viewer import Viewer

#: whole frames as they came that are kept with what they say
_PIECES = 64


def spoken(delivery: str) -> str:
    """What the report calls the part of a delivery's time that ends when the generator sends the message."""
    return f"{delivery}, sent by the generator"


def arrival(delivery: str) -> str:
    """What the report calls the part of it that ends when the bytes are on the viewer's machine, read or not."""
    return f"{delivery}, on its machine"


class Hearing:
    """What a crowd has heard."""

    def __init__(self, tally: Tally, meter: Meter) -> None:
        self.book = Book()
        #: how the report calls the time from when a message was due to each viewer's reading it
        self.delivery = "delivery"
        self._tally, self._meter = tally, meter
        self._pieces: dict[bytes, Parsed] = {}

    def known(self, piece: bytes) -> Parsed | None:
        """Hot path. What a room says reaches most viewers as the same bytes, in one piece: what they say."""
        return self._pieces.get(piece)

    def keep(self, piece: bytes, parsed: Parsed) -> None:
        """The same bytes will come for others."""
        if len(self._pieces) >= _PIECES:
            self._pieces.clear()
        self._pieces[piece] = parsed

    def take(self, viewer: Viewer, parsed: Parsed, arrived_ns: int, *, timed: bool = True) -> None:
        """A viewer read a frame, whose bytes came to this machine at ``arrived_ns`` (0: not known)."""
        self._tally.frames += 1
        self._tally.deliveries += len(parsed.events)
        if parsed.viewers is not None:
            self._tally.viewers_shown = parsed.viewers
        viewer.history.take(parsed)
        if timed and parsed.stamps_ns:
            now_ns, record = time.monotonic_ns(), self._meter.record
            for stamp_ns in parsed.stamps_ns:
                record(self.delivery, (now_ns - stamp_ns) // 1000)
                if arrived_ns:
                    record(arrival(self.delivery), (arrived_ns - stamp_ns) // 1000)
