"""The commands of one connection that are at work: how many at a time, which of them in order, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from livecommerce.commands import Accepted, Refused, begin, carry_out
from livecommerce.schema.command import Command
from livecommerce.tasks import stop
from livecommerce.visit import Row, Visit

log = logging.getLogger(__name__)

#: commands of one connection at work at the same time
MOST = 8
#: how long commands may go on working when their connection is gone
FINISH_TIMEOUT_S = 5.0


class AtWork:
    """Begins commands and says how they went; owns the tasks of those that need one."""

    def __init__(self, reply: Callable[[Accepted | Refused], None]) -> None:
        self._reply = reply
        self._count = 0
        #: done when who waits for room may look again; there is one who reads
        self._waiter: asyncio.Future[None] | None = None
        self._in_order = asyncio.Lock()
        #: tasks that hold that, or wait for it
        self._ordered = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def has_room(self) -> bool:
        """Whether fewer than :data:`MOST` are at work."""
        return self._count < MOST

    async def room(self) -> None:
        """Wait until there is."""
        while self._count >= MOST:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def begin(self, visit: Visit, name: str, row: Row, command: Command) -> None:
        """Begin a command, for which there has to be room."""
        self._count += 1
        # What begins at once would overtake those that wait for their turn.
        if (row.in_order and self._ordered) or not begin(visit, name, row, command, self._finish):
            self._ordered += row.in_order
            task = asyncio.create_task(self._carry_out(visit, name, row, command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Let commands end, within a time: a payment that was begun, say. What began without a task ends by itself."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=FINISH_TIMEOUT_S)
            await stop(*late)
        self._reply = _to_nobody  # else the connection and this would keep each other until the collector comes

    async def _carry_out(self, visit: Visit, name: str, row: Row, command: Command) -> None:
        try:
            # Locks are fair and tasks begin in order: so do the commands that must keep theirs.
            async with self._in_order if row.in_order else contextlib.nullcontext():
                reply = await carry_out(visit, name, row, command)
        except BaseException:
            self._release()
            raise
        finally:
            self._ordered -= row.in_order
        self._finish(reply)

    def _finish(self, reply: Accepted | Refused) -> None:
        self._release()
        try:
            self._reply(reply)
        except Exception:
            # Whoever carried the command out has done so: to them, and to what they do next, it is all the same.
            log.exception("a command could not be answered")

    def _release(self) -> None:
        self._count -= 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _to_nobody(_: Accepted | Refused) -> None:
    """Whoever asked has left."""
