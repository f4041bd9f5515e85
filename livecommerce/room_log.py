"""A room's log: reading it from Valkey, and the ring of its newest events in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import Any

from livecommerce import keys
from livecommerce.frames import Item
from livecommerce.scripting import ScriptRunner
from livecommerce.tasks import stop

READ_ROOM: str = resources.files("livecommerce").joinpath("lua/read_room.lua").read_text("utf-8")

#: as many events as the log is trimmed to (lua/emit.lua, LOG_CAP; trimming is approximate, so a little more)
LOG_MAX = 2200
#: events kept in this process for each room: recovers a minute of a busy room without asking Valkey
RING_EVENTS = 1000
#: and at most this many bytes of them
RING_BYTES = 512 * 1024
#: how long a reading of a whole log serves who comes later: those who were cut off together are back within seconds
DEEP_KEPT_S = 5.0


def offset_of(event: bytes) -> int:
    """The offset of a numbered event's JSON, which always begins with it (lua/emit.lua)."""
    return int(event[10 : event.index(b",")])


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a log at one moment: its epoch, its newest offset then, and events, oldest first."""

    epoch: str
    top: int
    events: Sequence[Item]


def epoch_of(epoch: bytes | None, replication_id: str) -> str:
    """A room's epoch as viewers know it: with the server's replication id, where that is followed."""
    text = (epoch or b"").decode()
    return f"{text}.{replication_id[:12]}" if replication_id else text


class RoomLog:
    """Reads the logs of rooms.

    ``follows_replication``: the epoch changes with the server's replication id. A replica that takes over may lack
    the newest events, and then gives their offsets to others; a server of our own never does (it syncs each write).
    """

    def __init__(self, run_script: ScriptRunner, *, follows_replication: bool = False) -> None:
        self._run_script = run_script
        self.follows_replication = follows_replication
        #: reads made, for metrics and tests
        self.reads = 0

    async def newest(self, stream_id: str, count: int) -> Page:
        """The newest events."""
        return await self._read(stream_id, "", count)

    async def after(self, stream_id: str, offset: int, count: int = LOG_MAX) -> Page:
        """The events that follow an offset (those of them that are still there)."""
        return await self._read(stream_id, str(offset), count)

    async def _read(self, stream_id: str, after: str, count: int) -> Page:
        self.reads += 1
        names = [keys.room(stream_id), keys.log(stream_id)]
        answer: list[Any] = await self._run_script(READ_ROOM, names, [after, count, int(self.follows_replication)])
        epoch = answer[0].decode()
        return Page(epoch, int(answer[1]), [Item(e, offset_of(e), epoch) for e in answer[2]])


class DeepLog:
    """All of one room's log, read for those whom the ring does not reach back to.

    A reading is shared by all who ask while it lasts and, for a while, by those who come later: a few bytes of a join
    must not make Valkey hand out thousands of events each time.
    """

    def __init__(self, room_log: RoomLog, stream_id: str) -> None:
        self._log, self._stream_id = room_log, stream_id
        self._reading: asyncio.Task[Page] | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def page(self, serves: Callable[[Page], bool]) -> Page:
        """A page: the one that was read before where that still ``serves``. Raises redis-py's errors."""
        reading = self._reading
        if reading is None or (reading.done() and (_failed(reading) or not serves(reading.result()))):
            reading = self._reading = asyncio.create_task(self._log.after(self._stream_id, 0), name="room-deep-log")
            reading.add_done_callback(self._keep)
        return await asyncio.shield(reading)

    async def aclose(self) -> None:
        """Stop reading, and forget; safe to call twice."""
        if self._reading is not None:
            await stop(self._reading)
        self._forget()

    def _keep(self, _: asyncio.Task[Page]) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(DEEP_KEPT_S, self._forget)

    def _forget(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._reading = self._forgetting = None


def _failed(reading: asyncio.Task[Page]) -> bool:
    return reading.cancelled() or reading.exception() is not None


class Ring:
    """The newest events of a room, without a hole; bounded by count and bytes, the oldest go first."""

    def __init__(self, *, max_events: int = RING_EVENTS, max_bytes: int = RING_BYTES) -> None:
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """Append the next event."""
        self._items.append(item)
        self._bytes += len(item.json)
        while len(self._items) > self._max_events or self._bytes > self._max_bytes:
            self._bytes -= len(self._items.popleft().json)

    def reset(self, items: Iterable[Item]) -> None:
        """Start anew with these events."""
        self._items.clear()
        self._bytes = 0
        for item in items:
            self.add(item)

    def newest(self, count: int) -> list[Item]:
        """At most ``count`` of the newest events, oldest first."""
        return list(islice(self._items, max(0, len(self._items) - count), None))

    def holds(self, item: Item) -> bool:
        """Whether this very event (offset and content) is here: a repeated message rather than another log's."""
        found = self.between(item.offset - 1, item.offset)
        return found is not None and len(found) == 1 and found[0].json == item.json

    def reaches(self, offset: int, top: int) -> bool:
        """Whether all events after ``offset`` up to ``top`` (the room's position) are here."""
        return offset >= top or (bool(self._items) and self._items[0].offset <= offset + 1)

    def between(self, offset: int, top: int) -> list[Item] | None:
        """The events after ``offset`` up to ``top`` (the room's position); ``None`` unless all of them are here."""
        if offset >= top:
            return []
        if not self.reaches(offset, top):
            return None
        first = self._items[0].offset
        return list(islice(self._items, offset + 1 - first, top + 1 - first))
