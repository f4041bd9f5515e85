"""The bus: subscriptions that come back by themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from livecommerce import bus as bus_module
from livecommerce.bus import Bus
from livecommerce.bus_wire import BusWire
from tests.livecommerce.rooms import eventually
from tests.valkey import valkey_server


class Ear:
    """A listener that keeps what it heard."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.subscribed = 0

    def on_message(self, message: bytes) -> None:
        self.messages.append(message)
        if message == b"explode":
            raise RuntimeError("a listener's defect")

    def on_subscribed(self) -> None:
        self.subscribed += 1


@pytest.fixture
async def bus(redis: Redis) -> AsyncIterator[Bus]:
    made = Bus(redis)
    await made.start()
    yield made
    await made.aclose()


async def test_what_is_published_is_heard_by_its_channel_only(bus: Bus, redis: Redis, stream_id: str) -> None:
    one, two = Ear(), Ear()
    await bus.subscribe(f"{{{stream_id}}}:1", one)
    await bus.subscribe(f"{{{stream_id}}}:2", two)
    for n in range(200):
        await redis.spublish(f"{{{stream_id}}}:{1 + n % 2}", f"m{n}")
    await eventually(lambda: len(one.messages) == len(two.messages) == 100)
    assert one.messages == [b"m%d" % n for n in range(0, 200, 2)]
    await bus.unsubscribe(f"{{{stream_id}}}:1", one)
    await redis.spublish(f"{{{stream_id}}}:1", "nobody")
    await redis.spublish(f"{{{stream_id}}}:2", "last")
    await eventually(lambda: two.messages[-1] == b"last")
    assert b"nobody" not in one.messages


async def test_a_channel_has_one_listener_and_only_it_may_leave(bus: Bus, redis: Redis, stream_id: str) -> None:
    ear = Ear()
    await bus.subscribe(stream_id, ear)
    with pytest.raises(ValueError, match="listener"):
        await bus.subscribe(stream_id, Ear())
    await bus.unsubscribe(stream_id, Ear())
    await redis.spublish(stream_id, "still")
    await eventually(lambda: ear.messages == [b"still"])


async def test_a_listener_that_fails_does_not_end_the_bus(bus: Bus, redis: Redis, stream_id: str) -> None:
    ear = Ear()
    await bus.subscribe(stream_id, ear)
    await redis.spublish(stream_id, "explode")
    await redis.spublish(stream_id, "go on")
    await eventually(lambda: ear.messages == [b"explode", b"go on"])
    assert bus.connections == 1


async def test_a_killed_connection_is_replaced_and_listeners_are_told(bus: Bus, redis: Redis, stream_id: str) -> None:
    ears = [Ear() for _ in range(20)]
    for n, ear in enumerate(ears):
        await bus.subscribe(f"{stream_id}:{n}", ear)
    for round_ in range(2, 5):
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await eventually(lambda r=round_: all(e.subscribed == r for e in ears), "resubscribed")
    await redis.spublish(f"{stream_id}:7", "hello again")
    await eventually(lambda: ears[7].messages == [b"hello again"])


async def test_subscribing_while_the_connection_is_down_waits_for_the_next(
    bus: Bus, redis: Redis, stream_id: str
) -> None:
    await eventually(lambda: bus.connected)
    bus.reconnect()
    ear = Ear()
    await bus.subscribe(stream_id, ear)
    await redis.spublish(stream_id, "here")
    await eventually(lambda: ear.messages == [b"here"])


async def test_a_valkey_that_never_answers_is_a_timeout(stream_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "SUBSCRIBE_TIMEOUT_S", 0.1)
    bus = Bus(Redis.from_url("unix:///nonexistent/valkey.sock"))
    await bus.start()
    with pytest.raises(TimeoutError):
        await bus.subscribe(stream_id, Ear())
    assert not bus.connected
    await bus.aclose()
    await bus.aclose()


async def test_a_frozen_valkey_is_noticed_and_everything_heals_when_it_thaws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "PROBE_S", 0.2)
    monkeypatch.setattr(bus_module, "CONNECT_TIMEOUT_S", 0.5)
    with valkey_server(tmp_path) as url:
        redis = Redis.from_url(url)
        process_id = int((await redis.info("server"))["process_id"])
        bus, ear = Bus(redis), Ear()
        await bus.start()
        try:
            await bus.subscribe("room", ear)
            os.kill(process_id, signal.SIGSTOP)
            await eventually(lambda: not bus.connected, "the silence is noticed")
            os.kill(process_id, signal.SIGCONT)
            await eventually(lambda: ear.subscribed >= 2, "resubscribed", timeout_s=3)
            await redis.spublish("room", "thawed")
            await eventually(lambda: ear.messages == [b"thawed"])
        finally:
            os.kill(process_id, signal.SIGCONT)
            await bus.aclose()
            await redis.aclose()


async def test_an_idle_bus_keeps_its_connection(bus: Bus, stream_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "PROBE_S", 0.25)
    probes = 0
    send = BusWire.send

    def counting(wire: BusWire, *command: bytes) -> None:
        nonlocal probes
        probes += command == (b"PING",)
        send(wire, *command)

    monkeypatch.setattr(BusWire, "send", counting)
    ear = Ear()
    await bus.subscribe(stream_id, ear)
    await eventually(lambda: probes >= 4, "it was idle for four probes")
    assert (bus.connections, ear.subscribed, bus.connected) == (1, 1, True)
