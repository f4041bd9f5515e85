"""Tasks that repeat, and ending tasks for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError

log = logging.getLogger(__name__)

#: how long a cancelled task may take before it is cancelled again
_AGAIN_S = 0.2


async def stop(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended, however often it takes; their errors are ignored.

    Once is not enough: ``asyncio.wait_for`` of Python 3.11, which redis-py uses for every command, loses a
    cancellation that arrives in the moment its inner operation ends, and a task that loops for ever would go on.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


class Periodic:
    """Calls something again and again, with a pause between; owns one task.

    Losing Valkey for a while is expected (a warning); any other error is a fault of ours, logged with its traceback.
    Neither ends the task: a worker whose housekeeping has silently stopped is worse than one that complains.
    """

    def __init__(self, name: str, interval_s: float, call: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._interval_s = interval_s
        self._call = call
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""
        return self._task is not None

    def start(self) -> None:
        """Begin, with a pause; safe to call twice."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._call()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("%s: not this time: %s", self._name, error or type(error).__name__)
            except Exception:
                log.exception("%s failed", self._name)
