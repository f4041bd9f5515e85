"""The hub: this worker's rooms, who enters and leaves them, and what keeps them healthy.

Joining has two steps, so that neither a gap nor a double can arise: :meth:`Hub.arrive` fixes the position (and what
was missed before it), the caller then reads the state of deals and orders, and :meth:`Hub.settle` sends the reply,
everything up to the room's position of *that* moment, and lets live events through, without a pause in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce import keys
from livecommerce import room_metrics as metrics
from livecommerce.bus import Bus
from livecommerce.close_codes import CloseCode
from livecommerce.frames import Item
from livecommerce.member import Member
from livecommerce.problems import Problem
from livecommerce.reactions import Reactions
from livecommerce.room import Room
from livecommerce.room_log import RoomLog, epoch_of
from livecommerce.scripting import ScriptRunner
from livecommerce.tasks import Periodic, stop
from livecommerce.uring import Sender

log = logging.getLogger(__name__)

#: events sent to who joins anew
HISTORY = 50
#: how long opening a room may take
OPEN_TIMEOUT_S = 5.0
#: how long Valkey may take to say how far the rooms are, before viewers are told that it is away
CHECK_TIMEOUT_S = 2.0
#: how long an empty room stays open, so that a reload or a reconnect storm finds its ring
LINGER_S = 30.0
#: how often rooms and viewers are looked after
SWEEP_S = 1.0
#: bytes of missed events in one frame
CHUNK_BYTES = 64 * 1024
#: how long a joining viewer may take to make room for the next such frame
DRAIN_TIMEOUT_S = 10.0
#: rooms whose positions are asked for in one round trip; viewers looked at before a pause
_POSITIONS, _SLICE = 200, 500


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a viewer that joins is told: the log's top, and the events that follow the reply."""

    room: Room
    epoch: str
    offset: int
    #: whether the events are all that was missed since the viewer's own offset
    recovered: bool
    events: Sequence[Item]


