"""A room the usual way: aiohttp, and ``send_str`` to every connection for every event."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

import uvloop
from aiohttp import web

from load_tests.rooms_viewers import crowd_process, raise_file_limit


async def _serve(viewers: int, text: str, events_per_s: float, seconds: float, pipe: Connection) -> None:
    sockets: set[web.WebSocketResponse] = set()
    everybody = asyncio.Event()
    joined = {"re": 1, "ok": {"epoch": "1", "offset": 0, "recovered": False}}

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("livecommerce.v1.json",))
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps(joined))
        sockets.add(socket)
        if len(sockets) == viewers:
            everybody.set()
        async for _ in socket:
            pass
        sockets.discard(socket)
        return socket

    app = web.Application()
    app.add_routes([web.get("/ws", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    pipe.send(runner.addresses[0])
    await everybody.wait()
    started_s, cpu_s, rounds = time.monotonic(), time.process_time(), 0
    while rounds < events_per_s * seconds:
        await asyncio.sleep(max(0.0, started_s + rounds / events_per_s - time.monotonic()))
        rounds += 1
        event = {"offset": rounds, "type": "chat.message", "at_ms": 0, "data": {"id": f"m{rounds}", "text": text}}
        for socket in list(sockets):
            with contextlib.suppress(ConnectionError):
                await socket.send_str(json.dumps(event))
    pipe.send((time.process_time() - cpu_s, rounds * viewers))
    await runner.cleanup()


def _process(viewers: int, text: str, events_per_s: float, seconds: float, pipe: Connection) -> None:
    raise_file_limit()
    uvloop.run(_serve(viewers, text, events_per_s, seconds, pipe))


def measure_baseline(viewers: int, text: str, events_per_s: float, seconds: float) -> float:
    """µs of CPU for one event to one viewer."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_process, args=(viewers, text, events_per_s, seconds, theirs), daemon=True)
    server.start()
    address = ours.recv()
    orders, end = spawn.Pipe()
    crowd = spawn.Process(target=crowd_process, args=(end, tuple(address), "/ws", ["t"] * viewers), daemon=True)
    crowd.start()
    orders.send(("join",))
    cpu_s, deliveries = ours.recv()
    orders.send(("end",))
    crowd.join()
    server.join()
    return float(cpu_s / deliveries * 1e6)
