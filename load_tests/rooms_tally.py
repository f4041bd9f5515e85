"""What a crowd's histories amount to; adds up over its processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from load_tests.room_history import StockStep

_SUMS = ("joined", "connected", "recovered", "joins", "dropped", "waiting", "pings")
_SUMS_OF_EVENTS = ("deliveries", "frames", "doubled", "lost", "announced", "forks", "behind")


@dataclass
class Tally:
    """What a crowd has seen so far."""

    #: viewers in the room now; connected at all; told that nothing is missing when they last joined
    joined: int = 0
    connected: int = 0
    recovered: int = 0
    #: joins so far, and connections that the server or the network ended after a join
    joins: int = 0
    dropped: int = 0
    #: commands without an answer
    waiting: int = 0
    #: pings of the server that were answered
    pings: int = 0
    deliveries: int = 0
    frames: int = 0
    #: offsets told twice or out of order, never told, holes that the server announced, offsets told in two ways
    doubled: int = 0
    lost: int = 0
    announced: int = 0
    forks: int = 0
    #: viewers whose newest offset is below what was asked about
    behind: int = 0
    #: the newest offset that anybody saw
    top: int = 0
    #: the newest count of viewers that was shown; the lowest that any process saw
    viewers_shown: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    ids: dict[int, str] = field(default_factory=dict)
    stock: dict[int, StockStep] = field(default_factory=dict)
    #: from the order to join until the last one had joined
    join_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Add another process's."""
        for name in (*_SUMS, *_SUMS_OF_EVENTS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.closes.update(other.closes)
        for offset, name in other.ids.items():
            self.forks += self.ids.setdefault(offset, name) != name
        self.stock |= other.stock
        self.top = max(self.top, other.top)
        self.viewers_shown = min(self.viewers_shown or other.viewers_shown, other.viewers_shown)
        self.join_s = max(self.join_s, other.join_s)
