"""The tick of a room: events wait for it, and go to every joined viewer in one frame.

Events go out at once when the room was idle, else 20–50 ms after the last tick (longer the more a tick costs), so that
a busy room's events share a frame: the cost of a delivery is the kernel's send, so the lever is fewer sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter, thread_time

from livecommerce import room_metrics as metrics
from livecommerce.frames import Batch, Codec, Item
from livecommerce.member import Member
from livecommerce.seats import WIDTH, Row
from livecommerce.uring import Sender

log = logging.getLogger(__name__)

#: the tick of a busy room: at least, at most, and how many times what it costs
TICK_MIN_S, TICK_MAX_S, TICK_COST_FACTOR = 0.02, 0.05, 10
#: numbered events that may wait; the room reads more than these from the log, later
BATCH_MAX = 2000
#: latest-only slots of a room; the longest unchanged goes first
SLOTS_MAX = 256


class Tick:
    """The joined viewers of one room, and what waits to be sent to them."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        #: in order of joining
        self.joined: dict[Member, None] = {}
        #: who among them is written to together; and the others, with the last tick that each was sent
        self._rows: list[Row] = []
        self._loose: dict[Member, int] = {}
        self._number = 0
        #: the newest of every latest-only slot
        self.latest: dict[str, Item] = {}
        self._batch: list[Item] = []
        self._fresh: dict[str, Item] = {}
        self._wake = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more numbered events may be added before the next tick."""
        return len(self._batch) >= BATCH_MAX

    def join(self, member: Member) -> None:
        """From the next tick on. Who joins while one is under way has seen what that one tells."""
        self.joined[member] = None
        self._loose[member] = self._number

    def leave(self, member: Member) -> None:
        """Forget a member; safe to call twice."""
        member.outbox.stand()
        self.joined.pop(member, None)
        self._loose.pop(member, None)

    def add(self, item: Item) -> None:
        """The next numbered event."""
        self._batch.append(item)
        self._wake.set()

    def show(self, slot: str, item: Item, *, lasts: bool = True) -> None:
        """A latest-only event: it replaces what waits in its slot. Who was slow is told what ``lasts`` later, too."""
        for slots in (self._fresh, self.latest) if lasts else (self._fresh,):
            slots.pop(slot, None)
            slots[slot] = item
            while len(slots) > SLOTS_MAX:
                del slots[next(iter(slots))]
        self._wake.set()

    def clear(self) -> None:
        """Forget what waits."""
        self._batch, self._fresh = [], {}

    def refresh(self) -> None:
        """Give viewers that were slow, and no longer are, the latest values they did not get."""
        latest = list(self.latest.values())
        for member in list(self.joined):
            if member.stale and member.outbox.open and member.outbox.roomy:
                member.deliver(Batch((), ()), latest)

    async def run(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        next_s = 0.0
        while True:
            await self._wake.wait()
            # sleep(0) lets what this turn of the loop still brings join the frame.
            await asyncio.sleep(max(0.0, next_s - loop.time()))
            self._wake.clear()
            batch = Batch(self._batch, list(self._fresh.values()))
            self.clear()
            cost_s = 0.0
            try:
                cost_s = await self.deliver(batch, list(self.latest.values()))
            except Exception:
                # Nobody knows who has what: they come back, and miss nothing; and the room goes on.
                log.exception("a tick could not be sent")
                for member in list(self.joined):
                    member.outbox.transport.abort()
            next_s = loop.time() + min(max(TICK_MIN_S, cost_s * TICK_COST_FACTOR), TICK_MAX_S)

    async def deliver(self, batch: Batch, latest: Sequence[Item]) -> float:
        """Write a batch to all, in slices; the seconds it took, without the pauses."""
        tick = self._number = self._number + 1
        rows = self._rows = [row for row in self._rows if len(row)]
        viewers, meter = len(self.joined), _Meter()
        for row in [*rows] if batch.count else ():
            async with meter:
                meter.events += row.write(batch, tick, self._sender)
        waiting = [member for member, sent in self._loose.items() if sent != tick]
        for start in range(0, len(waiting), WIDTH):
            async with meter:
                for member in waiting[start : start + WIDTH]:
                    meter.events += self._deliver(member, batch, latest)
        metrics.FRAMES.add(by=viewers)
        metrics.DELIVERIES.add(by=meter.events)
        metrics.FAN_OUT_S.add(by=meter.cpu_s)
        return meter.cost_s

    def _deliver(self, member: Member, batch: Batch, latest: Sequence[Item]) -> int:
        """Write a batch to one who is in no row; from now on it is, where nothing waits for it."""
        if member not in self._loose:
            return 0  # it has left meanwhile
        self._loose[member] = self._number
        try:
            events = member.deliver(batch, latest)
        except Exception:
            # One broken connection must not stop the others' events.
            log.exception("a viewer could not be written to")
            member.outbox.transport.abort()
            return 0
        if member in self._loose and not member.stale and member.outbox.ready:
            self._row(member.codec).seat(member)
        return events

    def _row(self, codec: Codec) -> Row:
        for row in self._rows:
            if row.codec is codec and len(row) < WIDTH:
                return row
        self._rows.append(Row(codec, self._number, self._loose))
        return self._rows[-1]


class _Meter:
    """Measures slices; between two of them the loop may do something else."""

    def __init__(self) -> None:
        self.cost_s = self.cpu_s = 0.0
        self.events = 0
        self._began_s = self._began_cpu_s = 0.0
        self._first = True

    async def __aenter__(self) -> None:
        if not self._first:
            await asyncio.sleep(0)
        self._first = False
        self._began_s, self._began_cpu_s = perf_counter(), thread_time()

    async def __aexit__(self, *_: object) -> None:
        self.cost_s += perf_counter() - self._began_s
        self.cpu_s += thread_time() - self._began_cpu_s
