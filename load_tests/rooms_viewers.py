"""Thousands of viewers in one process: bare sockets and epoll, so that most of the machine is left to the server."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import resource
import selectors
import socket
import struct
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from load_tests.room_history import Book, History

#: connections that are being made at once
IN_FLIGHT = 500
#: read from one socket at a time
_READ = 1 << 18
#: latencies are counted in steps of 0.1 ms
STEP_NS = 100_000


@dataclass
class Tally:
    """What a crowd has seen; adds up over processes."""

    joined: int = 0
    recovered: int = 0
    deliveries: int = 0
    frames: int = 0
    doubled: int = 0
    lost: int = 0
    announced: int = 0
    forks: int = 0
    #: viewers whose newest offset is below what was asked about
    behind: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    ids: dict[int, str] = field(default_factory=dict)
    #: from the order to join until the last one had joined
    join_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Add another process's."""
        for name in ("joined", "recovered", "deliveries", "frames", "doubled", "lost", "announced", "forks", "behind"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.closes.update(other.closes)
        self.latency.update(other.latency)
        for offset, name in other.ids.items():
            self.forks += self.ids.setdefault(offset, name) != name
        self.join_s = max(self.join_s, other.join_s)

    def percentile_ms(self, percent: float) -> float:
        """A percentile of the latencies, in ms (upper edge of its step)."""
        wanted, seen = sum(self.latency.values()) * percent / 100, 0
        for step in sorted(self.latency):
            seen += self.latency[step]
            if seen >= wanted:
                return (step + 1) * STEP_NS / 1e6
        return 0.0


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame; the mask is zeros (allowed, and nothing is to be hidden here)."""
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


class Viewer:
    """One connection and its history."""

    __slots__ = ("history", "joined", "pending", "sock", "token", "upgraded")

    def __init__(self, token: str) -> None:
        self.token = token
        self.history = History()
        self.sock: socket.socket | None = None
        self.pending = b""
        self.upgraded = self.joined = False


class Crowd:
    """Viewers of one room."""

    def __init__(self, address: tuple[str, int], path: str, tokens: list[str], *, receive_buffer: int = 0) -> None:
        self.viewers = [Viewer(token) for token in tokens]
        self.book = Book()
        self.tally = Tally()
        self._address, self._receive_buffer = address, receive_buffer
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: livecommerce.v1.json\r\n\r\n"
        ).encode()
        self.selector = selectors.DefaultSelector()
        self._waiting: deque[Viewer] = deque()
        self._connecting = 0
        self._joining_since = 0.0

    # orders

    def join(self) -> None:
        """Connect and join everybody who is not connected."""
        self._waiting = deque(v for v in self.viewers if v.sock is None)
        self.tally.joined = self.tally.recovered = 0
        self._joining_since = time.monotonic()
        self._fill()

    def drop(self) -> None:
        """Cut every connection, as a lost network does."""
        for viewer in self.viewers:
            self._forget(viewer)

    def aclose(self) -> None:
        """End everything."""
        self.drop()
        self.selector.close()

    def restart(self) -> None:
        """Count from here."""
        old, self.tally = self.tally, Tally()
        self.tally.joined, self.tally.recovered, self.tally.join_s = old.joined, old.recovered, old.join_s

    def result(self, top: int = 0) -> Tally:
        """What was seen; ``top``: an offset that everybody should have reached."""
        tally, histories = self.tally, [v.history for v in self.viewers]
        tally.doubled = sum(h.doubled for h in histories)
        tally.lost = sum(h.lost for h in histories)
        tally.announced = sum(h.announced for h in histories)
        tally.behind = sum((h.last or 0) < top for h in histories)
        tally.forks, tally.ids = self.book.forks, self.book.ids
        return tally

    # the loop

    def turn(self, timeout_s: float) -> None:
        """Wait for something to happen, and handle all of it."""
        for key, _ in self.selector.select(timeout_s):
            if isinstance(key.data, Viewer):
                self._ready(key.data)

    def _fill(self) -> None:
        while self._waiting and self._connecting < IN_FLIGHT:
            viewer = self._waiting.popleft()
            viewer.sock = sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            if self._receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._connecting += 1
            if (code := sock.connect_ex(self._address)) not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
            self.selector.register(sock, selectors.EVENT_WRITE, viewer)

    def _ready(self, viewer: Viewer) -> None:
        sock = viewer.sock
        if sock is None:
            return
        if not viewer.upgraded and not viewer.pending:
            viewer.pending = b"-"  # asked
            try:
                sock.send(self._request)
            except OSError:
                self._lost(viewer)
                return
            self.selector.modify(sock, selectors.EVENT_READ, viewer)
            return
        try:
            data = sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(viewer)
        elif viewer.upgraded:
            self._frames(viewer, viewer.pending + data if viewer.pending else data)
        else:
            self._upgrade(viewer, viewer.pending.removeprefix(b"-") + data)

    def _upgrade(self, viewer: Viewer, data: bytes) -> None:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            viewer.pending = b"-" + data
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self._lost(viewer)
            return
        viewer.upgraded, viewer.pending = True, b""
        message: dict[str, Any] = {"id": 1, "do": "join", "token": viewer.token}
        if viewer.history.epoch is not None and viewer.history.last is not None:
            message |= {"epoch": viewer.history.epoch, "offset": viewer.history.last}
        self._send(viewer, 0x1, msgspec.json.encode(message))
        if rest:
            self._frames(viewer, rest)

    def _frames(self, viewer: Viewer, data: bytes) -> None:
        start, end = 0, len(data)
        while end - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                body = start + 4
                size = int.from_bytes(data[start + 2 : body], "big")
            elif size == 127:
                body = start + 10
                size = int.from_bytes(data[start + 2 : body], "big")
            if end < body + size:
                break
            self._frame(viewer, data[start] & 0x0F, data[body : body + size])
            start = body + size
        viewer.pending = data[start:]

    def _frame(self, viewer: Viewer, opcode: int, payload: bytes) -> None:
        if opcode == 0x9:
            self._send(viewer, 0xA, payload)
        elif opcode == 0x8:
            self.tally.closes[int.from_bytes(payload[:2], "big")] += 1
        elif opcode in (0x1, 0x2):
            parsed = self.book.parse(payload)
            self.tally.frames += 1
            self.tally.deliveries += len(parsed.events)
            for reply in parsed.replies:
                self._joined(viewer, reply)
            viewer.history.take(parsed)
            if parsed.stamps_ns and not parsed.replies:
                now_ns = time.monotonic_ns()
                for stamp_ns in parsed.stamps_ns:
                    self.tally.latency[(now_ns - stamp_ns) // STEP_NS] += 1

    def _joined(self, viewer: Viewer, reply: dict[str, Any]) -> None:
        if "ok" not in reply or viewer.joined:
            return
        ok = reply["ok"]
        viewer.joined = True
        viewer.history.join(ok["epoch"], ok["offset"], recovered=ok["recovered"])
        self.tally.joined += 1
        self.tally.recovered += ok["recovered"]
        self.tally.join_s = time.monotonic() - self._joining_since
        self._connecting -= 1
        self._fill()

    def _send(self, viewer: Viewer, opcode: int, payload: bytes) -> None:
        if viewer.sock is not None:
            with contextlib.suppress(OSError):
                viewer.sock.send(client_frame(opcode, payload))

    def _lost(self, viewer: Viewer) -> None:
        """The server ended it. One that had not joined tries again, as a client would."""
        again = not viewer.joined
        self._forget(viewer)
        if again:
            self._connecting -= 1
            self._waiting.append(viewer)
            self._fill()

    def _forget(self, viewer: Viewer) -> None:
        sock, viewer.sock = viewer.sock, None
        viewer.upgraded = viewer.joined = False
        viewer.pending = b""
        if sock is not None:
            with contextlib.suppress(KeyError):
                self.selector.unregister(sock)
            sock.close()


def raise_file_limit() -> None:
    """Allow as many sockets as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def crowd_process(pipe: Connection, address: tuple[str, int], path: str, tokens: list[str]) -> None:
    """A process of viewers: it does what the pipe says, and answers with its tally when asked."""
    raise_file_limit()
    crowd = Crowd(address, path, tokens)
    crowd.selector.register(pipe, selectors.EVENT_READ, pipe)
    while True:
        crowd.turn(0.1)
        while pipe.poll():
            order, *arguments = pipe.recv()
            if order == "end":
                crowd.aclose()
                return
            if order == "result":
                pipe.send(crowd.result(*arguments))
            else:
                getattr(crowd, order)()
