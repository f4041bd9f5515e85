"""One room in this worker: its position in the log, its ring, and who is in it.

``position`` is the newest offset accepted, in order. A message that does not continue it is kept aside and the log is
read: what is missing comes from there, and where that is impossible (another epoch, trimmed past us) every viewer is
closed with 3010. So viewers see no gap and no double.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from redis.exceptions import RedisError

from livecommerce import keys
from livecommerce import room_metrics as metrics
from livecommerce.bus import Bus
from livecommerce.close_codes import CloseCode
from livecommerce.frames import Item
from livecommerce.member import Member
from livecommerce.room_log import LOG_MAX, RING_EVENTS, DeepLog, Page, Ring, RoomLog, offset_of
from livecommerce.roster import Roster
from livecommerce.snapshot import Snapshot
from livecommerce.tasks import stop
from livecommerce.tick import TICK_MIN_S, Tick
from livecommerce.told import MOMENT, for_those_here, is_end, is_talk, poll_after, released_deal, split_slot
from livecommerce.uring import Sender

log = logging.getLogger(__name__)

#: messages kept aside while the log is read; more are read from the log too
EARLY_MAX = 2000
#: between attempts to read the log while Valkey is away
RETRY_S = 0.25
#: looks at the log for one who is ahead of us (the first may have begun before they asked), how long one may take, and
#: what lies between two of them, however many ask
LOOKS, LOOK_TIMEOUT_S, LOOK_PAUSE_S = 2, 1.0, 0.05


class Room:
    """Owned by the hub, which opens it, closes it, and puts viewers in."""

    def __init__(self, stream_id: str, bus: Bus, room_log: RoomLog, sender: Sender) -> None:
        self.stream_id = stream_id
        self.epoch = ""
        self.position = 0
        self.ring = Ring()
        #: whether ``stream.ended`` was seen
        self.ended = False
        #: who is between asking for the room and being a member: the room must not be closed under them
        self.visitors = 0
        self.emptied_s = asyncio.get_running_loop().time()
        #: what waits to be sent, and the joined viewers it is sent to
        self.tick = Tick(sender)
        self.roster = Roster()
        #: whom the host made moderators, as far as is known here; commands ask Valkey
        self.moderators: frozenset[str] = frozenset()
        self.poll_open = False  # as far as is known here, too
        #: what everybody who joins is told
        self.snapshot = Snapshot()
        #: an offset the room is said to have reached, seen by the hub's check
        self.suspected = 0
        #: told of each ban: who holds the room has more to end than connections (user id, until when or ``None``)
        self.on_ban: Callable[[str, int | None], None] | None = None
        #: told of each deal whose units came back (stream id, deal id)
        self.on_released: Callable[[str, str], None] | None = None
        self._bus, self._log = bus, room_log
        self._channel = keys.log(stream_id)
        self._loaded = False
        self._early: dict[int, bytes] = {}
        self._behind = asyncio.Event()
        #: set, and made anew, when the log has been looked at; and when that was
        self._looked, self._looked_s = asyncio.Event(), float("-inf")
        self._tasks: list[asyncio.Task[Any]] = []
        self._deep = DeepLog(room_log, stream_id)

    # opening and closing

    async def open(self) -> None:
        """Subscribe, then read the log: in this order nothing falls between. Raises redis-py's errors and timeouts."""
        await self._bus.subscribe(self._channel, self)
        self._start_anew(await self._log.newest(self.stream_id, RING_EVENTS))
        self._tasks = [asyncio.create_task(self.tick.run()), asyncio.create_task(self._keep_up())]

    async def aclose(self) -> None:
        """Forget everything; safe to call twice."""
        # First, and without a pause before it takes effect: the room may be opened anew in the next moment.
        await self._bus.unsubscribe(self._channel, self)
        tasks, self._tasks = self._tasks, []
        await stop(*tasks)
        await self._deep.aclose()

    def _start_anew(self, page: Page) -> None:
        self.epoch, self.position, self._loaded = page.epoch, page.top, True
        self.suspected = 0
        self.snapshot.touch()
        self.ring.reset(page.events)
        self.ended = any(is_end(item.json) for item in page.events)
        for item in page.events:
            self.poll_open = poll_after(item.json, self.poll_open)
        self._accept_early()

    # members

    @property
    def viewers(self) -> int:
        """How many have joined."""
        return len(self.tick.joined)

    @property
    def unused(self) -> bool:
        """Whether nobody is here or on the way."""
        return not self.roster and self.visitors == 0

    def expect(self, member: Member) -> None:
        """From now on private events are kept for this member until it has joined."""
        member.room = self
        self.roster.add(member)

    def admit(self, member: Member, seen: int) -> None:
        """The member has everything up to ``seen``: it gets what follows, and the private events kept for it."""
        self.tick.join(member)
        member.admitted(seen)

    def release(self) -> None:
        """End a :meth:`livecommerce.hub.Hub.hold`."""
        self.visitors -= 1
        self.emptied_s = asyncio.get_running_loop().time()

    def remove(self, member: Member) -> None:
        """Forget a member."""
        self.tick.leave(member)
        self.roster.remove(member)
        self.emptied_s = asyncio.get_running_loop().time()

    def on_message(self, message: bytes) -> None:
        """A published message: see lua/emit.lua for its forms."""
        kind, body = message[:1], message[1:]
        if kind == b"n":
            metrics.EVENTS.add("numbered")
            self._numbered(body)
        elif kind == b"l":
            metrics.EVENTS.add("latest")
            slot, rest = split_slot(body)
            self.tick.show(slot, Item(rest), lasts=not slot.startswith(MOMENT))
            if slot.startswith("stock:"):
                self.snapshot.touch()
        elif kind == b"p":
            metrics.EVENTS.add("private")
            self._private(body)
        elif kind == b"m":
            for member, item in for_those_here(body, self.roster.by_address):
                metrics.EVENTS.add("private")
                member.tell(item)
        elif kind == b"o":
            self.roster.displace(*msgspec.json.decode(body, type=tuple[str, str, str]))

    def on_subscribed(self) -> None:
        """Anything may have been missed before this moment."""
        if self._loaded:
            self._behind.set()

    def show(self, slot: str, event_type: str, data: Any) -> None:
        """A latest-only event of this worker's own making, for the viewers here."""
        event = {"type": event_type, "as_of": self.position, "data": data}
        self.tick.show(slot, Item(msgspec.json.encode(event)))

    def check(self, epoch: str, offset: int, before: int) -> bool:
        """Compare with what Valkey said, our position having been ``before`` when it was asked.

        False when messages must have been missed: what was there a check ago has still not arrived.
        """
        missed = self.suspected > self.position
        self.suspected = offset
        if missed or epoch != self.epoch or offset < before:
            self._behind.set()
        return not missed

    def _numbered(self, body: bytes) -> None:
        offset = offset_of(body)
        if self._loaded and offset == self.position + 1 and not self.tick.full:
            self._accept(Item(body, offset, self.epoch))
            if self._early:
                self._accept_early()
        elif self._loaded and offset <= self.position and self.ring.holds(Item(body, offset)):
            return
        else:
            if len(self._early) < EARLY_MAX:
                self._early[offset] = body
            if self._loaded:
                self._behind.set()

    def _accept(self, item: Item) -> None:
        self.position = item.offset
        self.ring.add(item)
        self.tick.add(item)
        if not is_talk(item.json):
            self.snapshot.touch()
            self.poll_open = poll_after(item.json, self.poll_open)
            self.ended = self.ended or is_end(item.json)
        if self.on_released is not None and (deal_id := released_deal(item.json)) is not None:
            self.on_released(self.stream_id, deal_id)

    def _accept_early(self) -> None:
        while (body := self._early.pop(self.position + 1, None)) is not None:
            self._accept(Item(body, self.position + 1, self.epoch))
        for offset in [o for o in self._early if o <= self.position]:
            del self._early[offset]

    def _private(self, body: bytes) -> None:
        event, item = msgspec.json.decode(body), Item(body)
        members = self.roster.named(event["to"])
        for member in members:
            member.tell(item)
        if event["type"] == "moderation":
            self._moderated(event["data"], members)

    def _moderated(self, data: dict[str, Any], members: list[Member]) -> None:
        """Somebody was banned or made a moderator: it takes effect here at once."""
        action, user_id = data["action"], data["user_id"]
        if action == "ban":
            if self.on_ban is not None:
                self.on_ban(user_id, data["until_ms"])
            for member in members:
                member.close(CloseCode.BANNED)
            return
        self.moderators = self.moderators - {user_id} | ({user_id} if action == "grant" else set())
        self.snapshot.touch()

    # staying whole

    async def _keep_up(self) -> None:
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._read_missed()
                self._looked_s = asyncio.get_running_loop().time()
                looked, self._looked = self._looked, asyncio.Event()
                looked.set()
            except Exception as error:
                ours = not isinstance(error, (RedisError, OSError))
                log.warning("room %s cannot read its log yet: %s", self.stream_id, error, exc_info=ours)
                self._behind.set()
                await asyncio.sleep(RETRY_S)

    async def _read_missed(self) -> None:
        if self.tick.full:
            self._behind.set()
            await asyncio.sleep(TICK_MIN_S)
            return
        # Compared with the position of before the question: while the page is on its way messages may move us on.
        before = self.position
        page = await self._log.after(self.stream_id, before)
        trimmed = page.top > before and (not page.events or page.events[0].offset > before + 1)
        if page.epoch != self.epoch or page.top < before or trimmed:
            await self._lose_position()
            return
        missed = [item for item in page.events if item.offset > self.position]
        for item in missed:
            self._accept(item)
        metrics.GAPS.inc(bool(missed))
        self._accept_early()
        if self._early:
            self._behind.set()
            await asyncio.sleep(0 if missed else RETRY_S)  # else a hole that nothing fills is asked for without end

    async def _lose_position(self) -> None:
        metrics.POSITIONS_LOST.inc()
        log.warning("room %s lost its position: viewers start anew", self.stream_id)
        self._loaded = False
        self._early.clear()
        self.tick.clear()
        page = await self._log.newest(self.stream_id, RING_EVENTS)
        for member in self.roster.members():
            member.close(CloseCode.POSITION_LOST)
        self._start_anew(page)

    async def reach(self, offset: int) -> None:
        """Look at the log for an offset not seen here yet: a viewer may come from a worker that heard it before us.

        All who ask at about the same time share a look; none is for more than a log is long. ``position`` then tells.
        """
        loop = asyncio.get_running_loop()
        for _ in range(LOOKS):
            if not self.position < offset <= self.position + LOG_MAX:
                return
            await asyncio.sleep(max(0.0, self._looked_s + LOOK_PAUSE_S - loop.time()))
            self._behind.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    await self._looked.wait()

    async def whole_log(self) -> Page:
        """All of the log, or as it was so lately that the ring goes on from there. Raises redis-py's errors."""
        return await self._deep.page(lambda p: p.epoch == self.epoch and self.ring.reaches(p.top, self.position))
