"""A server of our own to be measured: one worker in a temporary directory, with a stream that is ready."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import psutil

START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Target:
    """Where to publish and watch, by whose token, and which process serves it (0 when it is not ours to look at)."""

    whip: str
    whep: str
    host_token: str
    viewer_tokens: list[str]
    pid: int


@contextlib.asynccontextmanager
async def own_server(http: aiohttp.ClientSession, viewers: int) -> AsyncIterator[Target]:
    """Run ``livecommerce serve`` with one worker until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="relay-load-") as folder:
        command = ["-m", "livecommerce", "serve", "--port", str(port), "--data-dir", f"{folder}/data", "--workers", "1"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVECOMMERCE_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *("--guests", "on", "--log-level", "warning", "--limit", f"viewers={viewers + 100}"),
            env=environment,
        )
        try:
            yield await _prepare(http, f"http://127.0.0.1:{port}", process.pid, viewers)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _prepare(http: aiohttp.ClientSession, url: str, supervisor: int, viewers: int) -> Target:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not await _ready(http, url):
        if time.monotonic() > deadline:
            raise RuntimeError("the server did not become ready")
        await asyncio.sleep(0.1)
    children = psutil.Process(supervisor).children(recursive=True)
    worker = next(each.pid for each in children if "livecommerce.worker" in each.cmdline())
    host = await _guest(http, url)
    async with http.post(f"{url}/api/v1/streams", json={"title": "Load"}, headers=_bearer(host)) as answer:
        stream = await answer.json()
    # one person a few viewers: the limits of a person are not what is measured
    tokens = [await _guest(http, url) for _ in range(max(1, viewers // 10))]
    return Target(stream["urls"]["whip"], stream["urls"]["whep"], host, tokens, worker)


async def _ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _guest(http: aiohttp.ClientSession, url: str) -> str:
    async with http.post(f"{url}/api/v1/guest", json={"name": "Load"}) as answer:
        token: str = (await answer.json())["token"]
        return token


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
