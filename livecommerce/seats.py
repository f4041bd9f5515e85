"""Who in a room is written to without being looked at: rows of viewers who have one codec, and nothing waiting.

Most of what a tick took beside the kernel was looking at each viewer: 0.9 µs, nearly all of it waiting for memory that
the sends before had pushed out of the caches. A row has what is needed side by side: the sockets, and how to ask each
transport whether it is closing. Whatever begins to wait for a viewer takes it out of its row (:meth:`Outbox.stand`).
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from operator import call
from typing import TYPE_CHECKING

from livecommerce.frames import Batch, Codec
from livecommerce.uring import Sender

if TYPE_CHECKING:
    from livecommerce.member import Member
    from livecommerce.outbox import Outbox

log = logging.getLogger(__name__)

#: viewers of a row, and of one slice of the loop's time: about 2 ms
WIDTH = 500


class Row:
    """Viewers who are sent a tick's frame together.

    ``loose`` is where the others of the room are, with the number of the last tick that each was sent: who leaves a row
    goes there, and is neither sent the same tick again nor left out of it.
    """

    __slots__ = ("_closing", "_loose", "_members", "_sockets", "codec", "posted", "tick")

    def __init__(self, codec: Codec, tick: int, loose: dict[Member, int]) -> None:
        self.codec = codec
        #: the last tick that was sent to all who are here
        self.tick = tick
        #: whose replies wait for the loop to have done what is due
        self.posted: dict[Outbox, None] = {}
        self._loose = loose
        self._members: list[Member] = []
        self._sockets = array("i")
        #: In the loop's turn in which a transport says that it closes, its socket is still its own; after that the
        #: number may be another connection's.
        self._closing: list[Callable[[], bool]] = []

    def __len__(self) -> int:
        return len(self._members)

    def seat(self, member: Member) -> None:
        """Take in a viewer who has been sent this row's last tick, and for whom nothing waits."""
        outbox = member.outbox
        outbox.row, outbox.place = self, len(self._members)
        self._members.append(member)
        self._sockets.append(outbox.fd)
        self._closing.append(outbox.transport.is_closing)
        self._loose.pop(member, None)

    def leave(self, place: int) -> None:
        """Let the viewer at this place go; the last one takes it."""
        self._loose[self._members[place]] = self.tick
        members, sockets, closing = self._members, self._sockets, self._closing
        members[place], sockets[place], closing[place] = members[-1], sockets[-1], closing[-1]
        members.pop()
        sockets.pop()
        closing.pop()
        if place < len(self._members):
            self._members[place].outbox.place = place

    def write(self, batch: Batch, tick: int, sender: Sender) -> int:
        """Send a tick to all who are here; the number of events sent. Hot path (load_tests chat-storm)."""
        # Before this tick counts as sent: whom the kernel takes no reply from is given it with the others, later.
        for outbox in [*self.posted]:
            _flush(outbox)
        self.tick = tick
        if any(map(call, self._closing)):
            for member in [*self._members]:
                if member.outbox.transport.is_closing():
                    member.outbox.stand()
        if not self._members:
            return 0
        members = [*self._members]
        try:
            frame = batch.frame(self.codec)
            taken, size = sender.send(self._sockets, frame), len(frame)
        except Exception:
            # Nobody knows what these have: they come back, and miss nothing.
            log.exception("a row of viewers could not be written to")
            for member in members:
                member.outbox.transport.abort()
            return 0
        if taken.count(size) != len(taken):
            for member, sent in zip(members, taken, strict=True):
                if sent != size:
                    _wait(member, frame[max(0, sent) :])
        return batch.count * len(members)


def _flush(outbox: Outbox) -> None:
    try:
        outbox.flush()
    except Exception:
        # Else nobody in the room would hear anything any more: the tick's task would be over.
        log.exception("a viewer could not be written to")
        outbox.transport.abort()


def _wait(member: Member, rest: bytes) -> None:
    try:
        member.outbox.wait(rest)
    except Exception:
        # One broken connection must not stop the others' events.
        log.exception("a viewer could not be written to")
        member.outbox.transport.abort()
