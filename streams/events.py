"""What the relay tells the application, in order and without ever waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Protocol

log = logging.getLogger(__name__)

#: events that may wait while the application is slow; then the oldest are dropped and counted
MAX_WAITING = 1000


class RelayEvents(Protocol):
    """Implemented by the application."""

    async def media_started(self, stream_id: str, session_id: str) -> None:
        """First media of a publisher, or media again after silence."""

    async def media_stopped(self, stream_id: str, session_id: str) -> None:
        """3 s without media, the session's end, or its consent lost."""


class EventLane:
    """A bounded queue and the one task that delivers from it."""

    def __init__(self, events: RelayEvents) -> None:
        self._events = events
        self._waiting: deque[tuple[str, str, str]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.dropped = 0

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(self._run(), name="relay-events")

    def put(self, what: str, stream_id: str, session_id: str) -> None:
        """Queue one event; never blocks."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((what, stream_id, session_id))
        self._wake.set()

    async def aclose(self, timeout: float = 1.0) -> None:
        """Deliver what waits, for at most ``timeout`` seconds, then stop; safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait([task], timeout=timeout)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _run(self) -> None:
        while True:
            while self._waiting:
                what, stream_id, session_id = self._waiting.popleft()
                handler = self._events.media_started if what == "started" else self._events.media_stopped
                try:
                    await handler(stream_id, session_id)
                except Exception:
                    # The application's trouble (Valkey gone, say) must not end the lane.
                    log.exception("media_%s of %s could not be told", what, stream_id)
            if self._closing:
                return
            self._wake.clear()
            await self._wake.wait()
