"""Connections that ask nothing do not stay; those that asked do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from livecommerce.http.patience import PATIENCE, Patience, PublicSite
from tests.livecommerce.edge import until
from tests.running import free_port


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr("livecommerce.http.patience.HEAD_S", 0.1)

    async def hello(request: web.Request) -> web.Response:
        request.app[PATIENCE].heard(request.protocol)
        return web.Response(text="hello")

    app = web.Application()
    app[PATIENCE] = Patience()
    app.add_routes([web.get("/", hello)])
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await PublicSite(runner, ["127.0.0.1"], port, ssl_context=None, backlog=10).start()
    yield port
    assert not app[PATIENCE]._silent
    await runner.cleanup()


ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", ASK[:20], ASK[:-1]])
async def test_a_connection_that_never_asks_is_closed(port: int, begun: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begun)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):  # closed as hard as that
            assert await reader.read() == b""
    writer.close()


async def test_one_that_asked_stays_and_may_ask_again_later(port: int) -> None:
    silent, unused = await asyncio.open_connection("127.0.0.1", port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(ASK)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            # the other one, opened before, is closed by now
            await asyncio.gather(silent.read(), return_exceptions=True)
    writer.close()
    unused.close()


async def test_of_too_many_silent_ones_the_oldest_goes(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.http.patience.HEAD_S", 3600.0)
    monkeypatch.setattr("livecommerce.http.patience.MOST_SILENT", 2)
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]

    async def closed() -> bool:
        return [reader.at_eof() or reader.exception() is not None for reader, _ in opened] == [True, False, False]

    await until(closed)
    opened[0][1].close()
    for _, writer in opened[1:]:
        writer.write(ASK)
    for reader, writer in opened[1:]:
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.close()
