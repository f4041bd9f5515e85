"""Closes polls whose time has come, and shows votes that nobody was shown yet: no leader, any worker may."""

from __future__ import annotations

import asyncio
import logging

from chat.errors import ChatError
from chat.polls import Polls
from livecommerce.hub import Hub
from livecommerce.tasks import stop

log = logging.getLogger(__name__)

#: how often open polls are looked at: what a poll may close too late by
INTERVAL_S = 0.5


class PollClock:
    """Looks after the polls of the rooms that are open here; the scripts decide, so one of many workers closes."""

    def __init__(self, hub: Hub, polls: Polls) -> None:
        self._hub = hub
        self._polls = polls
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start; safe to call twice."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="poll-clock")

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            for room in self._hub.rooms():
                if room.poll_open:
                    try:
                        await self._polls.tick(room.stream_id)
                    except ChatError as error:
                        log.info("the poll of %s waits: %s", room.stream_id, error)
