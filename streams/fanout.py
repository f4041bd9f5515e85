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
from operator import length_hint

from streams import batch as batches
from streams.batch import HEADER_BYTES, LENGTH_BYTES, MAX_SEGMENTS, Call, Slot, ancillary
from streams.delays import Delays
from streams.packet import Mark, Packet, Rendering
from streams.rows import Group, Member, Receiver, Row
from streams.runs import split_runs
from streams.srtp import MAX_SEND_BYTES, SendBuffer, protect

#: seconds a slice may hold the event loop
SLICE_S = 0.002
#: the same when a run has waited for so long: where turns of the loop are long, because thousands buy and are told of
#: it, 2 ms of each are not enough
LATE_SLICE_S, LATE_S = 0.005, 0.05
#: runs that may wait for their slice; more means that this worker is overloaded, and the oldest are dropped
MAX_WAITING_RUNS = 256
#: seconds after which a waiting run is dropped: a worker without enough CPU (seen with 28 processes on 2 cores) fell
#: 3 s behind with the bound above alone; a picture with holes that is asked anew is better than a late one
MAX_WAIT_S = 0.3

#: what a kernel or device without segmentation answers, or one whose path is too narrow for it
_NO_SEGMENTATION = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT)


class PreparedRun:
    """Plaintexts as a slot has them, and what the kernel is told of them."""

    __slots__ = ("arrived_s", "batch", "count", "places", "sizes", "template", "total")

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
        #: where the template is copied to, for each slot
        self.places = self.batch.places(len(self.template))

    def again(self, rendering: Rendering, marks: Sequence[Mark]) -> PreparedRun:
        """The same packets as another rendering of the same shape has them."""
        other = PreparedRun.__new__(PreparedRun)
        other.arrived_s, other.batch, other.count = self.arrived_s, self.batch, self.count
        other.sizes, other.total, other.places = self.sizes, self.total, self.places
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
        self._waiting: deque[tuple[PreparedRun, Group]] = deque()
        #: how many rows have had the first waiting run
        self._position = 0
        self._scheduled = False
        self.runs_dropped = 0
        self.delays = Delays()
        self.slices = 0

    def send(self, runs: Sequence[PreparedRun], viewers: Sequence[Receiver]) -> None:
        """Send the runs to the viewers as they are now; what does not fit in a slice follows by itself."""
        group = viewers if isinstance(viewers, Group) else Group.of(viewers)
        for run in runs:
            if len(self._waiting) >= MAX_WAITING_RUNS:
                self._drop()
            self._waiting.append((run, group))
        if not self._scheduled:
            self._slice()

    def send_to(self, run: PreparedRun, viewers: Sequence[Receiver]) -> None:
        """Send one run at once to a few viewers, before whatever waits."""
        for row in Group.of(viewers).rows:
            self._send_row(run, row)

    def _slice(self) -> None:
        self._scheduled = False
        self.slices += 1
        began_s = time.monotonic()
        late = self._waiting and 0 < self._waiting[0][0].arrived_s < began_s - LATE_S
        deadline = began_s + (LATE_SLICE_S if late else SLICE_S)
        while self._waiting:
            run, group = self._waiting[0]
            if not self._position and len(self._waiting) > 1 and 0 < run.arrived_s < deadline - MAX_WAIT_S:
                self._drop()
                continue
            while self._position < len(group.rows):
                self._send_row(run, group.rows[self._position])
                self._position += 1
                now_s = time.monotonic()
                if now_s >= deadline and (self._position < len(group.rows) or len(self._waiting) > 1):
                    self._scheduled = True
                    self._loop.call_soon(self._slice)
                    return
            self._waiting.popleft()
            self._position = 0
            # From the first packet's arrival to its last viewer: what anyone waited at most.
            waited_s = time.monotonic() - run.arrived_s
            self.delays.note(waited_s, run.count)
            self._overall.note(waited_s, run.count)

    def _drop(self) -> None:
        """Leave out the oldest run; it counts at each who goes without, for the path is not to blame."""
        run, group = self._waiting.popleft()
        for row in group.rows[self._position :]:
            for viewer in row.viewers:
                viewer.packets_dropped += run.count
        self._position = 0
        self.runs_dropped += 1

    def _send_row(self, run: PreparedRun, row: Row) -> None:
        """Encrypt and send one run to a row. The hot path: nothing is made that a run before it had made already."""
        batch, template = run.batch, run.template
        calls = row.calls(batch, run.count)
        members, memory = row.members, batch.memory
        if members:
            for place in run.places[: len(members)]:
                memory[place] = template
            batch.names[: len(row.names)] = row.names
            left = iter(calls)
            if any(starmap(protect, left)):
                self._send_some(run, members, calls, len(calls) - length_hint(left) - 1)
            else:
                self._post(run, members, 0, len(members))
        for viewer in row.singly():
            self._send_singly(run, viewer)

    def _send_some(self, run: PreparedRun, members: Sequence[Member], calls: Sequence[Call], failed: int) -> None:
        """libsrtp refused the call of this index: its viewer goes without; no packet is encrypted a second time."""
        count, first = run.count, 0
        refused = failed // count
        for index in range(refused, len(members)):
            if index == refused or any(starmap(protect, calls[index * count : index * count + count])):
                members[index][0].packets_dropped += count
                self._post(run, members, first, index)
                first = index + 1
        self._post(run, members, first, len(members))

    def _post(self, run: PreparedRun, members: Sequence[Member], done: int, end: int) -> None:
        """Send the slots from one to another: in one call, but for those the kernel refuses."""
        send_many, batch = batches.sendmmsg, run.batch
        if send_many is None:
            for index in range(done, end):
                self._send_alone(run, members[index][0], batch.slots[index])
            return
        count, total = run.count, run.total
        batch.load(run.sizes, end)
        descriptor = self._socket.fileno()
        while done < end:
            sent = send_many(descriptor, batch.headers + HEADER_BYTES * done, end - done, socket.MSG_DONTWAIT)
            if sent > 0:
                for viewer, _, _ in members if sent == len(members) else members[done : done + sent]:
                    viewer.packets_sent += count
                    viewer.bytes_sent += total
                done += sent
            else:
                # The kernel stops before a message that it refuses, and says why when asked to begin with it.
                self._failed(run, members[done][0], batch.slots[done], ctypes.get_errno())
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

    def _send_singly(self, run: PreparedRun, viewer: Receiver) -> None:
        """One run to one viewer whose path takes no segments: encrypted and sent packet by packet."""
        slot = run.batch.slots[0]
        run.batch.memory[run.places[0]] = run.template
        if any(starmap(protect, slot.calls(viewer.context, run.count))):
            viewer.packets_dropped += run.count
        else:
            self._send_packets(run, viewer, slot)

    def _send_packets(self, run: PreparedRun, viewer: Receiver, slot: Slot) -> None:
        """One run, which is encrypted, packet by packet."""
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
            self._send_packets(run, viewer, slot)
        else:
            viewer.packets_dropped += run.count

    def _sent(self, run: PreparedRun, viewer: Receiver) -> None:
        viewer.packets_sent += run.count
        viewer.bytes_sent += run.total

    def close(self) -> None:
        """Forget what still waits."""
        self._waiting.clear()
        self._position = 0
