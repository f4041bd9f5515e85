"""A chat room the usual way, to compare with: aiohttp, and ``send_str`` to every connection for every message.

It speaks as much of the rooms' protocol as the load needs (join, ``chat.send``), numbers its messages, and keeps
nothing: no log, no limits, no moderation, one process. What it costs is what any such server costs at least.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from aiohttp import web

from load_tests.processes import raise_file_limit

#: messages that wait to be sent; then whoever talks waits
MOST_WAITING = 10_000


class PlainRoom:
    """All sockets, and one task that sends each message to each of them in order."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()
        self._offset = 0
        self._events: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        socket = web.WebSocketResponse(protocols=("livecommerce.v1.json",), compress=False)
        await socket.prepare(request)
        await socket.receive()
        joined = {"epoch": "1", "offset": self._offset, "recovered": False}
        await socket.send_str(json.dumps({"re": 1, "ok": joined}))
        self._sockets.add(socket)
        try:
            async for message in socket:
                await self._said(socket, json.loads(message.data))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _said(self, socket: web.WebSocketResponse, command: dict[str, Any]) -> None:
        self._offset += 1
        message = {"id": f"m{self._offset}", "text": command["text"]}
        data = message | {"user": {"id": "u", "name": "Viewer", "roles": []}}
        event = {"offset": self._offset, "type": "chat.message", "at_ms": int(time.time() * 1000), "data": data}
        await self._events.put(json.dumps(event))
        answer = {"offset": event["offset"], "id": message["id"]}
        await socket.send_str(json.dumps({"re": command["id"], "ok": answer}))

    async def send(self) -> None:
        """Send for ever."""
        while True:
            event = await self._events.get()
            for socket in list(self._sockets):
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(event)


async def _serve(pipe: Connection) -> None:
    room = PlainRoom()
    app = web.Application()
    app.add_routes([web.get("/ws/{stream}", room.handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    sending = asyncio.create_task(room.send(), name="send")
    pipe.send(runner.addresses[0])
    await asyncio.get_running_loop().run_in_executor(None, pipe.poll, None)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending


def _process(pipe: Connection) -> None:
    raise_file_limit()
    uvloop.run(_serve(pipe))


@dataclass(frozen=True)
class PlainServer:
    """Where it answers, and its process."""

    address: tuple[str, int]
    pid: int


@contextlib.contextmanager
def plain_server() -> Iterator[PlainServer]:
    """Run one in a process of its own until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_process, args=(theirs,), daemon=True)
    process.start()
    try:
        yield PlainServer(tuple(ours.recv()), process.pid or 0)
    finally:
        ours.send(None)
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
