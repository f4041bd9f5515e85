"""The slow-viewer policy: what may still be written to a viewer whose network does not keep up.

The bound of a viewer's queue is the transport's own write buffer. Up to 64 KiB everything goes out; above it
latest-only events are withheld (and made up for with the newest values once there is room); above 512 KiB the viewer
is closed with 3008 and resumes by offset. A numbered event is never dropped.

While nothing waits, a frame is given to the kernel here, past the transport: its checks and callbacks are 1.9 of the
10.2 µs that ``transport.write`` takes (load_tests chat-storm). As soon as the kernel does not take all of it, the
rest is the transport's, and so is everything after it until its buffer is empty again: order is kept.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Protocol

#: above this many waiting bytes latest-only events are withheld
WITHHOLD_BYTES = 64 * 1024
#: above this many waiting bytes the viewer is closed
CLOSE_BYTES = 512 * 1024
#: how often a waiting sender looks whether there is room again
_LOOK_S = 0.01


class Transport(Protocol):
    """The part of asyncio's transports that is used."""

    def write(self, data: bytes) -> None:
        """Send, or queue."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""

    def abort(self) -> None:
        """Close without sending what waits."""


class Outbox:
    """One viewer's way out; ``on_slow`` is called once, when more than 512 KiB wait."""

    __slots__ = ("_on_slow", "fd", "open", "transport")

    def __init__(self, transport: Transport, on_slow: Callable[[], None]) -> None:
        self.transport = transport
        #: False once closed: nothing may follow a close frame
        self.open = True
        #: the socket of a connection without TLS, else -1; valid as long as the transport is not closing
        self.fd = _socket_of(transport)
        self._on_slow = on_slow

    def write(self, frame: bytes) -> bool:
        """Send what must not be dropped; whether the viewer is still with us."""
        if not self.open or self.transport.is_closing():
            return False
        waiting = self.transport.get_write_buffer_size()
        if waiting > CLOSE_BYTES:
            self._on_slow()
            return False
        if waiting == 0:
            self.write_at_once(frame)
        else:
            self.transport.write(frame)
        return True

    def write_at_once(self, frame: bytes) -> None:
        """Hot path. Send on an open transport **in which nothing waits**; what the kernel does not take then waits."""
        if self.fd >= 0:
            try:
                sent = os.write(self.fd, frame)
            except OSError:
                sent = 0  # a full socket, or a broken one: the transport knows what to do
            if sent == len(frame):
                return
            frame = frame[sent:]
        self.transport.write(frame)

    @property
    def roomy(self) -> bool:
        """Whether latest-only events may go out."""
        return self.transport.get_write_buffer_size() <= WITHHOLD_BYTES

    async def drained(self, timeout_s: float) -> bool:
        """Wait until at most 64 KiB wait; False when that took too long or the viewer left."""
        # Polled: a transport tells only one party (aiohttp) when it may be written to again.
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self.open and not self.transport.is_closing():
            if self.roomy:
                return True
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_LOOK_S)
        return False


def _socket_of(transport: Any) -> int:
    ask = getattr(transport, "get_extra_info", None)
    if ask is None or ask("ssl_object") is not None or (sock := ask("socket")) is None:
        return -1
    return int(sock.fileno())
