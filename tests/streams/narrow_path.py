"""A path to one viewer that carries so much and no more: a queue, then loss, as a home router's."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import Any


class NarrowPath:
    """Stands between a viewer and the relay's port; what the relay sends has to pass the narrow place."""

    def __init__(self, target: int, *, queue_bytes: int = 48_000) -> None:
        self._target = ("127.0.0.1", target)
        self._queue_bytes = queue_bytes
        #: None carries everything
        self.bits_per_s: float | None = None
        self.dropped = 0
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self._viewer: Any = None
        self._busy_until_s = 0.0
        for sock in self._sockets:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def start(self) -> NarrowPath:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sockets[0].fileno(), self._from_viewer)
        self._loop.add_reader(self._sockets[1].fileno(), self._from_relay)
        return self

    def through(self, answer: str) -> str:
        """The answer with this path's port as the relay's."""
        port = self._sockets[0].getsockname()[1]
        return re.sub(rf"(a=candidate:.* ){self._target[1]}( typ)", rf"\g<1>{port}\g<2>", answer)

    def _from_viewer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, self._viewer = self._sockets[0].recvfrom(4096)
                self._sockets[1].sendto(data, self._target)

    def _from_relay(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = self._sockets[1].recv(4096)
                self._pass(data)

    def _pass(self, data: bytes) -> None:
        now_s = self._loop.time()
        if self.bits_per_s is None:
            self._deliver(data)
            return
        waiting_s = max(0.0, self._busy_until_s - now_s)
        if waiting_s * self.bits_per_s / 8 > self._queue_bytes:
            self.dropped += 1
            return
        self._busy_until_s = now_s + waiting_s + (len(data) + 28) * 8 / self.bits_per_s
        self._loop.call_at(self._busy_until_s, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self._viewer is not None and self._sockets[0].fileno() >= 0:
            with contextlib.suppress(OSError):
                self._sockets[0].sendto(data, self._viewer)

    def close(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                sock.close()