class Hub:
    """The rooms of one worker; ``start`` and ``aclose`` own its tasks."""

    def __init__(
        self, redis: Redis, run_script: ScriptRunner, *, linger_s: float = LINGER_S, follows_replication: bool = False
    ) -> None:
        self._redis = redis
        self._linger_s = linger_s
        self.bus = Bus(redis)
        self._sender = Sender()
        self.log = RoomLog(run_script, follows_replication=follows_replication)
        self.reactions = Reactions(redis, self.position)
        self._rooms: dict[str, Room] = {}
        self._opening: dict[str, asyncio.Task[Room]] = {}
        self._care = Periodic("positions", SWEEP_S, self._watch_positions), Periodic("sweep", SWEEP_S, self._sweep)
        self._closing: CloseCode | None = None
        #: whether Valkey answered when last asked for positions
        self.healthy = True
        #: told of each deal whose units came back, in any open room (stream id, deal id)
        self.on_released: Callable[[str, str], None] | None = None

    async def start(self) -> None:
        """Start the bus and the care of rooms; does not wait for Valkey."""
        await self.bus.start()
        await self.reactions.start()
        for each in self._care:
            each.start()

    async def close_all(self, code: int) -> None:
        """Close every connection with this code, and let nobody join from now on."""
        code = self._closing = CloseCode(code)
        for room in self.rooms():
            for member in room.roster.members():
                member.close(code)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close connections and rooms; safe to call twice."""
        await self.close_all(self._closing or CloseCode.GOING_AWAY)
        for each in self._care:
            await each.aclose()
        await stop(*self._opening.values())
        rooms, self._rooms = self.rooms(), {}
        for room in rooms:
            await room.aclose()
        await self.reactions.aclose()
        await self.bus.aclose()
        self._sender.close()

    # for presence and commands

    def counts(self) -> dict[str, int]:
        """Joined viewers by stream, of every room that is open here."""
        return {stream_id: room.viewers for stream_id, room in self._rooms.items()}

    def rooms(self) -> list[Room]:
        """All rooms that are open here."""
        return [*self._rooms.values()]

    def room(self, stream_id: str) -> Room | None:
        """The room, when it is open here."""
        return self._rooms.get(stream_id)

    def position(self, stream_id: str) -> int:
        """The newest offset known here."""
        return room.position if (room := self._rooms.get(stream_id)) else 0

    def show(self, stream_id: str, slot: str, event_type: str, data: Any) -> None:
        """Show this worker's viewers of a stream the newest value of something."""
        if (room := self._rooms.get(stream_id)) is not None:
            room.show(slot, event_type, data)

    async def arrive(
        self, stream_id: str, member: Member, *, epoch: str | None = None, offset: int | None = None
    ) -> Arrival:
        """Enter a room: fixes what the member is told, and keeps private events for it from now on.

        The stream has to exist. Raises :class:`Problem` ``unavailable`` when Valkey cannot be reached.
        """
        if self._closing is not None:
            raise Problem("unavailable", "The server is going away.", retry_after_ms=1000)
        room = await self.hold(stream_id)
        try:
            room.expect(member)
            if member.single:
                # Best effort, as pub/sub is: a worker that misses it keeps the older one until the next announcement.
                words = (member.user_id, member.single, member.tag)
                await self._redis.spublish(keys.log(stream_id), b"o" + msgspec.json.encode(words))
            return await self._missed(room, epoch, offset)
        except BaseException as error:
            member.leave()
            if isinstance(error, (RedisError, OSError)):
                raise _unavailable() from error
            raise
        finally:
            room.visitors -= 1

    async def settle(self, arrival: Arrival, member: Member, *reply: bytes) -> None:
        """Send the reply (encoded by the member's codec) and the missed events, then let live events through."""
        room, codec = arrival.room, member.codec
        events, seen, bodies = list(arrival.events), arrival.offset, list(reply)
        while member.outbox.open:
            if room.epoch != arrival.epoch or (newer := room.ring.between(seen, room.position)) is None:
                member.close(CloseCode.POSITION_LOST)
                return
            events, seen = events + newer, room.position
            size = 0
            while events and size < CHUNK_BYTES:
                size += len(events[0].json)
                bodies.append(codec.body(events.pop(0)))
            if bodies and not member.send(*bodies):
                return
            if not events:
                room.admit(member, seen)
                return
            bodies = []
            if not await member.outbox.drained(DRAIN_TIMEOUT_S):
                member.close(CloseCode.SLOW_CONSUMER)

    async def _missed(self, room: Room, epoch: str | None, offset: int | None) -> Arrival:
        if epoch == room.epoch and offset is not None and offset > room.position:
            await room.reach(offset)
        if epoch == room.epoch and offset is not None and offset <= room.position:
            events, how = room.ring.between(offset, room.position), "ring"
            if events is None:
                events, how = await self._from_log(room, offset), "log"
            if events is not None and epoch == room.epoch:
                metrics.JOINS.labels(how).inc()
                top = events[-1].offset if events else offset
                return Arrival(room, room.epoch, top, True, events)
        metrics.JOINS.labels("none").inc()
        return Arrival(room, room.epoch, room.position, False, room.ring.newest(HISTORY))

    async def _from_log(self, room: Room, offset: int) -> list[Item] | None:
        """What follows an offset that the ring no longer reaches; ``None`` when the log does not either."""
        page = await room.whole_log()
        if page.epoch != room.epoch or not page.events or page.events[0].offset > offset + 1:
            return None
        newer = room.ring.between(page.top, room.position)
        return None if newer is None else [i for i in page.events if i.offset > offset] + newer

    async def hold(self, stream_id: str) -> Room:
        """The room, open until :meth:`Room.release`; the stream has to exist. Raises ``unavailable``."""
        room = self._rooms.get(stream_id)
        if room is None:
            task = self._opening.get(stream_id)
            if task is None:
                task = self._opening[stream_id] = asyncio.create_task(self._open_now(stream_id))
                task.add_done_callback(lambda t: self._opened(stream_id, t))
            try:
                room = await asyncio.shield(task)
            except (RedisError, OSError, TimeoutError) as error:
                raise _unavailable() from error
        room.visitors += 1
        return room

    async def _open_now(self, stream_id: str) -> Room:
        room = Room(stream_id, self.bus, self.log, self._sender)
        room.on_released = self.on_released
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await room.open()
        except BaseException:
            await room.aclose()
            raise
        return room

    def _opened(self, stream_id: str, task: asyncio.Task[Room]) -> None:
        self._opening.pop(stream_id, None)
        if not task.cancelled() and task.exception() is None:
            self._rooms[stream_id] = task.result()
            metrics.ROOMS.set(len(self._rooms))

    # care

    async def _watch_positions(self) -> None:
        """Ask Valkey, by the way commands take, how far the rooms are: pub/sub may be silent without being dead."""
        rooms = self.rooms()
        try:
            for start in range(0, len(rooms), _POSITIONS):
                await self._check(rooms[start : start + _POSITIONS])
            if rooms:
                self._status(healthy=self.bus.connected)
        except (RedisError, OSError, TimeoutError):
            self._status(healthy=False)

    async def _check(self, rooms: Sequence[Room]) -> None:
        before = [room.position for room in rooms]
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            pipeline = self._redis.pipeline(transaction=False)
            for room in rooms:
                pipeline.hmget(keys.room(room.stream_id), "epoch", "offset")
            if self.log.follows_replication:
                pipeline.info("replication")
            answers = await pipeline.execute()
        replication_id = str(answers.pop()["master_replid"]) if self.log.follows_replication else ""
        missed = False
        for room, position, (epoch, offset) in zip(rooms, before, answers, strict=True):
            missed |= not room.check(epoch_of(epoch, replication_id), int(offset or 0), position)
        if missed:
            self.bus.reconnect()

    def _status(self, *, healthy: bool) -> None:
        if healthy != self.healthy:
            self.healthy = healthy
            for room in self._rooms.values():
                room.show("status", "status", {"state": "ok" if healthy else "degraded"})

    async def _sweep(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for room in self.rooms():
            members = room.roster.members()
            for start in range(0, len(members), _SLICE):
                for member in members[start : start + _SLICE]:
                    _look_after(member, now_s)
                await asyncio.sleep(0)
            room.tick.refresh()
            if room.unused and now_s - room.emptied_s >= self._linger_s:
                del self._rooms[room.stream_id]
                metrics.ROOMS.set(len(self._rooms))
                with contextlib.suppress(RedisError, OSError):
                    await room.aclose()


def _look_after(member: Member, now_s: float) -> None:
    try:
        member.look_after(now_s)
    except Exception:
        log.exception("a viewer could not be looked after")
        member.outbox.transport.abort()


def _unavailable() -> Problem:
    return Problem("unavailable", "The room cannot be reached for the moment.", retry_after_ms=1000)
