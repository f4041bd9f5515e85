"""The worker's one UDP socket: every peer's STUN, DTLS and media share it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from struct import error as StructError
from struct import unpack_from
from typing import Any

from streams.counters import Counters
from streams.srtp import ReceiveBuffer

log = logging.getLogger(__name__)

#: datagrams read before others get their turn
BATCH = 64
#: asked of the kernel, which grants up to its own limit: a keyframe to 500 viewers is 25 MB a second of bursts
BUFFER_BYTES = 4 << 20

#: what a socket holds and has thrown away (``SK_MEMINFO_DROPS`` is the last of nine words)
SO_MEMINFO = 55

#: (size, address): the datagram stands in the receive buffer
Handler = Callable[[int, Any], None]


def overflowed(sock: socket.socket) -> int:
    """Datagrams that the kernel threw away because the socket's buffer was full; 0 where it does not tell."""
    try:
        return int(unpack_from("=9I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[8])
    except (OSError, StructError):
        return 0


class MediaSocket:
    """A bound, non-blocking UDP socket whose datagrams are handed over one by one."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._logged_s = 0.0
        self.buffer = ReceiveBuffer()
        self.failures = 0
        #: single datagrams (feedback, packets sent again, handshakes) that the kernel did not take
        self.unsent = 0
        self.sock: socket.socket | None = None
        self.port = 0

    def open(self, host: str, port: int, loop: asyncio.AbstractEventLoop) -> socket.socket:
        """Bind and start reading; port 0 takes a free one."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            raise OSError(
                error.errno, f"The media port, UDP {port} of {host}, cannot be had: {error.strerror}"
            ) from error
        self.sock = sock
        self.port = sock.getsockname()[1]
        self._loop = loop
        loop.add_reader(sock.fileno(), self._readable)
        return sock

    def close(self) -> None:
        """Stop reading and close; safe to call twice."""
        sock, self.sock = self.sock, None
        if sock is not None and self._loop is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()

    def send(self, data: bytes | memoryview, address: Any) -> bool:
        """Send one datagram; False when the kernel did not take it (full, or unreachable): never an exception."""
        if self.sock is None or address is None:
            return False
        try:
            self.sock.sendto(data, address)
        except OSError:
            self.unsent += 1
            return False
        return True

    def add_to(self, total: Counters) -> Counters:
        """Add what this socket lost, either way; the same counters."""
        total.datagrams_unsent += self.unsent
        if self.sock is not None:
            total.datagrams_overflowed += overflowed(self.sock)
        return total

    def _readable(self) -> None:
        for _ in range(BATCH):
            if self.sock is None:
                return
            try:
                size, address = self.sock.recvfrom_into(self.buffer.view)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier send: says nothing about this one
                continue
            if size == 0:
                continue
            try:
                self._handler(size, address)
            except Exception:
                # A datagram may come from anybody: whatever it breaks, the others go on. Tests assert zero.
                self.failures += 1
                if time.monotonic() - self._logged_s > 1:
                    self._logged_s = time.monotonic()
                    log.exception("a datagram could not be handled")
