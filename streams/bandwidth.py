"""What a viewer's path carries, judged by its own reports: loss, queueing and, where it tells, its estimate. Pure.

Times are arguments. A report counts what the path lost: what came by retransmission is not in it. A hostile viewer can
only worsen its own picture.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import NamedTuple

#: shares of packets lost: above the first a path carries too much, above the second far too much; below the third well
BAD_LOSS, WORST_LOSS, GOOD_LOSS = 0.10, 0.30, 0.05
#: fewer packets than this say nothing about loss
MIN_PACKETS = 8
#: a delay so much longer than the shortest is a queue that fills; and one that is as good as lost
QUEUE_S, WORST_QUEUE_S = 0.3, 1.0
#: an estimate below this share of what is sent says that less should be, but never alone: Chromium tells one unasked,
#: and told 120–290 kbit/s of a loopback without loss, for a frame comes to it at once and not evenly spread
ESTIMATE_SHARE = 0.7
#: what has to stand beside it: some loss, or a queue that has begun to fill
ESTIMATE_LOSS, ESTIMATE_QUEUE_S = 0.02, 0.1
#: a queue that has begun to fill is bad by itself where less than this share of the picture comes in the time it takes
#: to send it: known half a second before the queue is long
FILLING_SHARE = 0.8
#: what a good path has to have shown without a break
GOOD_WINDOW_S = 2.0
#: reports remembered: one a second
MAX_REPORTS = 8
#: seconds over which the shortest delay is remembered
SHORTEST_S = 60.0
#: a report that comes sooner after the one before is not looked at: Chromium sends some in every quarter of a second
MIN_INTERVAL_S = 0.5


class Verdict(StrEnum):
    """What the newest report says of the path."""

    GOOD = "good"
    UNSURE = "unsure"
    BAD = "bad"
    #: so bad that one report is enough
    WORST = "worst"


class Report(NamedTuple):
    """One receiver report of a picture, and what had been sent when it came."""

    at_s: float
    bytes_sent: int
    #: the newest number sent
    sent: int
    #: the highest number received; both extended, from wherever they began
    highest: int
    lost: int
    #: from a packet's arrival here until we heard that the viewer has it; None where nothing tells
    delay_s: float | None
    #: bits a second the viewer estimates, when it told in the last seconds
    estimate: int | None


class Path:
    """The newest reports of one viewer."""

    __slots__ = ("_reports", "_shortest", "_shortest_s")

    def __init__(self) -> None:
        self._reports: deque[Report] = deque(maxlen=MAX_REPORTS)
        self._shortest: float | None = None
        self._shortest_s = 0.0

    def reported(self, report: Report) -> bool:
        """Note a report; whether it is one to judge by."""
        if self._reports and report.at_s - self._reports[-1].at_s < MIN_INTERVAL_S:
            return False
        if self._reports and not 0 <= report.highest - self._reports[-1].highest < 1 << 15:
            self._reports.clear()  # another count begins, or nonsense
        self._reports.append(report)
        delay = report.delay_s
        old = self._shortest is None or report.at_s - self._shortest_s > SHORTEST_S
        if delay is not None and (old or delay <= (self._shortest or 0.0)):
            self._shortest, self._shortest_s = delay, report.at_s
        return True

    def changed(self) -> None:
        """Another layer is sent from now on: what was reported of the last one says nothing about it."""
        newest = self._reports[-1] if self._reports else None
        self._reports.clear()
        if newest is not None:
            self._reports.append(newest)

    @property
    def delay_s(self) -> float | None:
        """The newest delay."""
        return self._reports[-1].delay_s if self._reports else None

    @property
    def share(self) -> float | None:
        """The share of the picture sent between the two newest reports that arrived in the same time."""
        if len(self._reports) < 2:
            return None
        before, now = self._reports[-2], self._reports[-1]
        arrived = now.highest - before.highest - max(0, now.lost - before.lost)
        sent = now.sent - before.sent
        return min(1.0, max(0, arrived) / sent) if sent > 0 else None

    @property
    def bits_per_s(self) -> int | None:
        """What arrived between the two newest reports, as far as the picture tells."""
        share = self.share
        if share is None:
            return None
        before, now = self._reports[-2], self._reports[-1]
        return round(max(0, now.bytes_sent - before.bytes_sent) * 8 * share / (now.at_s - before.at_s))

    def verdict(self) -> Verdict:
        """What the newest reports say together."""
        if len(self._reports) < 2:
            return Verdict.UNSURE
        if (trouble := self.trouble()) is not None:
            return trouble
        now = self._reports[-1]
        began = next((each for each in reversed(self._reports) if now.at_s - each.at_s >= GOOD_WINDOW_S), None)
        if began is None or _loss(began, now)[0] > GOOD_LOSS:
            return Verdict.UNSURE
        return Verdict.GOOD

    def trouble(self) -> Verdict | None:
        """A bad verdict, by the two newest reports alone; None where there is none."""
        if len(self._reports) < 2:
            return None
        before, now = self._reports[-2], self._reports[-1]
        loss, expected = _loss(before, now)
        if expected >= MIN_PACKETS and loss > BAD_LOSS:
            return Verdict.WORST if loss > WORST_LOSS else Verdict.BAD
        queue_s = self._queue_s(now)
        if queue_s > QUEUE_S:
            return Verdict.WORST if queue_s > WORST_QUEUE_S else Verdict.BAD
        if queue_s > ESTIMATE_QUEUE_S and now.sent - before.sent >= MIN_PACKETS and (self.share or 0) < FILLING_SHARE:
            return Verdict.BAD
        if (loss > ESTIMATE_LOSS or queue_s > ESTIMATE_QUEUE_S) and self._told_less(before, now):
            return Verdict.BAD
        return None

    def _queue_s(self, now: Report) -> float:
        """How much longer the delay is than it can be."""
        if now.delay_s is None or self._shortest is None:
            return 0.0
        return now.delay_s - self._shortest

    def _told_less(self, before: Report, now: Report) -> bool:
        sent = (now.bytes_sent - before.bytes_sent) * 8 / (now.at_s - before.at_s)
        return now.estimate is not None and now.estimate < ESTIMATE_SHARE * sent


def _loss(before: Report, now: Report) -> tuple[float, int]:
    """The share lost between two reports, and how many packets it is of."""
    expected = now.highest - before.highest
    if expected <= 0:
        return 0.0, 0
    return min(1.0, max(0, now.lost - before.lost) / expected), expected
