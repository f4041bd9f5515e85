"""How long a packet takes through the relay: a histogram of plain integers. Pure."""

from __future__ import annotations

from bisect import bisect_left

#: upper bounds in ms; the last bucket has none
BOUNDS_MS = (1, 2, 3, 5, 10, 20, 50, 100, 250)


class Delays:
    """Counts by bucket, and their sum."""

    __slots__ = ("counts", "total_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.total_ms = 0.0

    def note(self, seconds: float, count: int = 1) -> None:
        """Count so many packets of one delay."""
        ms = max(0.0, seconds * 1000)
        self.counts[bisect_left(BOUNDS_MS, ms)] += count
        self.total_ms += ms * count

    def add(self, other: Delays) -> None:
        """Add another's counts to these."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total_ms += other.total_ms

    def cumulative(self) -> list[tuple[str, int]]:
        """(upper bound in seconds, packets up to it), as Prometheus writes histograms."""
        names = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
        total, rows = 0, []
        for name, count in zip(names, self.counts, strict=True):
            total += count
            rows.append((name, total))
        return rows
