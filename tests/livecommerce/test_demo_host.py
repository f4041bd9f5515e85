"""The robot host against a real server: on the air, selling, and back after whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import orjson
import pytest

from livecommerce.auth import TokenAuthority
from livecommerce.client import Client
from livecommerce.demo import audience, host, programme
from livecommerce.demo.host import RobotHost
from tests.running import RunningServer, free_port, running_server

SECRET = "a secret of the demo's tests, thirty-two bytes"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("demo"), "--secret", SECRET) as server:
        yield server


@pytest.fixture
async def guest(server: RunningServer) -> AsyncIterator[Client]:
    async with Client(server.url) as client:
        await client.sign_in("Guest")
        yield client


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of four seconds instead of a minute."""
    monkeypatch.setattr(programme, "OPEN_S", 2)
    for module, name, value in (
        (host, "COUNTDOWN_S", 1),
        (host, "OPEN_S", 2),
        (host, "REST_S", 1),
        (audience, "PAY_PAUSE_S", (0.1, 0.3)),
        (audience, "CHAT_PAUSE_S", (0.2, 1.0)),
    ):
        monkeypatch.setattr(module, name, value)


@contextlib.asynccontextmanager
async def performing(server: RunningServer) -> AsyncIterator[RobotHost]:
    async with aiohttp.ClientSession() as session:
        robot = RobotHost(server.url, TokenAuthority(SECRET), session)
        show = asyncio.create_task(robot.run())
        try:
            yield robot
        finally:
            show.cancel()
            await asyncio.gather(show, return_exceptions=True)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.05)


async def shows(client: Client) -> list[Json]:
    """The demo's streams that have not ended."""
    items = (await client.streams(limit=100))["items"]
    return [s for s in items if s["host"]["id"] == programme.HOST_ID and s["state"] != "ended"]


async def on_the_air(client: Client) -> bool:
    return [stream["state"] for stream in await shows(client)] == ["live"]


@pytest.mark.usefixtures("hurry")
async def test_the_robots_go_live_chat_and_sell_what_there_is(server: RunningServer, guest: Client) -> None:
    """Given a demo, then it is live, marked as one, its robots talk, and a deal opens, sells, and closes on time."""
    async with performing(server):
        await eventually(lambda: on_the_air(guest), "live")
        (stream,) = await shows(guest)
        assert "demo" in stream["title"].lower()
        seen: dict[str, list[Json]] = {}
        async with guest.room(stream["id"]) as room, asyncio.timeout(40):
            assert {p["id"] for p in room.joined["products"]} == {"mug", "lamp", "bag"}
            async for event in room:
                seen.setdefault(event.type, []).append(event.data)
                if {"purchase", "deal.closed", "product.pinned", "chat.message"} <= seen.keys():
                    break
        deal = seen["deal.closed"][-1]["deal"]
        assert 0 < deal["sold"] + deal["held"] <= deal["stock"] == programme.STOCK
        assert all("robot" in m["user"]["name"].lower() for m in seen["chat.message"])


@pytest.mark.usefixtures("hurry")
async def test_a_guest_is_greeted_by_name(server: RunningServer, guest: Client) -> None:
    async with performing(server):
        await eventually(lambda: on_the_air(guest), "live")
        (stream,) = await shows(guest)
        async with guest.room(stream["id"]) as room, asyncio.timeout(20):
            await room.chat("hi")
            async for event in room:
                if event.type == "chat.message" and "Hello Guest" in event.data["text"]:
                    break
        assert event.data["user"]["roles"] == ["host"]


async def test_a_restarted_demo_continues_its_stream_and_ends_its_old_ones(
    server: RunningServer, guest: Client
) -> None:
    async with Client(server.url) as old:
        old.token = TokenAuthority(SECRET).mint(programme.HOST_ID, programme.HOST_NAME, ["host"])
        for stream in await shows(guest):
            await old.end_stream(stream["id"])
        stale = await old.create_stream(programme.STREAM_TITLE)
        newest = await old.create_stream(programme.STREAM_TITLE)
    async with performing(server):
        await eventually(lambda: on_the_air(guest), "live")
        assert [stream["id"] for stream in await shows(guest)] == [newest["id"]]
        assert (await guest.stream(stale["id"]))["state"] == "ended"

        async def interrupted() -> bool:
            return bool((await guest.stream(newest["id"]))["state"] == "interrupted")

    await eventually(interrupted, "goodbye was said to the relay")
    async with performing(server):
        await eventually(lambda: on_the_air(guest), "live again")
        assert [stream["id"] for stream in await shows(guest)] == [newest["id"]]


async def test_when_its_stream_is_ended_the_demo_makes_another(server: RunningServer, guest: Client) -> None:
    async with performing(server), Client(server.url) as owner:
        await eventually(lambda: on_the_air(guest), "live")
        (first,) = await shows(guest)
        owner.token = TokenAuthority(SECRET).mint(programme.HOST_ID, programme.HOST_NAME, ["host"])
        await owner.end_stream(first["id"])
        await eventually(lambda: on_the_air(guest), "live again")
        (second,) = await shows(guest)
        assert second["id"] != first["id"]


def start_demo(base_url: str) -> subprocess.Popen[bytes]:
    told = orjson.dumps({"base_url": base_url, "secret": SECRET}).decode()
    command = [sys.executable, "-m", "livecommerce.demo"]
    return subprocess.Popen(command, env=os.environ | {"LIVECOMMERCE_DEMO": told}, stderr=subprocess.PIPE)


def test_it_stops_at_once_when_told_to_even_without_a_server() -> None:
    process = start_demo(f"http://127.0.0.1:{free_port()}")
    assert process.stderr is not None
    assert b"Cannot connect" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=5)
    assert process.returncode == 0
    assert b"Traceback" not in rest


@pytest.mark.parametrize("told", ["", "{}", "[1]", '{"base_url": 1, "secret": "x"}'])
def test_without_orders_it_says_what_it_needs(told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "livecommerce.demo"],
        env=os.environ | {"LIVECOMMERCE_DEMO": told},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert b"LIVECOMMERCE_DEMO must be" in done.stderr
