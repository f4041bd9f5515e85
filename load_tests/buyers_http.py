"""Buyers' way into a sale over HTTP, byte by byte, as ``buyers.py`` does it by WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

from load_tests.buyers import ENTER_TIMEOUT_S, Refused, Told


class HttpConnection(asyncio.Protocol):
    """A kept-alive connection that carries one claim at a time."""

    def __init__(self, way: HttpWay) -> None:
        self._way = way
        self._pending = b""
        self.row = -1
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by type

    def data_received(self, data: bytes) -> None:
        """Take the answer when it is whole."""
        data = self._pending + data
        head = data.find(b"\r\n\r\n")
        at = data.find(b"Content-Length: ", 0, head)
        if head < 0 or len(data) < head + 4 + int(data[at + 16 : data.find(b"\r\n", at)]):
            self._pending = data
            return
        self._pending = b""
        row, self.row = self.row, -1
        status = data[9:12]
        if status in (b"201", b"200") and (order_id := _member(data, b"id", head)):
            self._way.told(row, "accepted", order_id, time.monotonic())
        else:
            code = "outcome_unknown" if status == b"202" else _member(data, b"code", head)
            self._way.told(row, code or f"status {status.decode()}", None, time.monotonic())
        self._way.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        """What it carried will hear nothing."""
        self.transport = None
        self._way.gone(self)


def _member(data: bytes, name: bytes, start: int) -> str | None:
    """The first string of this name."""
    at = data.find(b'"%b":"' % name, start)
    return data[at + len(name) + 4 : data.find(b'"', at + len(name) + 4)].decode() if at > 0 else None


class HttpWay:
    """Claims by POST over a pool of connections that all buyers share; the wait for a free one is part of the time."""

    name = "http"

    def __init__(
        self, address: tuple[str, int], path: str, tokens: Sequence[str], connections: int, generator: int, told: Told
    ) -> None:
        self._address, self._connections, self.told, self._generator = address, connections, told, generator
        self._heads = [
            f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 11\r\nIdempotency-Key: ".encode()
            for token in tokens
        ]
        self._free: deque[HttpConnection] = deque()
        #: bounded by the number of claims of the sale
        self._queue: deque[tuple[int, int, int]] = deque()
        self._all: list[HttpConnection] = []
        self._left = False
        self.lost = 0

    async def enter(self) -> None:
        """Connect the pool."""
        for _ in range(self._connections):
            self._all.append(await self._connect())
        self._free.extend(self._all)

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ENTER_TIMEOUT_S):
                _, connection = await loop.create_connection(lambda: HttpConnection(self), *self._address)
        except OSError as error:
            raise Refused(f"a buyer could not connect: {error}") from error
        return connection

    def claim(self, buyer: int, row: int, key_row: int) -> None:
        """Send it by a free connection, or as soon as one is."""
        if not self._free:
            self._queue.append((buyer, row, key_row))
            if len(self._all) == self.lost:
                self._give_up()
            return
        self._send(self._free.popleft(), buyer, row, key_row)

    def _send(self, connection: HttpConnection, buyer: int, row: int, key_row: int) -> None:
        assert connection.transport is not None, "only whole connections are free"
        connection.row = row
        key = b"%d-%08d" % (self._generator, key_row)
        connection.transport.write(b'%b%b\r\n\r\n{"units":1}' % (self._heads[buyer], key))

    def free(self, connection: HttpConnection) -> None:
        """A connection has its answer."""
        if connection.transport is None or connection.transport.is_closing():
            return
        if self._queue:
            self._send(connection, *self._queue.popleft())
        else:
            self._free.append(connection)

    def gone(self, connection: HttpConnection) -> None:
        """A connection ended."""
        if self._left:
            return
        self.lost += 1
        if connection in self._free:
            self._free.remove(connection)
        if connection.row >= 0:
            self.told(connection.row, "no answer", None, time.monotonic())
        if len(self._all) == self.lost:
            self._give_up()

    def _give_up(self) -> None:
        while self._queue:
            self.told(self._queue.popleft()[1], "no answer", None, time.monotonic())

    def close(self) -> None:
        """Hang up."""
        self._left = True
        for connection in self._all:
            if connection.transport is not None:
                connection.transport.abort()
