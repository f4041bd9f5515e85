"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

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
