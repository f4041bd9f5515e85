"""What the deals domain counts (Prometheus; names without ``_total``, which the client adds)."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from prometheus_client import Counter, Histogram

#: how late a folded counter may be
FOLD_S = 1.0


class Folded:
    """A counter for hot paths: what is added waits in a plain number, for a moment.

    An increment of prometheus-client's takes 2 µs, and finding the series of some labels 3 more; this takes 0.2.
    """

    #: all there are in this process
    every: ClassVar[list[Folded]] = []
    #: the loop that will fold them all
    _loop: ClassVar[asyncio.AbstractEventLoop | None] = None

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.every.append(self)
        self._counts: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count something; on a running loop only."""
        counts = self._counts
        counts[labels] = counts.get(labels, 0) + by
        loop = asyncio.get_running_loop()
        if Folded._loop is not loop:
            Folded._loop = loop
            loop.call_later(FOLD_S, self.fold_all)

    @classmethod
    def fold_all(cls) -> None:
        """Hand over what waits everywhere: in one go, for what is asked for seldom is slow to begin with."""
        Folded._loop = None
        for folded in cls.every:
            folded.fold()

    def fold(self) -> None:
        """Hand over what waits."""
        counts, self._counts = self._counts, {}
        for labels, count in counts.items():
            (self.counter.labels(*labels) if labels else self.counter).inc(count)


CLAIMS = Folded(
    Counter("livecommerce_claims", "Claims by outcome: accepted, replayed, or the refusal's code", ["outcome"])
)
SHORT_CUT = Folded(Counter("livecommerce_claims_short_cut", "Sold-out answers given without asking Valkey"))
BATCH_CLAIMS = Histogram(
    "livecommerce_claim_batch_claims", "Claims joined into one script call", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
BATCH_SECONDS = Histogram(
    "livecommerce_claim_batch_seconds",
    "Time of one claim script call, durable answer included",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
REASKED = Counter("livecommerce_claim_batches_reasked", "Batches sent again by their keys after a lost answer")
QUEUE_REFUSED = Counter("livecommerce_claim_queue_refused", "Claims refused because a deal's queue was full")
ORDERS = Counter("livecommerce_order_steps", "Payments by outcome", ["outcome"])
WEBHOOKS = Counter(
    "livecommerce_payment_webhooks", "Webhooks by outcome: dealt_with, repeated, refused, failed", ["outcome"]
)
TICKETS = Counter("livecommerce_claim_tickets", "Claim tickets given out")
TICKS = Counter("livecommerce_deal_ticks", "Ticker calls by outcome: done, failed", ["outcome"])
TICK_LATE_SECONDS = Histogram(
    "livecommerce_deal_tick_late_seconds",
    "How late after its moment a deal was looked at",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
