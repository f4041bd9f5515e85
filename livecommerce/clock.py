"""Valkey's clock, as this worker sees it: all public times are by it, never by the worker's own."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from livecommerce.tasks import Periodic


class ValkeyClock:
    """The measured offset between this worker's monotonic clock and Valkey's TIME.

    The offset comes from the exchange with the shortest round trip of the last measurement, the middle of which is
    taken as the moment Valkey answered (Cristian's algorithm). It is for *display and scheduling*: every decision is
    taken inside a script, by TIME itself.
    """

    #: seconds between measurements: quartz drifts about 50 ppm, so 1 ms in 20 s
    INTERVAL_S = 10.0

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000
        # A lost Valkey is the bus's business; the old offset serves meanwhile.
        self._measuring = Periodic("valkey-clock", self.INTERVAL_S, self.measure)

    def now_ms(self) -> int:
        """Milliseconds since the epoch by Valkey's clock, as well as this worker knows it."""
        return int(time.monotonic() * 1000 + self._offset_ms)

    async def measure(self, rounds: int = 3) -> None:
        """Measure the offset once, from the best of ``rounds`` exchanges."""
        best_ms = float("inf")
        for _ in range(rounds):
            sent_ms = time.monotonic() * 1000
            seconds, microseconds = await self._redis.time()
            received_ms = time.monotonic() * 1000
            if received_ms - sent_ms < best_ms:
                best_ms = received_ms - sent_ms
                self._offset_ms = seconds * 1000 + microseconds / 1000 - (sent_ms + received_ms) / 2

    async def start(self) -> None:
        """Measure, then keep measuring until :meth:`aclose`."""
        await self.measure()
        self._measuring.start()

    async def aclose(self) -> None:
        """Stop measuring; safe to call twice."""
        await self._measuring.aclose()
