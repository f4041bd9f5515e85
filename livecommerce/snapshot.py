"""What everybody who joins is told of a room's stream, deals and products: read once for all who join.

Reading it for each viewer took 8 of the 10 commands of a join, and after a dropped network thousands join at once. It
is read anew as soon as an event says that something changed, and at the latest after :data:`FRESH_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.models import ChatState
    from deals.models import Deal, Product
    from streams.models import Stream

#: the longest a state is told that no event has touched (the number of viewers changes without one)
FRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class RoomState:
    """A stream and what is sold in it, as of one moment."""

    stream: Stream
    viewers: int
    pinned: str | None
    #: the tag of its poster
    poster: str | None
    deals: list[Deal]
    products: list[Product]
    chat: ChatState


class Snapshot:
    """The newest :class:`RoomState` of one room."""

    def __init__(self) -> None:
        #: raised by the room for every event that may have changed the state
        self.version = 0
        #: times the state was read, for tests
        self.reads = 0
        self._state: RoomState | None = None
        self._state_version = -1
        self._read_s = 0.0
        self._reading: asyncio.Task[RoomState] | None = None
        self._reading_version = -1

    def touch(self) -> None:
        """Something changed: what was read before now is out of date."""
        self.version += 1

    def current(self) -> RoomState | None:
        """The state, if it is at hand and nothing has changed since it was read."""
        fresh = asyncio.get_running_loop().time() - self._read_s < FRESH_S
        return self._state if fresh and self._state_version == self.version else None

    async def get(self, read: Callable[[], Awaitable[RoomState]]) -> RoomState:
        """The state as of now or later: events that come after the call may not be in it. Raises what ``read`` does."""
        if (state := self.current()) is not None:
            return state
        if self._reading is None or self._reading.done() or self._reading_version != self.version:
            self._reading_version = self.version
            self._reading = asyncio.create_task(self._read(read, self.version), name="room-snapshot")
        return await asyncio.shield(self._reading)

    async def _read(self, read: Callable[[], Awaitable[RoomState]], version: int) -> RoomState:
        self.reads += 1
        began_s = asyncio.get_running_loop().time()
        state = await read()
        # A reading that began later may have ended earlier.
        if version >= self._state_version:
            self._state, self._state_version, self._read_s = state, version, began_s
        return state
