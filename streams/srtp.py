"""SRTP by libsrtp in place, on buffers allocated once: no copy and no allocation for each packet.

pylibsrtp's own ``Session.protect`` costs about 2.5 µs a packet, half of it copies; the bare call about 1.2 µs.
"""

from __future__ import annotations

from typing import Any

from pylibsrtp._binding import ffi, lib

from streams.batch import LENGTH_BYTES, UNITS, Batch

#: payload of one UDP datagram (and of one GSO send) at most
MAX_SEND_BYTES = 65_000
#: a datagram that is larger than an Ethernet frame is not for us
MAX_DATAGRAM = 2048
#: what SRTP and SRTCP may add: tag and index
MAX_TRAILER = 16 + 4 + 128

protect = lib.srtp_protect
protect_rtcp = lib.srtp_protect_rtcp
memmove = ffi.memmove


class ReceiveBuffer:
    """Where datagrams arrive and are decrypted in place."""

    def __init__(self) -> None:
        self._memory = ffi.new("unsigned char[]", MAX_DATAGRAM)
        self._length = ffi.new("int *")
        #: for ``recvfrom_into``
        self.view = memoryview(ffi.buffer(self._memory))

    def unprotect(self, context: Any, size: int) -> int:
        """Decrypt the SRTP packet of ``size`` bytes; its plaintext size, or -1 when it is not authentic."""
        self._length[0] = size
        return self._length[0] if lib.srtp_unprotect(context, self._memory, self._length) == 0 else -1

    def unprotect_rtcp(self, context: Any, size: int) -> int:
        """Decrypt the SRTCP packet of ``size`` bytes; its plaintext size, or -1 when it is not authentic."""
        self._length[0] = size
        return self._length[0] if lib.srtp_unprotect_rtcp(context, self._memory, self._length) == 0 else -1


class SendBuffer:
    """Where single packets, and runs for a batch of viewers, are encrypted; one a worker."""

    def __init__(self) -> None:
        self.memory = ffi.new("unsigned char[]", 1 << 16)
        self.lengths = ffi.new("int[]", 1)
        self.view = memoryview(ffi.buffer(self.memory))
        self._batches: dict[int, Batch] = {}

    def batch(self, size: int) -> Batch:
        """The batch for packets of so many bytes, tag included; raises ValueError where none has room for them."""
        unit = next((unit for unit in UNITS if size <= unit - LENGTH_BYTES), 0)
        if not unit:
            raise ValueError("the packet is larger than any that arrives")
        if unit not in self._batches:
            self._batches[unit] = Batch(unit)
        return self._batches[unit]

    def encrypt(self, context: Any, plaintext: bytes) -> memoryview | None:
        """One RTP packet encrypted; valid until the next use of this buffer."""
        return self._encrypt(protect, context, plaintext)

    def encrypt_rtcp(self, context: Any, plaintext: bytes) -> memoryview | None:
        """One compound RTCP packet encrypted; valid until the next use of this buffer."""
        return self._encrypt(protect_rtcp, context, plaintext)

    def _encrypt(self, function: Any, context: Any, plaintext: bytes) -> memoryview | None:
        size = len(plaintext)
        if size + MAX_TRAILER > len(self.view):
            return None
        memmove(self.memory, plaintext, size)
        self.lengths[0] = size
        if function(context, self.memory, self.lengths) != 0:
            return None
        return self.view[: self.lengths[0]]
