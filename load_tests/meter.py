"""What a scenario counts and times, in whichever process; and the sum of it, second by second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from load_tests.histogram import Histogram


@dataclass
class Snapshot:
    """What a meter gathered since its last snapshot; small, and picklable."""

    #: name -> by how much it grew
    counters: Counter[str] = field(default_factory=Counter)
    #: (table, code) -> how many answers
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: name -> latencies in µs
    histograms: dict[str, Histogram] = field(default_factory=dict)
    #: name -> the value now
    gauges: dict[str, float] = field(default_factory=dict)


class Meter:
    """Counters, latencies, gauges and answers by code. Names are what the report shows; they need no declaration."""

    def __init__(self) -> None:
        self._now = Snapshot()

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter; the report shows its rate and its sum."""
        self._now.counters[name] += by

    def code(self, table: str, code: str, by: int = 1) -> None:
        """Count an answer in the table of codes of, say, a way in."""
        self._now.codes[table, code] += by

    def record(self, name: str, us: int, times: int = 1) -> None:
        """Record a latency in microseconds."""
        histogram = self._now.histograms.get(name)
        if histogram is None:
            histogram = self._now.histograms[name] = Histogram()
        histogram.record(us, times)

    def timed(self, name: str, due_s: float, ended_s: float | None = None) -> None:
        """Record what took from ``due_s``, when it was *meant* to begin, until now (monotonic clock).

        A generator or a server that falls behind then shows in the latencies instead of quietly lowering the load:
        nothing coordinates its omissions with the server.
        """
        self.record(name, int(((time.monotonic() if ended_s is None else ended_s) - due_s) * 1e6))

    def gauge(self, name: str, value: float) -> None:
        """Set what has a value at each moment (viewers, stock). Those of one name in several processes are summed."""
        self._now.gauges[name] = value

    def take(self) -> Snapshot:
        """What came since the last call; gauges keep their value."""
        taken, self._now = self._now, Snapshot(gauges=dict(self._now.gauges))
        return taken


class Timeline:
    """All meters' snapshots as one: totals, and a row for each second."""

    def __init__(self, began_s: float) -> None:
        self.began_s = self._last_s = began_s
        self.total = Snapshot()
        #: what the report plots; see :meth:`tick`
        self.rows: list[dict[str, Any]] = []
        self._second = Snapshot()
        self._gauges: dict[str, dict[str, float]] = {}

    def add(self, source: str, snapshot: Snapshot) -> None:
        """Count a snapshot of a source (a process) into this second and into the total."""
        for sum_ in (self._second, self.total):
            sum_.counters.update(snapshot.counters)
            sum_.codes.update(snapshot.codes)
            for name, histogram in snapshot.histograms.items():
                sum_.histograms.setdefault(name, Histogram()).add(histogram)
        self._gauges[source] = snapshot.gauges
        self.total.gauges = self.gauges()

    def gauges(self) -> dict[str, float]:
        """Each gauge, summed over the sources."""
        sums: dict[str, float] = {}
        for gauges in self._gauges.values():
            for name, value in gauges.items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def tick(
        self,
        now_s: float,
        phase: str,
        cpu: Mapping[str, float] | None = None,
        memory: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """End a second; its row: t_s, phase, rates (/s), latency (µs), codes, gauges, cpu (cores), memory (MiB)."""
        took_s = max(now_s - self._last_s, 1e-9)
        row = {
            "t_s": round(now_s - self.began_s, 3),
            "phase": phase,
            "rates": {name: round(value / took_s, 1) for name, value in self._second.counters.items()},
            "latency_us": {name: histogram.summary() for name, histogram in self._second.histograms.items()},
            "codes": {": ".join(key): count for key, count in self._second.codes.items()},
            "gauges": self.gauges(),
            "cpu": dict(cpu or {}),
            "memory_mib": dict(memory or {}),
        }
        self.rows.append(row)
        self._second, self._last_s = Snapshot(), now_s
        return row
