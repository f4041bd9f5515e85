"""The relay's clock: calls what is due every 50 ms (every second while there is nothing), or at once when woken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

#: seconds between two looks at everything that is due
TICK_S = 0.05
#: ticks in a second
A_SECOND = round(1 / TICK_S)
#: seconds between two looks while nothing is at work: a worker without media costs a third less
IDLE_TICK_S = 1.0
#: a timer's resolution: what rings so much too early is on time, else every other tick would be looked at twice
EARLY_S = 0.001


class Ticker:
    """One task; an exception in what it calls is logged and counted, and the clock goes on.

    ``on_tick(ticks, now_s)`` hears how many have been, :data:`A_SECOND` a second
    (a tick of an idle relay ends one), and says whether there is anything at work.
    """

    def __init__(self, on_wake: Callable[[], Awaitable[None]], on_tick: Callable[[int, float], bool]) -> None:
        self._on_wake = on_wake
        self._on_tick = on_tick
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._next_s = 0.0
        self._idle = False
        self.failures = 0

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""
        return self._task is not None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="relay")

    def wake(self) -> None:
        """Call ``on_wake`` soon."""
        self._wake.set()

    def hurry(self) -> None:
        """Something is at work from now on."""
        if self._idle:
            self._idle = False
            self._next_s = time.monotonic()
            self._wake.set()

    def guard(self, tick: Callable[[float], None], now_s: float) -> None:
        """Tick one of many: where it fails the others still have theirs."""
        try:
            tick(now_s)
        except Exception:
            self.failures += 1
            log.exception("a stream's tick failed")

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_s = time.monotonic()
        ticks = 0
        while True:
            self._wake.clear()
            now_s = time.monotonic()
            try:
                await self._on_wake()
                if now_s >= self._next_s - EARLY_S:
                    ticks += 1
                    self._next_s = max(self._next_s + TICK_S, now_s)
                    self._idle = not self._on_tick(ticks, now_s)
                    if self._idle:
                        self._next_s = now_s + IDLE_TICK_S
                        ticks += -ticks % A_SECOND - 1
            except Exception:
                # One broken stream must not stop the clock of all the others. Tests assert that this never happens.
                self.failures += 1
                log.exception("the relay's tick failed")
            # An alarm, not a timeout: to be cancelled 20 times a second cost as much as the tick itself.
            alarm = loop.call_later(max(0.0, self._next_s - time.monotonic()), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                alarm.cancel()
