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
from livecommerce.outbox import Outbox
from livecommerce.uring import Sender

log = logging.getLogger(__name__)

#: the tick of a busy room: at least, at most, and how many times what it costs
TICK_MIN_S, TICK_MAX_S, TICK_COST_FACTOR = 0.02, 0.05, 10
#: viewers written to before the loop may do something else: about 2 ms
SLICE = 500
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
        #: the newest of every latest-only slot
        self.latest: dict[str, Item] = {}
        self._batch: list[Item] = []
        self._fresh: dict[str, Item] = {}
        self._wake = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more numbered events may be added before the next tick."""
        return len(self._batch) >= BATCH_MAX

    def add(self, item: Item) -> None:
        """The next numbered event."""
        self._batch.append(item)
        self._wake.set()

    def show(self, slot: str, item: Item) -> None:
        """A latest-only event: it replaces what waits in its slot."""
        self.latest.pop(slot, None)
        self.latest[slot] = self._fresh[slot] = item
        while len(self.latest) > SLOTS_MAX:
            oldest = next(iter(self.latest))
            del self.latest[oldest]
            self._fresh.pop(oldest, None)
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
            cost_s = await self.deliver(batch, list(self.latest.values()))
            next_s = loop.time() + min(max(TICK_MIN_S, cost_s * TICK_COST_FACTOR), TICK_MAX_S)

    async def deliver(self, batch: Batch, latest: Sequence[Item]) -> float:
        """Write a batch to all, in slices; the seconds it took, without the pauses."""
        members = list(self.joined)
        cost_s, cpu_s, events = 0.0, 0.0, 0
        for start in range(0, len(members), SLICE):
            if start:
                await asyncio.sleep(0)
            began_s, began_cpu_s = perf_counter(), thread_time()
            events += self._write(members[start : start + SLICE], batch, latest)
            cost_s += perf_counter() - began_s
            cpu_s += thread_time() - began_cpu_s
        metrics.FRAMES.add(by=len(members))
        metrics.DELIVERIES.add(by=events)
        metrics.FAN_OUT_S.add(by=cpu_s)
        return cost_s

    def _write(self, members: Sequence[Member], batch: Batch, latest: Sequence[Item]) -> int:
        """Hot path (load_tests chat-storm). Write a batch to some viewers; the number of events written.

        Nearly everybody, nearly always, has nothing waiting and gets the very bytes that the others get, by one call
        for all; one who is asked by :meth:`Member.deliver` costs 1 µs more. In the loop's turn in which a transport
        says that it closes its socket is still its own: nobody else's connection can be written to.
        """
        events = batch.count * len(members)
        groups: dict[Codec, tuple[list[Outbox], list[int]]] = {}
        codec: Codec | None = None
        for member in members:
            outbox = member.outbox
            if not outbox.direct or not batch.count or outbox.transport.is_closing():
                events += _deliver(member, batch, latest) - batch.count
                continue
            if member.codec is not codec:
                codec = member.codec
                ready, sockets = groups.setdefault(codec, ([], []))
            ready.append(outbox)
            sockets.append(outbox.fd)
        for codec, (ready, sockets) in groups.items():
            try:
                self._send(batch.frame(codec), ready, sockets)
            except Exception:
                # Nobody knows what these have: they come back, and miss nothing.
                log.exception("viewers could not be written to")
                for outbox in ready:
                    outbox.transport.abort()
        return events

    def _send(self, frame: bytes, ready: Sequence[Outbox], sockets: Sequence[int]) -> None:
        taken, size = self._sender.send(sockets, frame), len(frame)
        if taken.count(size) == len(taken):
            return
        for outbox, sent in zip(ready, taken, strict=True):
            if sent == size:
                continue
            try:
                outbox.wait(frame[max(0, sent) :])
            except Exception:
                log.exception("a viewer could not be written to")
                outbox.transport.abort()


def _deliver(member: Member, batch: Batch, latest: Sequence[Item]) -> int:
    try:
        return member.deliver(batch, latest)
    except Exception:
        # One broken connection must not stop the others' events.
        log.exception("a viewer could not be written to")
        member.outbox.transport.abort()
        return 0
