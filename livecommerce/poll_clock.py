"""Closes polls whose time has come, and shows votes that nobody was shown yet: no leader, any worker may."""

from __future__ import annotations

import logging

from chat.errors import ChatError
from chat.polls import Polls
from livecommerce.hub import Hub
from livecommerce.tasks import Periodic

log = logging.getLogger(__name__)

#: how often open polls are looked at: what a poll may close too late by
INTERVAL_S = 0.5


class PollClock:
    """Looks after the polls of the rooms that are open here; the scripts decide, so one of many workers closes."""

    def __init__(self, hub: Hub, polls: Polls) -> None:
        self._hub = hub
        self._polls = polls
        self._looking = Periodic("poll-clock", INTERVAL_S, self._look)

    async def start(self) -> None:
        """Start; safe to call twice."""
        self._looking.start()

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        await self._looking.aclose()

    async def _look(self) -> None:
        for room in self._hub.rooms():
            if room.poll_open:
                try:
                    await self._polls.tick(room.stream_id)
                except ChatError as error:
                    log.info("the poll of %s waits: %s", room.stream_id, error)
