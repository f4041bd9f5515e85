"""How much one viewer may be sent again: less while its path carries too little, or this worker is behind. Pure.

Times are arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.allowance import Allowance


class Limit(NamedTuple):
    """Resends a second, and at once."""

    per_s: float
    burst: float


RETRANSMISSIONS_PER_S = 400
USUAL = Limit(RETRANSMISSIONS_PER_S, 256)
#: while its path carries too little, and for so many seconds after: resends would keep the queue full that the smaller
#: picture has to pass (seen: 9,800 packets lost in 13 s)
STRAINED, STRAINED_S = Limit(40, 32), 3.0
#: the same where there is a smaller picture to have: 40 a second are as much as a path of 330 kbit/s carries
LAYERED = Limit(10, 8)
#: while packets are dropped here, and for so many seconds after: all viewers miss the same ones, and a resend costs
#: five times what the first send would have, in a worker that is short of time already
BEHIND, BEHIND_S = STRAINED, 3.0
#: the same packet is not sent again sooner
REPEAT_S = 0.03
#: packets remembered for that
MAX_REMEMBERED = 512


class Resends:
    """One viewer's allowance."""

    __slots__ = ("_allowance", "_behind_until_s", "_layered", "_sent", "_strained_until_s")

    def __init__(self) -> None:
        self._allowance = Allowance(*USUAL)
        self._behind_until_s = self._strained_until_s = 0.0
        self._layered = False
        self._sent: dict[tuple[int, int], float] = {}

    def reported(self, now_s: float, *, dropped: bool, trouble: bool, layered: bool) -> None:
        """A report came: whether packets were dropped here since the last one, and whether it tells of trouble.

        While packets are dropped here the path is not blamed: what never left is missing in its reports too.
        """
        if dropped:
            self._behind_until_s = now_s + BEHIND_S
        elif trouble and now_s >= self._behind_until_s:
            self._strained_until_s, self._layered = now_s + STRAINED_S, layered

    def take(self, now_s: float, packet: tuple[int, int], *, past: bool = False) -> bool:
        """Whether this packet may be sent again now; what is ``past`` was of a larger picture, before a step down."""
        strained = now_s < self._strained_until_s
        if (past and strained) or now_s - self._sent.get(packet, -1.0) < REPEAT_S:
            return False
        self._allowance.limit(*self._limit(now_s, strained))
        if not self._allowance.take(now_s):
            return False
        if len(self._sent) >= MAX_REMEMBERED:
            self._sent.clear()
        self._sent[packet] = now_s
        return True

    def _limit(self, now_s: float, strained: bool) -> Limit:
        if strained:
            return LAYERED if self._layered else STRAINED
        return BEHIND if now_s < self._behind_until_s else USUAL
