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
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from struct import pack
from typing import Any, Protocol

from streams import batch as batches
from streams.batch import HEADER_BYTES, MAX_SEGMENTS, WIDTH, Slot, ancillary
from streams.delays import Delays
from streams.packet import Packet, Rendering
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
    packets_sent: int
    bytes_sent: int
    packets_dropped: int


class PreparedRun:
    """Plaintexts at their places, with room for the tags, and the pointers to encrypt them in each slot of a batch."""

    __slots__ = ("_batch", "_slots", "arrived_s", "count", "stride", "template", "template_bytes", "total")

    def __init__(self, plaintexts: Sequence[bytes], tag_bytes: int, buffer: SendBuffer, arrived_s: float = 0.0) -> None:
        self.arrived_s = arrived_s
        gap = bytes(tag_bytes)
        self.count = count = len(plaintexts)
        self.stride = len(plaintexts[0]) + tag_bytes
        # As a slot has it: the lengths, which libsrtp overwrites, then the packets.
        self.template = pack(f"={count}i", *map(len, plaintexts)) + gap.join(plaintexts) + gap
        self.template_bytes = len(self.template)
        self.total = self.template_bytes - 4 * count
        self._batch = buffer.batch
        self._slots: list[Slot] = []

    def slots(self, viewers: int) -> list[Slot]:
        """The slots of a batch, as many as so many viewers need."""
        slots = self._slots
        while len(slots) < min(viewers, WIDTH):
            slots.append(self._batch.slot(len(slots), self.count, self.stride, self.total))
        return slots


def prepare(packets: Sequence[Packet], rendering: Rendering, ssrc: int, buffer: SendBuffer) -> list[PreparedRun]:
    """The packets as runs of one rendering."""
    plaintexts = [rendering.plaintext(packet, ssrc) for packet in packets]
    sizes = [len(each) for each in plaintexts]
    tag = rendering.tag_bytes
    ranges = split_runs(sizes, tag_bytes=tag, max_segments=MAX_SEGMENTS, max_bytes=MAX_SEND_BYTES)
    return [
        PreparedRun(plaintexts[each.start : each.stop], tag, buffer, packets[each.start].arrived_s) for each in ranges
    ]


class FanOut:
    """Sends prepared runs in order, in slices; one a broadcast."""

    def __init__(
        self,
        sock: socket.socket,
        buffer: SendBuffer,
        loop: asyncio.AbstractEventLoop,
        overall: Delays | None = None,
    ) -> None:
        self._overall = overall or Delays()
        self._socket = sock
        self._buffer = buffer
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
        slots, names = run.slots(len(viewers)), self._buffer.batch.names
        width = len(slots)
        template, template_bytes, count = run.template, run.template_bytes, run.count
        filled: list[Receiver] = []
        for viewer in viewers:
            context = viewer.context
            if context is None:
                continue
            start, packets, lengths, name, view = slots[len(filled)]
            memmove(start, template, template_bytes)
            if any(map(protect, repeat(context), packets, lengths)):
                viewer.packets_dropped += count
            elif count > 1 and not viewer.segmented:
                self._send_singly(run, viewer, view)
            else:
                names[name] = viewer.name
                filled.append(viewer)
                if len(filled) == width:
                    self._post(run, filled)
                    filled = []
        if filled:
            self._post(run, filled)

    def _post(self, run: PreparedRun, viewers: Sequence[Receiver]) -> None:
        """Send the slots that are filled: in one call, but for those the kernel refuses."""
        send_many, slots = batches.sendmmsg, run.slots(len(viewers))
        if send_many is None:
            for viewer, slot in zip(viewers, slots, strict=False):
                self._send_alone(run, viewer, slot.view)
            return
        batch, count, total = self._buffer.batch, run.count, run.total
        batch.load(total, run.stride if count > 1 else 0)
        descriptor, done, wanted = self._socket.fileno(), 0, len(viewers)
        while done < wanted:
            sent = send_many(descriptor, batch.headers + HEADER_BYTES * done, wanted - done, socket.MSG_DONTWAIT)
            if sent > 0:
                for viewer in viewers[done : done + sent]:
                    viewer.packets_sent += count
                    viewer.bytes_sent += total
                done += sent
            else:
                # The kernel stops before a message that it refuses, and says why when asked to begin with it.
                self._failed(run, viewers[done], slots[done].view, ctypes.get_errno())
                done += 1

    def _send_alone(self, run: PreparedRun, viewer: Receiver, view: memoryview) -> None:
        """One run to one viewer by the socket module."""
        try:
            self._socket.sendmsg([view], ancillary(run.stride) if run.count > 1 else (), 0, viewer.address)
        except OSError as error:
            self._failed(run, viewer, view, error.errno)
        else:
            self._sent(run, viewer)

    def _send_singly(self, run: PreparedRun, viewer: Receiver, view: memoryview) -> None:
        """One run to one viewer, packet by packet."""
        try:
            for start in range(0, run.total, run.stride):
                self._socket.sendto(view[start : start + run.stride], viewer.address)
        except OSError:
            viewer.packets_dropped += run.count
        else:
            self._sent(run, viewer)

    def _failed(self, run: PreparedRun, viewer: Receiver, view: memoryview, number: int | None) -> None:
        """A full socket buffer drops and counts; a refused segmentation is remembered for this address alone."""
        if run.count > 1 and viewer.segmented and number in _NO_SEGMENTATION:
            viewer.segmented = False
            self._send_singly(run, viewer, view)
        else:
            viewer.packets_dropped += run.count

    def _sent(self, run: PreparedRun, viewer: Receiver) -> None:
        viewer.packets_sent += run.count
        viewer.bytes_sent += run.total

    def close(self) -> None:
        """Forget what still waits."""
        self._waiting.clear()
        self._position = 0
