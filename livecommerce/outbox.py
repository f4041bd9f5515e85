"""The slow-viewer policy: what may still be written to a viewer whose network does not keep up.

The bound of a viewer's queue is the transport's own write buffer. Up to 64 KiB everything goes out; above it
latest-only events are withheld (and made up for with the newest values once there is room); by what would make it more
than 512 KiB the viewer is closed with 3008, and resumes by offset. A numbered event is never dropped. The kernel's own
buffer before it is bounded, too: by itself it grows to 4 MiB, which a chatty room takes a minute to fill.

While nothing waits, a frame is given to the kernel here, past the transport: its checks and callbacks are 1.9 of the
10.2 µs that ``transport.write`` takes (load_tests chat-storm). As soon as the kernel does not take all of it, the
rest is the transport's, and so is everything after it until its buffer is empty again: order is kept. So whoever writes
to a viewer who has joined has to do it by its outbox; aiohttp does not by itself (no autoping, no compression), and its
close frame comes when nothing may follow.

What answers commands is *posted*: it waits until the loop has done what is due now, and leaves with everything else
posted to that viewer meanwhile in one write. Whatever is written goes behind what was posted before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from livecommerce.seats import Row

#: above this many waiting bytes latest-only events are withheld
WITHHOLD_BYTES = 64 * 1024
#: above this many waiting bytes the viewer is closed
CLOSE_BYTES = 512 * 1024
#: bytes that the kernel keeps for a viewer (it doubles this, for what it needs beside the data)
KERNEL_BYTES = 128 * 1024
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

    __slots__ = ("_on_slow", "_posted", "fd", "open", "place", "row", "transport")

    def __init__(self, transport: Transport, on_slow: Callable[[], None]) -> None:
        self.transport = transport
        #: False once closed: nothing may follow a close frame
        self.open = True
        #: the socket of a connection without TLS, else -1; valid as long as the transport is not closing
        self.fd = _socket_of(transport)
        #: where it is written to ``fd`` at once, together with others: nothing waits
        self.row: Row | None = None
        self.place = 0
        self._on_slow = on_slow
        self._posted: list[bytes] = []

    def close(self) -> None:
        """Send what was posted, and nothing from now on; safe to call twice."""
        self.flush()
        self.open = False
        self.stand()
        self._on_slow = _told_nobody  # else viewer and outbox would keep each other until the collector comes

    def post(self, frame: bytes) -> None:
        """Send what must not be dropped, soon. Hot path (load_tests flash-sale): a send for each reply was 15 %."""
        if self.open:
            if not self._posted:
                asyncio.get_running_loop().call_soon(self.flush)
                if self.row is not None:
                    self.row.posted[self] = None
            self._posted.append(frame)

    def flush(self) -> None:
        """Send what was posted now."""
        if self.row is not None:
            self.row.posted.pop(self, None)
        if self._posted:
            self.write(b"")

    def write(self, frame: bytes) -> bool:
        """Send what must not be dropped; whether the viewer is still with us."""
        if not self.open or self.transport.is_closing():
            self._posted.clear()
            return False
        waiting = self.transport.get_write_buffer_size()
        if waiting and waiting + len(frame) > CLOSE_BYTES:
            # At once, not with the next event: there may be none for long.
            self._posted.clear()
            self._on_slow()
            return False
        if waiting == 0:
            self.write_at_once(frame)
        else:
            self.transport.write(self._with_posted(frame))
        return True

    def write_at_once(self, frame: bytes) -> None:
        """Send on an open transport **in which nothing waits**; what the kernel does not take then waits."""
        if self._posted:
            frame = self._with_posted(frame)
        if self.fd >= 0:
            try:
                sent = os.write(self.fd, frame)
            except OSError:
                sent = 0
            if sent == len(frame):
                return
            frame = frame[sent:]
        self.wait(frame)

    def wait(self, rest: bytes) -> None:
        """Leave to the transport what the kernel did not take: the socket is full or broken, it knows what to do."""
        self.stand()
        self.transport.write(rest)

    def stand(self) -> None:
        """Leave the row: from now on it has to be looked at whether something waits. Safe to call twice."""
        row, self.row = self.row, None
        if row is not None:
            row.posted.pop(self, None)
            row.leave(self.place)

    def _with_posted(self, frame: bytes) -> bytes:
        posted, self._posted = self._posted, []
        return b"".join((*posted, frame))

    @property
    def ready(self) -> bool:
        """Whether it may be written to at once: nothing waits."""
        return self.open and self.fd >= 0 and not self._posted and self.transport.get_write_buffer_size() == 0

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


def _told_nobody() -> None:
    """Whoever was to hear that a viewer is slow has left."""


def _socket_of(transport: Any) -> int:
    ask = getattr(transport, "get_extra_info", None)
    if ask is None or (sock := ask("socket")) is None:
        return -1
    with contextlib.suppress(OSError):  # it may be gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    return -1 if ask("ssl_object") is not None else int(sock.fileno())
