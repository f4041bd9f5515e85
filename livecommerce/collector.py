"""Python's cycle collector, in pauses that no viewer notices.

What lives long is never looked at again: one look at 10,000 viewers stopped everything for 0.85 s, in the middle of
their arrival (``load_tests idle-sockets --sockets 10000``). Reference counting frees nearly all of it by itself, and
tests/livecommerce/test_no_cycles.py keeps it so; a cycle that was old before it was garbage waits until most
connections are gone, and a look is short.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter, Gauge

from livecommerce.tasks import Periodic

#: new objects before the youngest are looked at, and such looks before those that outlived one are: 3 and 10 ms.
#: Python's 700 cost a worker with 5,000 viewers a seventh of its CPU (0.28 to 0.24 of a core, ``chat-storm``)
YOUNG, LOOKS = 5_000, 3
#: looks at what is older: never by themselves
NEVER = 1 << 30
#: how often the connections are counted, in seconds
COUNT_S = 5.0
#: everything is looked at once there are no more connections than this share of the most since the last time, if
#: those were worth it
FEW, WORTH = 0.25, 200

SECONDS = Counter("livecommerce_collector_seconds", "Seconds in which the cycle collector stopped a worker.")
LONGEST = Gauge(
    "livecommerce_collector_longest_seconds", "The longest of these pauses since the start.", multiprocess_mode="max"
)


class Collector:
    """Tunes the collector of this process; ``connections`` counts those that there are now."""

    def __init__(self, connections: Callable[[], int]) -> None:
        self._connections = connections
        self._most = 0
        self._began_s = 0.0
        #: not metrics: theirs take a lock, and a look may begin while that is held
        self._spent_s = self._longest_s = 0.0
        self._counting = Periodic("collector", COUNT_S, self.count)

    def start(self) -> None:
        """Set aside all that there is by now, and look at the rest as said above."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, LOOKS, NEVER)
        gc.callbacks.append(self._told)
        self._counting.start()

    async def aclose(self) -> None:
        """Leave the collector alone; safe to call twice."""
        await self._counting.aclose()
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)

    async def count(self) -> None:
        """Count the connections; look at everything where most have gone. Tells the metrics."""
        spent_s, self._spent_s = self._spent_s, 0.0
        SECONDS.inc(spent_s)
        LONGEST.set(self._longest_s)
        now = self._connections()
        self._most = max(self._most, now)
        if self._most >= WORTH and now <= self._most * FEW:
            self._most = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _told(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
            return
        if info["generation"] == 1:
            # Nothing younger is left: what outlived two looks is set aside.
            gc.freeze()
        took_s = time.perf_counter() - self._began_s
        self._spent_s += took_s
        self._longest_s = max(self._longest_s, took_s)
