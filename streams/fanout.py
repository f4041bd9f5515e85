"""The hot path: one prepared run to many viewers.

Everything that is the same for viewers of one rendering is done once, in :class:`PreparedRun`; for each viewer remain
a copy, one ``srtp_protect`` a packet and one ``sendmsg`` with ``UDP_SEGMENT``. A frame to 500 viewers would hold the
event loop for 11 ms: it is sent in slices, between which others run.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections import deque
from collections.abc import Sequence
from struct import pack
from typing import Any, Protocol

from streams.delays import Delays
from streams.packet import Packet, Rendering
from streams.runs import split_runs
from streams.srtp import MAX_SEGMENTS, MAX_SEND_BYTES, SendBuffer, memmove, protect

SOL_UDP = 17
UDP_SEGMENT = 103

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
    #: whether sends to this address may be segmented by the kernel; sticky for each viewer
    segmented: bool
    packets_sent: int
    bytes_sent: int
    packets_dropped: int


class PreparedRun:
    """Plaintexts at their places, with room for the tags, and the pointers to encrypt them."""

    __slots__ = (
        "ancillary",
        "arrived_s",
        "count",
        "length_bytes",
        "lengths",
        "slots",
        "stride",
        "template",
        "total",
        "view",
    )

    def __init__(self, plaintexts: Sequence[bytes], tag_bytes: int, buffer: SendBuffer, arrived_s: float = 0.0) -> None:
        self.arrived_s = arrived_s
        gap = bytes(tag_bytes)
        self.count = len(plaintexts)
        self.stride = len(plaintexts[0]) + tag_bytes
        self.template = gap.join(plaintexts) + gap
        self.total = len(self.template)
        self.lengths = buffer.length_template([len(each) for each in plaintexts])
        self.length_bytes = 4 * self.count
        self.slots = buffer.slots(self.stride, self.count)
        self.view = buffer.view[: self.total]
        self.ancillary = [(SOL_UDP, UDP_SEGMENT, pack("=H", self.stride))]


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
        """Encrypt and send one run to each viewer. The hot path: every name is local."""
        memory, lengths = self._buffer.memory, self._buffer.lengths
        template, total, slots, view = run.template, run.total, run.slots, run.view
        length_template, length_bytes, count = run.lengths, run.length_bytes, run.count
        sendmsg, ancillary = self._socket.sendmsg, run.ancillary
        data = [view]
        for viewer in viewers:
            context = viewer.context
            if context is None:
                continue
            memmove(memory, template, total)
            memmove(lengths, length_template, length_bytes)
            for packet, length in slots:
                if protect(context, packet, length):
                    break
            else:
                try:
                    if count == 1:
                        sendmsg(data, (), 0, viewer.address)
                    elif viewer.segmented:
                        sendmsg(data, ancillary, 0, viewer.address)
                    else:
                        self._send_singly(run, viewer)
                except OSError as error:
                    self._failed(run, viewer, error)
                    continue
                viewer.packets_sent += count
                viewer.bytes_sent += total
                continue
            viewer.packets_dropped += count

    def _send_singly(self, run: PreparedRun, viewer: Receiver) -> None:
        view, sendto = run.view, self._socket.sendto
        for start in range(0, run.total, run.stride):
            sendto(view[start : start + run.stride], viewer.address)

    def _failed(self, run: PreparedRun, viewer: Receiver, error: OSError) -> None:
        """A full socket buffer drops and counts; a refused segmentation is remembered for this address alone."""
        if run.count > 1 and viewer.segmented and error.errno in _NO_SEGMENTATION:
            viewer.segmented = False
            try:
                self._send_singly(run, viewer)
            except OSError:
                viewer.packets_dropped += run.count
            else:
                viewer.packets_sent += run.count
                viewer.bytes_sent += run.total
            return
        viewer.packets_dropped += run.count

    def close(self) -> None:
        """Forget what still waits."""
        self._waiting.clear()
        self._position = 0
