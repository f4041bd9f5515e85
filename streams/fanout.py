"""The hot path: one prepared run to many viewers.

Everything that is the same for viewers of one rendering is done once, in :class:`PreparedRun`; for each viewer remain
a copy and one ``srtp_protect`` a packet, for each batch of viewers one ``sendmmsg`` with ``UDP_SEGMENT``. A frame to
500 viewers would hold the event loop for 11 ms: it is sent in slices, between which others run.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import time
from array import array
from collections import deque
from collections.abc import Sequence
from itertools import repeat, starmap
from typing import Any, Protocol

from streams import batch as batches
from streams.batch import HEADER_BYTES, LENGTH_BYTES, MAX_SEGMENTS, WIDTH, Outlet, Slot, ancillary
from streams.delays import Delays
from streams.packet import Mark, Packet, Rendering
from streams.runs import split_runs
from streams.srtp import MAX_SEND_BYTES, SendBuffer, memmove, protect

#: seconds a slice may hold the event loop
SLICE_S = 0.002
#: the clock is read once for so many viewers
VIEWERS_BETWEEN_CLOCKS = 16
#: runs that may wait for their slice; more means that this worker is overloaded, and the oldest are dropped
MAX_WAITING_RUNS = 256
#: seconds after which a waiting run is dropped: a worker without enough CPU (seen with 28 processes on 2 cores) fell
#: 3 s behind with the bound above alone; a picture with holes that is asked anew is better than a late one
MAX_WAIT_S = 0.3

#: what a kernel or device without segmentation answers, or one whose path is too narrow for it
_NO_SEGMENTATION = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT)


class Receiver(Protocol):
    """What the fan-out needs to know of a viewer."""

    #: libsrtp context; None once the viewer has left
    context: Any
    address: Any
    #: the same as the kernel reads it: :func:`streams.batch.packed`
    name: bytes
    #: whether sends to this address may be segmented by the kernel; sticky for each viewer
    segmented: bool
    #: what the fan-out keeps for the next run; :data:`streams.batch.NO_OUTLET` at first
    outlet: Outlet
    packets_sent: int
    bytes_sent: int
    packets_dropped: int


class PreparedRun:
    """Plaintexts as a slot has them, and what the kernel is told of them."""

    __slots__ = ("arrived_s", "batch", "count", "sizes", "template", "total")

    def __init__(self, plaintexts: Sequence[bytes], tag_bytes: int, buffer: SendBuffer, arrived_s: float = 0.0) -> None:
        self.arrived_s = arrived_s
        self.count = count = len(plaintexts)
        stride, last = len(plaintexts[0]) + tag_bytes, len(plaintexts[-1]) + tag_bytes
        self.batch = buffer.batch(stride)
        self.template = self.batch.template(plaintexts)
        #: bytes of each packet as sent: all but the last of one size
        self.sizes = array("Q", repeat(stride, count))
        self.sizes[-1] = last
        self.total = stride * (count - 1) + last

    def again(self, rendering: Rendering, marks: Sequence[Mark]) -> PreparedRun:
        """The same packets as another rendering of the same shape has them."""
        other = PreparedRun.__new__(PreparedRun)
        other.arrived_s, other.batch, other.count = self.arrived_s, self.batch, self.count
        other.sizes, other.total = self.sizes, self.total
        template = bytearray(self.template)
        rendering.write(template, marks)
        other.template = bytes(template)
        return other


class Draft:
    """Runs of some packets, from which those of other renderings of the same shape are made."""

    def __init__(self, packets: Sequence[Packet], rendering: Rendering, runs: list[PreparedRun]) -> None:
        self._packets, self._rendering, self._runs = packets, rendering, runs
        self._marks: dict[bool, list[list[Mark]]] = {}

    def runs(self, rendering: Rendering) -> list[PreparedRun]:
        """The runs as this rendering has them; byte for byte what it would have by itself."""
        counts = any(each.shift is not None and each.shift.counts for each in (self._rendering, rendering))
        if counts not in self._marks:
            self._marks[counts] = self._marked(counts)
        return [run.again(rendering, marks) for run, marks in zip(self._runs, self._marks[counts], strict=True)]

    def _marked(self, counts: bool) -> list[list[Mark]]:
        packets, marks = iter(self._packets), []
        for run in self._runs:
            places = range(LENGTH_BYTES, LENGTH_BYTES + run.count * run.batch.unit, run.batch.unit)
            marks.append([self._rendering.mark(next(packets), place, counts=counts) for place in places])
        return marks


#: drafts of the same packets by the shape of the renderings that they serve
Drafts = dict[Rendering, Draft]


def prepare(
    packets: Sequence[Packet], rendering: Rendering, ssrc: int, buffer: SendBuffer, drafts: Drafts | None = None
) -> list[PreparedRun]:
    """The packets as runs of one rendering; made from those in ``drafts``, of the same packets, where one is alike."""
    draft = drafts.get(rendering.shape) if drafts else None
    if draft is not None:
        return draft.runs(rendering)
    plaintexts = [rendering.plaintext(packet, ssrc) for packet in packets]
    sizes = [len(each) for each in plaintexts]
    tag = rendering.tag_bytes
    ranges = split_runs(sizes, tag_bytes=tag, max_segments=MAX_SEGMENTS, max_bytes=MAX_SEND_BYTES)
    runs = [
        PreparedRun(plaintexts[each.start : each.stop], tag, buffer, packets[each.start].arrived_s) for each in ranges
    ]
    if drafts is not None:
        drafts[rendering.shape] = Draft(packets, rendering, runs)
    return runs


class FanOut:
    """Sends prepared runs in order, in slices; one a broadcast."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        overall: Delays | None = None,
    ) -> None:
        self._overall = overall or Delays()
        self._socket = sock
        self._loop = loop
        self._waiting: deque[tuple[PreparedRun, Sequence[Receiver]]] = deque()
        #: how far the first waiting run has got
        self._position = 0
        self._scheduled = False
        self.runs_dropped = 0
        self.delays = Delays()
        self.slices = 0

    def send(self, runs: Sequence[PreparedRun], viewers: Sequence[Receiver]) -> None:
        """Send the runs to the viewers as they are now; what does not fit in a slice follows by itself."""
        for run in runs:
            if len(self._waiting) >= MAX_WAITING_RUNS:
                self._waiting.popleft()
                self._position = 0
                self.runs_dropped += 1
            self._waiting.append((run, viewers))
        if not self._scheduled:
            self._slice()

    def _slice(self) -> None:
        self._scheduled = False
        self.slices += 1
        deadline = time.monotonic() + SLICE_S
        while self._waiting:
            run, viewers = self._waiting[0]
            if not self._position and len(self._waiting) > 1 and 0 < run.arrived_s < deadline - MAX_WAIT_S:
                self._waiting.popleft()
                self.runs_dropped += 1
                continue
            while self._position < len(viewers):
                part = viewers[self._position : self._position + VIEWERS_BETWEEN_CLOCKS]
                self._position += len(part)
                self.send_to(run, part)
                if time.monotonic() >= deadline and (self._position < len(viewers) or len(self._waiting) > 1):
                    self._scheduled = True
                    self._loop.call_soon(self._slice)
                    return
            self._waiting.popleft()
            self._position = 0
            # From the first packet's arrival to its last viewer: what anyone waited at most.
            waited_s = time.monotonic() - run.arrived_s
            self.delays.note(waited_s, run.count)
            self._overall.note(waited_s, run.count)

    def send_to(self, run: PreparedRun, viewers: Sequence[Receiver]) -> None:
        """Encrypt and send one run to each viewer. The hot path: every name is local (load_tests/relay_floor.py)."""
        slots, names = run.batch.slots, run.batch.names
        template, template_bytes, count = run.template, len(run.template), run.count
        filled: list[Receiver] = []
        for viewer in viewers:
            context = viewer.context
            if context is None:
                continue
            slot = slots[len(filled)]
            known, its, calls = viewer.outlet
            if known is not slot or its is not context or len(calls) < count:
                calls = slot.calls(context, count)
                viewer.outlet = slot, context, calls
            memmove(slot.start, template, template_bytes)
            if any(starmap(protect, calls if len(calls) == count else calls[:count])):
                viewer.packets_dropped += count
            elif count > 1 and not viewer.segmented:
                self._send_singly(run, viewer, slot)
            else:
                names[slot.name] = viewer.name
                filled.append(viewer)
                if len(filled) == WIDTH:
                    self._post(run, filled)
                    filled = []
        if filled:
            self._post(run, filled)

    def _post(self, run: PreparedRun, viewers: Sequence[Receiver]) -> None:
        """Send the slots that are filled: in one call, but for those the kernel refuses."""
        send_many, batch = batches.sendmmsg, run.batch
        if send_many is None:
            for viewer, slot in zip(viewers, batch.slots, strict=False):
                self._send_alone(run, viewer, slot)
            return
        count, total = run.count, run.total
        done, wanted = 0, len(viewers)
        batch.load(run.sizes, wanted)
        descriptor = self._socket.fileno()
        while done < wanted:
            sent = send_many(descriptor, batch.headers + HEADER_BYTES * done, wanted - done, socket.MSG_DONTWAIT)
            if sent > 0:
                for viewer in viewers if sent == wanted else viewers[done : done + sent]:
                    viewer.packets_sent += count
                    viewer.bytes_sent += total
                done += sent
            else:
                # The kernel stops before a message that it refuses, and says why when asked to begin with it.
                self._failed(run, viewers[done], batch.slots[done], ctypes.get_errno())
                done += 1

    def _send_alone(self, run: PreparedRun, viewer: Receiver, slot: Slot) -> None:
        """One run to one viewer by the socket module."""
        try:
            self._socket.sendmsg(
                slot.views(run.sizes), ancillary(run.sizes[0]) if run.count > 1 else (), 0, viewer.address
            )
        except OSError as error:
            self._failed(run, viewer, slot, error.errno)
        else:
            self._sent(run, viewer)

    def _send_singly(self, run: PreparedRun, viewer: Receiver, slot: Slot) -> None:
        """One run to one viewer, packet by packet."""
        try:
            for view in slot.views(run.sizes):
                self._socket.sendto(view, viewer.address)
        except OSError:
            viewer.packets_dropped += run.count
        else:
            self._sent(run, viewer)

    def _failed(self, run: PreparedRun, viewer: Receiver, slot: Slot, number: int | None) -> None:
        """A full socket buffer drops and counts; a refused segmentation is remembered for this address alone."""
        if run.count > 1 and viewer.segmented and number in _NO_SEGMENTATION:
            viewer.segmented = False
            self._send_singly(run, viewer, slot)
        else:
            viewer.packets_dropped += run.count

    def _sent(self, run: PreparedRun, viewer: Receiver) -> None:
        viewer.packets_sent += run.count
        viewer.bytes_sent += run.total

    def close(self) -> None:
        """Forget what still waits."""
        self._waiting.clear()
        self._position = 0
