"""Counts over time in a bounded number of buckets, and what a show's orders add up to. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from deals.models import Money
from deals.tally import Happened

#: the narrowest bucket, and the most of them: an hour in steps of 10 s, a day in steps of 4 minutes
WIDTH_MS, MOST_BUCKETS = 10_000, 360

#: how the values of two buckets become one
Join = Callable[[Iterable[int]], int]


class Buckets:
    """Sums of several rows by time; when the buckets become too many, each two become one."""

    def __init__(self, rows: int, *, width_ms: int = WIDTH_MS) -> None:
        self.rows = rows
        self.width_ms = width_ms
        self.counts: dict[int, list[int]] = {}

    def add(self, at_ms: int, row: int, count: int = 1) -> None:
        """Count something that happened at a moment."""
        index = at_ms // self.width_ms
        self.counts.setdefault(index, [0] * self.rows)[row] += count
        while len(self.counts) > MOST_BUCKETS:
            self.counts, self.width_ms = halved(self.counts, [sum] * self.rows), 2 * self.width_ms

    def at_width(self, width_ms: int) -> dict[int, list[int]]:
        """The counts in wider buckets (the width times a power of two)."""
        counts, width = self.counts, self.width_ms
        while width < width_ms:
            counts, width = halved(counts, [sum] * self.rows), 2 * width
        return counts


def halved(counts: Mapping[int, Sequence[int]], joins: Sequence[Join]) -> dict[int, list[int]]:
    """Each two buckets as one; ``joins`` says of each row how two values become one (``sum``, ``max``)."""
    pairs: dict[int, list[Sequence[int]]] = {}
    for index, values in counts.items():
        pairs.setdefault(index // 2, []).append(values)
    return {
        index: [join(column) for join, column in zip(joins, zip(*lists, strict=True), strict=True)]
        for index, lists in pairs.items()
    }


class Sales:
    """What a journal adds up to so far."""

    CLAIMS, PAID = 0, 1

    def __init__(self) -> None:
        #: how far the journal was read
        self.place = ""
        self.buckets = Buckets(2)
        self.paid = 0
        #: of what is paid and not refunded, by currency
        self.revenue: dict[str, int] = {}
        # Paid too late and given back: their refund takes nothing from the revenue.
        self._late: set[str] = set()

    def take(self, steps: Iterable[Happened]) -> None:
        """Add the next steps."""
        for step in steps:
            if step.what in ("claimed", "offered"):
                self.buckets.add(step.at_ms, self.CLAIMS)
            elif step.what == "paid":
                self.buckets.add(step.at_ms, self.PAID)
                self.paid += 1
                self._earn(step.order.total, 1)
            elif step.what == "paid_late":
                self._late.add(step.order.id)
            elif step.what == "refund_pending":
                if step.order.id in self._late:
                    self._late.discard(step.order.id)
                else:
                    self._earn(step.order.total, -1)

    def _earn(self, money: Money, sign: int) -> None:
        self.revenue[money.currency] = self.revenue.get(money.currency, 0) + sign * money.amount

    def most(self) -> Money | None:
        """The revenue in the currency that brought most; None while nothing was paid."""
        currency = max(self.revenue, key=lambda c: self.revenue[c], default=None)
        return None if currency is None else Money(max(0, self.revenue[currency]), currency)
