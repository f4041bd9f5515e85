"""The ticker makes what the clock has decided visible on time. It has no leader: every worker may fire.

Nothing depends on it being right: every script judges by Valkey's TIME, flips the state and announces in one step, so
that one worker announces and the others find nothing to do. A worker knows what others scheduled from an index that it
reads every :data:`REFRESH_S`; what it schedules itself it knows at once. A worker that dies is thus covered by the
others, at worst a refresh later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from deals import keys, metrics
from deals.errors import DealsError
from deals.scripts import Scripts
from deals.store import Store

_log = logging.getLogger(__name__)

#: seconds between readings of the index
REFRESH_S = 0.5
#: what is due later than this is left to a later reading
HORIZON_S = 1.5
#: deals of one stream looked at in one reading
MOST_DUE = 50
#: streams asked in one round trip
STREAMS_AT_ONCE = 200
#: ticks under way at once
MAX_FIRING = 16
#: orders expired or refunded in one tick: less than 1 ms of script; what is left is due again at once
CHUNK = 10
#: a worker has this long for an order's money before another may take it up
LEASE_MS = 5_000
#: an idle stream leaves the index this long after it was last touched
FORGET_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick found: in how many ms the deal is due again (None: never), and orders whose money needs a look."""

    next_in_ms: float | None
    refs: list[str]


#: takes (stream, deal, ref); must not block
TakeUp = Callable[[str, str, str], None]


class Ticker:
    """Fires each deal's tick when something of it is due."""

    def __init__(self, store: Store, scripts: Scripts, take_up: TakeUp, ticked: Callable[[str, str], None]) -> None:
        self._ticked = ticked
        self._store = store
        self._scripts = scripts
        self._take_up = take_up
        self._due: dict[tuple[str, str], float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Start firing; safe to call twice."""
        if self._task is None:
            self._closing = False
            self._task = asyncio.create_task(self._run(), name="deals-ticker")

    async def aclose(self) -> None:
        """Stop firing; safe to call twice."""
        task, self._task = self._task, None
        # Python 3.11's wait_for, which redis-py sends through, can swallow a cancellation: the flag cannot be missed.
        self._closing = True
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def expect(self, stream_id: str, deal_id: str, in_ms: float) -> None:
        """Something of the deal is due in so many ms (a shorter one known already stays)."""
        if in_ms > HORIZON_S * 1000:
            return
        at_s = asyncio.get_running_loop().time() + in_ms / 1000
        if at_s < self._due.get((stream_id, deal_id), math.inf):
            self._due[stream_id, deal_id] = at_s
            self._wake.set()

    async def tick(self, stream_id: str, deal_id: str) -> Ticked:
        """Do one bounded chunk of what is due on a deal."""
        args = (deal_id, CHUNK, LEASE_MS)
        now_ms, next_ms, *refs = await self._scripts("tick", keys.of_deal(stream_id, deal_id), args)
        self._ticked(stream_id, deal_id)
        for ref in refs:
            self._take_up(stream_id, deal_id, ref.decode())
        return Ticked(None if next_ms < 0 else next_ms - now_ms, [ref.decode() for ref in refs])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        refresh_at_s = 0.0
        while not self._closing:
            try:
                if loop.time() >= refresh_at_s:
                    refresh_at_s = loop.time() + REFRESH_S
                    await self._refresh()
                await self._fire(loop.time())
            except DealsError as error:
                metrics.TICKS.labels("failed").inc()
                _log.warning("ticker: %s", error.detail)
                await asyncio.sleep(0.05)
            except Exception:
                # One broken deal must not stop the clock of the others.
                metrics.TICKS.labels("failed").inc()
                _log.exception("ticker: a tick failed")
                await asyncio.sleep(0.05)
            if self._closing:
                return
            self._wake.clear()
            pause_s = min([refresh_at_s, *self._due.values()]) - loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause_s)):
                    await self._wake.wait()

    async def _fire(self, now_s: float) -> None:
        ready = [one for one, at_s in self._due.items() if at_s <= now_s]
        for start in range(0, len(ready), MAX_FIRING):
            await _all(self._fire_one(*one) for one in ready[start : start + MAX_FIRING])

    async def _fire_one(self, stream_id: str, deal_id: str) -> None:
        loop = asyncio.get_running_loop()
        at_s = self._due.pop((stream_id, deal_id), loop.time())
        ticked = await self.tick(stream_id, deal_id)
        metrics.TICKS.labels("done").inc()
        metrics.TICK_LATE_SECONDS.observe(max(0.0, loop.time() - at_s))
        if ticked.next_in_ms is not None:
            self.expect(stream_id, deal_id, ticked.next_in_ms)

    async def _refresh(self) -> None:
        [index] = await self._store.ask(("ZRANGE", keys.STREAMS, 0, -1, "WITHSCORES"))
        streams = list(_pairs(index))
        for start in range(0, len(streams), STREAMS_AT_ONCE):
            some = streams[start : start + STREAMS_AT_ONCE]
            asked = [("ZRANGE", keys.due(s), 0, MOST_DUE - 1, "WITHSCORES") for s, _ in some]
            (seconds, micros), *found = await self._store.ask(("TIME",), *asked)
            now_ms = int(seconds) * 1000 + int(micros) / 1000
            for (stream_id, touched_ms), members in zip(some, found, strict=True):
                if not members and touched_ms < now_ms - FORGET_MS:
                    await self._scripts("forget_stream", [keys.STREAMS], (stream_id, int(now_ms) - FORGET_MS))
                for deal_id, due_ms in _pairs(members):
                    self.expect(stream_id, deal_id, due_ms - now_ms)


def _pairs(members: Iterable[Any]) -> Iterable[tuple[str, float]]:
    """The members and scores of ZRANGE WITHSCORES, in whichever form the protocol's version gives them."""
    flat = list(members)
    pairs = flat if not flat or isinstance(flat[0], list | tuple) else zip(flat[::2], flat[1::2], strict=True)
    return [(member.decode(), float(score)) for member, score in pairs]


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    """Wait for all of them; then raise the first refusal, if there was one."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
