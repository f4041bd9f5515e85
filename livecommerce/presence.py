"""How many watch a stream, over all workers: each reports its own count twice a second, and all sum.

A worker that was killed is noticed by its silence. Both times below make that at most 2 s: until its last report is
too old, and until the others sum again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce import keys
from livecommerce.hub import Hub
from livecommerce.tasks import Periodic

log = logging.getLogger(__name__)

#: how often counts are reported and summed
INTERVAL_S = 0.5
#: a report older than this does not count: its worker is gone
FRESH_MS = 1500
#: when nobody reports any more the whole hash goes
KEY_TTL_S = 60
#: reports until a hash's time begins anew: 10 s
_ROUNDS = 20
#: how long one round may take
TIMEOUT_S = 2.0
#: rooms reported in one round trip
_ROOMS = 200


class Presence:
    """Reports this worker's viewers and shows the sum to them when it changes."""

    def __init__(self, redis: Redis, hub: Hub, *, worker_id: str, now_ms: Callable[[], int]) -> None:
        self._redis = redis
        self._hub = hub
        self._worker_id = worker_id
        self._now_ms = now_ms
        self._reported: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._round = 0
        self._reporting = Periodic("presence", INTERVAL_S, self._report_in_time)

    async def start(self) -> None:
        """Report until :meth:`aclose`."""
        self._reporting.start()

    async def aclose(self) -> None:
        """Stop and take our reports back (best effort: they expire by themselves); safe to call twice."""
        if not self._reporting.running:
            return
        await self._reporting.aclose()
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                for stream_id in self._reported:
                    await self._redis.hdel(keys.presence(stream_id), self._worker_id)

    async def count(self, stream_id: str) -> int:
        """How many watch a stream now, over all workers. Raises redis-py's errors."""
        return self._sum(await self._redis.hgetall(keys.presence(stream_id)))

    def shown(self, stream_id: str) -> int | None:
        """The sum this worker's viewers were last shown; None where it has none yet."""
        return self._shown.get(stream_id)

    async def report(self) -> None:
        """One round: report, sum, show what changed."""
        counts = self._hub.counts()
        self._round += 1
        # A room that closed is reported once more, as nobody.
        wanted = list({**dict.fromkeys(self._reported, 0), **counts}.items())
        for start in range(0, len(wanted), _ROOMS):
            await self._report(wanted[start : start + _ROOMS])
        self._reported = {stream_id: count for stream_id, count in counts.items() if count}
        self._shown = {stream_id: shown for stream_id, shown in self._shown.items() if stream_id in counts}

    async def _report(self, counts: list[tuple[str, int]]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        now_ms = self._now_ms()
        for stream_id, count in counts:
            key = keys.presence(stream_id)
            if count:
                pipeline.hset(key, self._worker_id, f"{count}:{now_ms}")
            else:
                pipeline.hdel(key, self._worker_id)
            pipeline.hgetall(key)
        every = [stream_id for stream_id, _ in counts if self._round % _ROUNDS == 0 or stream_id not in self._reported]
        for stream_id in every:
            pipeline.expire(keys.presence(stream_id), KEY_TTL_S)
        answers = await pipeline.execute()
        for (stream_id, _), reports in zip(counts, answers[1 : 2 * len(counts) : 2], strict=True):
            total = self._sum(reports)
            if self._shown.get(stream_id) != total:
                self._shown[stream_id] = total
                self._hub.show(stream_id, "viewers", "viewers", {"count": total})

    def _sum(self, reports: Mapping[Any, Any]) -> int:
        oldest_ms = self._now_ms() - FRESH_MS
        parsed = (report.decode().split(":") for report in reports.values())
        return sum(int(count) for count, reported_ms in parsed if int(reported_ms) >= oldest_ms)

    async def _report_in_time(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self.report()
