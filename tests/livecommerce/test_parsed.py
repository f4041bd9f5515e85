"""Messages taken in the call that parsed them: the hooks in aiohttp, and the order of what is taken and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMessage, WSMsgType, web
from aiohttp.test_utils import TestServer

from livecommerce import at_work
from livecommerce.parsed import ParsedSocket
from load_tests.rooms_wire import client_frame, upgrade_request
from tests.livecommerce.rooms import RoomWorker, eventually

TEXT = 0x1


class Listener:
    """A server whose connections keep what they took, and what was left to the queue."""

    def __init__(self) -> None:
        self.takes = True
        self.taken: list[str] = []
        self.queued: list[str] = []
        self.ended = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        connection = ParsedSocket(compress=False, autoping=False, protocols=("livecommerce.v1.json",))
        await connection.prepare(request)
        connection.queue.take = self.take
        while (message := await connection.receive()).type is WSMsgType.TEXT:
            self.queued.append(message.data)
        self.ended = True
        return connection

    def take(self, message: WSMessage) -> bool:
        if message.type is not WSMsgType.TEXT or not self.takes:
            return False
        self.taken.append(message.data)
        return True


@pytest.fixture
async def listener() -> Listener:
    return Listener()


@pytest.fixture
async def server(listener: Listener) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/ws", listener.handle)
    async with TestServer(app) as server:
        yield server


def _says(*texts: str) -> bytes:
    return b"".join(client_frame(TEXT, text.encode()) for text in texts)


async def _connect(server: TestServer, more: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Shake hands; ``more`` leaves in the same write as the request."""
    assert server.host is not None
    assert server.port is not None
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(upgrade_request((server.host, server.port), "/ws") + more)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_what_is_taken_is_not_queued_and_the_rest_is(server: TestServer, listener: Listener) -> None:
    _, writer = await _connect(server)
    writer.write(_says("one", "two"))
    await eventually(lambda: listener.taken == ["one", "two"])
    listener.takes = False
    writer.write(_says("three"))
    await eventually(lambda: listener.queued == ["three"])
    listener.takes = True
    # in pieces, as a network may bring it
    for byte in _says("four"):
        writer.write(bytes([byte]))
        await writer.drain()
    await eventually(lambda: listener.taken[2:] == ["four"])
    assert listener.queued == ["three"]
    writer.write(client_frame(0x8, b"\x03\xe8"))
    await eventually(lambda: listener.ended, "a close frame is nobody's to take")
    writer.close()


async def test_what_came_with_the_handshake_is_not_lost(server: TestServer, listener: Listener) -> None:
    _, writer = await _connect(server, _says("early"))
    await eventually(lambda: listener.taken + listener.queued == ["early"])
    writer.close()


async def test_a_burst_is_carried_out_in_its_order(worker: RoomWorker) -> None:
    """More commands in one write than may be at work at once: some are taken, the others wait in the queue."""
    stream_id = await worker.stream()
    # a host may talk ten times as fast as others
    host = await worker.host(stream_id)
    numbers = [await host.post("chat.send", text=f"line {n}") for n in range(2 * at_work.MOST)]
    replies = [await host.reply(number) for number in numbers]
    assert [reply for reply in replies if "ok" not in reply] == []
    offsets = [reply["ok"]["offset"] for reply in replies]
    assert offsets == sorted(offsets)
    assert len(set(offsets)) == len(numbers)


def test_the_last_error_is_let_go_of() -> None:
    socket = ParsedSocket()
    socket._exception = ConnectionResetError("with frames in its traceback")
    assert socket.exception() is not None
    socket.forget()
    assert socket.exception() is None
