"""Buyers' way into a sale by WebSocket, byte by byte: what one claim costs the generator is a few microseconds.

No client library stands between the load and the server. A claim's bytes are one template filled with its number, and
an answer is found by where its members stand; only what looks different is decoded. ``python -m load_tests generator``
measures what this way of asking can offer by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec

from load_tests.rooms_wire import CLOSE, PING, PONG, TEXT, client_frame, upgrade_request

#: the first number of a claim: all have as many digits, hence frames of one size
FIRST_NUMBER = 10_000_000
#: connections being made at once: thousands would only measure the accept queue
CONNECTING = 100
ENTER_TIMEOUT_S = 60.0

#: (row, outcome, order id or None, when)
Told = Callable[[int, str, str | None, float], None]


class Refused(Exception):
    """A buyer was not let in; the text says why."""


class Way(Protocol):
    """How the buyers of one generator reach the deal."""

    name: str
    lost: int

    async def enter(self) -> None:
        """Connect; raises :class:`Refused`."""

    def claim(self, buyer: int, row: int, key_row: int) -> None:
        """Send a claim (or queue it for a free connection); ``told`` hears what became of it."""

    def close(self) -> None:
        """Hang up."""


def claim_template(deal_id: str, generator: int) -> bytes:
    """A whole frame with two places for eight-digit numbers: the command's and the key's."""
    key = b'"%d-%%08d"' % generator
    text = b'{"id":%%08d,"do":"deal.claim","deal_id":"%b","units":1,"key":%b}' % (deal_id.encode(), key)
    # filled once, so that the length is the real one
    frame = client_frame(TEXT, text % (FIRST_NUMBER, FIRST_NUMBER))
    return frame[: -len(text % (FIRST_NUMBER, FIRST_NUMBER))].replace(b"%", b"%%") + text


class SocketBuyer(asyncio.Protocol):
    """One buyer's WebSocket: shakes hands, joins, claims."""

    def __init__(self, request: bytes, token: str, told: Told) -> None:
        self._request, self._token, self._told = request, token, told
        self._pending = b""
        self._upgraded = False
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        #: rows that were sent and not answered
        self.waiting: set[int] = set()
        self.on_lost: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by type
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take whole frames. Hot path: measured at 30,000 answers a second and more."""
        now_s = time.monotonic()
        if self._pending:
            data = self._pending + data
            self._pending = b""
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found or not head.startswith(b"HTTP/1.1 101"):
                self._not_upgraded(head, found)
                return
            self._upgraded = True
            join = msgspec.json.encode({"id": 1, "do": "join", "token": self._token})
            self.send(client_frame(TEXT, join))
        start, end = 0, len(data)
        while end - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                body += 2
                size = int.from_bytes(data[start + 2 : body], "big")
            elif size == 127:
                body += 8
                size = int.from_bytes(data[start + 2 : body], "big")
            stop = body + size
            if end < stop:
                break
            if data[start] == 0x81:
                if data.startswith(b'{"re":', body):
                    self._reply(data, body, stop, now_s)
                elif data.startswith(b"[", body) and data.find(b'"re":', body, stop) > 0:
                    self._mixed(data[body:stop], now_s)
            else:
                self._control(data[start] & 0x0F, data[body:stop])
            start = stop
        if start < end:
            self._pending = data[start:]

    def _reply(self, data: bytes, body: int, stop: int, now_s: float) -> None:
        comma = data.find(b",", body + 6, stop)
        number = int(data[body + 6 : comma])
        if data.startswith(b'"ok"', comma + 1):
            if number == 1:
                if not self.joined.done():
                    self.joined.set_result(None)
                return
            at = data.find(b'"id":"', comma, stop) + 6
            outcome, order_id = "accepted", data[at : data.find(b'"', at, stop)].decode()
        else:
            at = data.find(b'"code":"', comma, stop) + 8
            outcome, order_id = data[at : data.find(b'"', at, stop)].decode(), None
            if number == 1:
                self._refuse(outcome)
                return
        row = number - FIRST_NUMBER
        self.waiting.discard(row)
        self._told(row, outcome, order_id, now_s)

    def _mixed(self, payload: bytes, now_s: float) -> None:
        """Replies between events, in one frame."""
        for message in msgspec.json.decode(payload):
            if "re" in message:
                text = msgspec.json.encode({"re": message["re"], **message})
                self._reply(text, 0, len(text), now_s)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.send(client_frame(PONG, payload))
        elif opcode == CLOSE and self.transport is not None:
            self._refuse(f"closed with {int.from_bytes(payload[:2], 'big')}")
            self.transport.close()

    def _not_upgraded(self, head: bytes, found: bytes) -> None:
        if found:
            self._refuse(head.split(b"\r\n")[0].decode(errors="replace"))
        else:
            self._pending = head

    def _refuse(self, why: str) -> None:
        if not self.joined.done():
            self.joined.set_exception(Refused(f"a buyer could not join: {why}"))

    def send(self, frame: bytes) -> None:
        """Write bytes; nothing where the connection is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame)

    def connection_lost(self, error: Exception | None) -> None:
        """What waits will hear nothing."""
        self.transport = None
        self._refuse("the connection was closed")
        rows, self.waiting = self.waiting, set()
        for row in rows:
            self._told(row, "no answer", None, time.monotonic())
        self.on_lost()


class SocketWay:
    """A WebSocket for each buyer, who also hears what all others in the room hear."""

    name = "websocket"

    def __init__(self, address: tuple[str, int], path: str, tokens: Sequence[str], template: bytes, told: Told) -> None:
        self._address, self._tokens, self._template, self._told = address, tokens, template, told
        self._request = upgrade_request(address, path)
        self._buyers: list[SocketBuyer] = []
        self._left = False
        self.lost = 0

    async def enter(self) -> None:
        """Everybody connects and joins the room."""
        for start in range(0, len(self._tokens), CONNECTING):
            self._buyers += await asyncio.gather(*map(self._enter, self._tokens[start : start + CONNECTING]))

    async def _enter(self, token: str) -> SocketBuyer:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ENTER_TIMEOUT_S):
            _, buyer = await loop.create_connection(
                lambda: SocketBuyer(self._request, token, self._told), *self._address
            )
            await buyer.joined
        buyer.on_lost = self._lost
        return buyer

    def _lost(self) -> None:
        self.lost += not self._left

    def claim(self, buyer: int, row: int, key_row: int) -> None:
        """Send it at once."""
        socket = self._buyers[buyer]
        transport = socket.transport
        if transport is None:
            self._told(row, "no answer", None, time.monotonic())
            return
        socket.waiting.add(row)
        transport.write(self._template % (FIRST_NUMBER + row, key_row))

    def close(self) -> None:
        """Everybody leaves."""
        self._left = True
        for buyer in self._buyers:
            if buyer.transport is not None:
                buyer.transport.abort()
