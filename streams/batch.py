"""Many segmented sends in one system call: one run encrypted for several viewers, one ``sendmmsg`` for them all.

Each viewer of a batch has a slot: the packets' lengths, then the packets, copied together and encrypted in place. The
message headers are written once; what changes are the addresses and, with each run, the sizes. Against ``sendmsg`` of
the socket module (which parses the address, copies buffers and builds ancillary data each time) this saves about
1.5 µs a viewer and run. Where there is no ``sendmmsg`` the socket module's own calls serve.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pylibsrtp._binding import ffi

SOL_UDP, UDP_SEGMENT = 17, 103
#: the kernel takes at most this many segments in one send
MAX_SEGMENTS = 64
#: viewers of one system call: with a frame of 9 kB each they still fit in the second-level cache
WIDTH = 8
#: bytes of an address as the kernel reads it; an IPv4 address is shorter, and may be followed by anything
NAME_BYTES = 28
#: lengths of 64 packets, before the packets themselves
_LENGTHS_BYTES = 4 * MAX_SEGMENTS
#: odd multiples of a cache line apart, else all slots begin in the same cache sets
_SLOT_BYTES = (1 << 16) + _LENGTHS_BYTES + 64
#: ``struct mmsghdr`` and ``struct iovec`` of 64-bit Linux, in words of 8 bytes
_HEADER_WORDS, _VECTOR_WORDS = 8, 2
HEADER_BYTES = 8 * _HEADER_WORDS
_SEGMENT = struct.Struct("=QiiH6x")

#: (descriptor, address of the headers, how many, flags) → how many were sent, or -1
SendMany = Callable[[int, int, int, int], int]


def _find_sendmmsg() -> SendMany | None:
    if sys.platform != "linux" or sys.byteorder != "little" or struct.calcsize("P") != 8:
        return None
    function: Any = getattr(ctypes.CDLL(None, use_errno=True), "sendmmsg", None)
    if function is not None:
        function.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int
        function.restype = ctypes.c_int
    send_many: SendMany | None = function
    return send_many


#: the C library's, or None where there is none
sendmmsg = _find_sendmmsg()


def packed(address: Any) -> bytes:
    """A socket address as the kernel reads it, padded to :data:`NAME_BYTES`."""
    host, port = address[:2]
    if ":" in host:
        flow, scope = address[2:4] if len(address) == 4 else (0, 0)
        raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, flow)
        return head + raw + struct.pack("=I", scope)
    name = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_pton(socket.AF_INET, host)
    return name + bytes(NAME_BYTES - len(name))


class Slot(NamedTuple):
    """Where one viewer's copy of a run stands."""

    #: where lengths and packets are copied to
    start: Any
    packets: Sequence[Any]
    lengths: Sequence[Any]
    #: its place among the addresses
    name: slice
    #: the packets' bytes, once encrypted
    view: memoryview


class Batch:
    """The memory of a batch: slots, addresses, headers; one a worker."""

    def __init__(self) -> None:
        self._memory = ffi.new("unsigned char[]", WIDTH * _SLOT_BYTES)
        self._view = memoryview(ffi.buffer(self._memory))
        self._lengths = [
            [ffi.cast("int *", self._memory + slot * _SLOT_BYTES) + index for index in range(MAX_SEGMENTS)]
            for slot in range(WIDTH)
        ]
        self._names = ffi.new("unsigned char[]", WIDTH * NAME_BYTES)
        self._control = ffi.new("unsigned char[]", _SEGMENT.size)
        self._headers = ffi.new("uint64_t[]", WIDTH * _HEADER_WORDS)
        self._vectors = ffi.new("uint64_t[]", WIDTH * _VECTOR_WORDS)
        #: the addresses, to be written into
        self.names = memoryview(ffi.buffer(self._names))
        #: where the headers stand, for :data:`sendmmsg`
        self.headers = _number(self._headers)
        self._words = memoryview(ffi.buffer(self._headers)).cast("Q")
        self._sizes = memoryview(ffi.buffer(self._vectors)).cast("Q")
        self._loaded = (0, 0)
        for slot in range(WIDTH):
            words = [_number(self._names) + slot * NAME_BYTES, NAME_BYTES, _number(self._vectors) + slot * 16, 1]
            for index, word in enumerate([*words, _number(self._control)]):
                self._words[slot * _HEADER_WORDS + index] = word
            self._sizes[slot * _VECTOR_WORDS] = _number(self._memory) + slot * _SLOT_BYTES + _LENGTHS_BYTES

    def slot(self, index: int, count: int, stride: int, total: int) -> Slot:
        """The slot of one viewer for a run of ``count`` packets, ``stride`` bytes apart, ``total`` bytes in all."""
        first = MAX_SEGMENTS - count
        base = index * _SLOT_BYTES + _LENGTHS_BYTES
        memory = self._memory + base
        return Slot(
            memory - 4 * count,
            [memory + place * stride for place in range(count)],
            self._lengths[index][first:],
            slice(index * NAME_BYTES, (index + 1) * NAME_BYTES),
            self._view[base : base + total],
        )

    def load(self, total: int, stride: int) -> None:
        """Write into all headers how large a run is, and where it is cut; 0 for a single packet."""
        if self._loaded == (total, stride):
            return
        self._loaded = total, stride
        control_bytes = _SEGMENT.size if stride else 0
        if stride:
            # cmsg_len counts its header of 16 bytes and the value, without the padding after it.
            _SEGMENT.pack_into(ffi.buffer(self._control), 0, 18, SOL_UDP, UDP_SEGMENT, stride)
        for slot in range(WIDTH):
            self._sizes[slot * _VECTOR_WORDS + 1] = total
            self._words[slot * _HEADER_WORDS + 5] = control_bytes


def _number(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def ancillary(stride: int) -> list[tuple[int, int, bytes]]:
    """What tells the kernel to cut a send every ``stride`` bytes, as the socket module takes it."""
    return [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", stride))]
