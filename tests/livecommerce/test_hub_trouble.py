"""Rooms over two workers under trouble: everything heals, and nothing was missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce import hub as hub_module
from livecommerce import keys
from livecommerce.hub import Hub
from livecommerce.scripting import ScriptRunner
from tests.livecommerce.rooms import RoomWorker, eventually, room_worker


@pytest.fixture
async def workers(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[RoomWorker, RoomWorker]]:
    """Two workers of one group, who compare positions more often than in life."""
    monkeypatch.setattr(hub_module, "SWEEP_S", 0.2)
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        yield one, two


async def kill_subscribers(redis: Redis) -> int:
    """CLIENT KILL TYPE pubsub: every worker's bus is cut."""
    return int(await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))


async def test_a_cut_bus_heals_and_what_was_said_meanwhile_is_read_from_the_log(
    workers: tuple[RoomWorker, RoomWorker], redis: Redis
) -> None:
    one, _ = workers
    stream_id = await one.stream()
    ann = await one.join(stream_id)
    before = one.context.hub.bus.connections
    for round_ in range(3):
        assert await kill_subscribers(redis) >= 1
        await one.say(stream_id, *(f"line {round_}.{n}" for n in range(20)))
        async with asyncio.timeout(3):
            await ann.until(lambda r=round_: (r + 1) * 20 in ann.offsets)
    assert ann.offsets == list(range(1, 61))
    await eventually(lambda: one.context.hub.bus.connections > before)


async def test_silent_pub_sub_is_noticed_by_positions(workers: tuple[RoomWorker, RoomWorker], redis: Redis) -> None:
    one, _ = workers
    stream_id = await one.stream()
    ann = await one.join(stream_id)
    # As after a failover: the connection answers, but nothing is published to it any more.
    wire: Any = one.context.hub.bus._wire
    wire.send(b"SUNSUBSCRIBE", keys.log(stream_id).encode())
    await asyncio.sleep(0.05)
    await one.say(stream_id, "did you hear?")
    async with asyncio.timeout(5):
        await ann.until(lambda: ann.offsets == [1])
    await eventually(lambda: one.context.hub.bus.connections > 1, "the bus reconnects")
    await one.say(stream_id, "and now?")
    await ann.until(lambda: ann.offsets == [1, 2])


async def test_a_log_that_was_lost_closes_with_3010_and_begins_a_new_epoch(
    workers: tuple[RoomWorker, RoomWorker], redis: Redis
) -> None:
    one, _ = workers
    stream_id = await one.stream()
    await one.say(stream_id, "one", "two", "three")
    ann = await one.join(stream_id)
    await ann.until(lambda: 3 in ann.offsets)
    await redis.delete(keys.room(stream_id), keys.log(stream_id))
    await one.say(stream_id, "a new story")
    assert await ann.until_closed() == 3010
    again = await one.join(stream_id, epoch=ann.joined["epoch"], offset=3)
    assert again.joined["recovered"] is False
    assert again.joined["epoch"] != ann.joined["epoch"]
    await again.until(lambda: again.texts == ["a new story"])


async def test_a_log_that_was_lost_in_silence_is_noticed_too(
    workers: tuple[RoomWorker, RoomWorker], redis: Redis
) -> None:
    one, _ = workers
    stream_id = await one.stream()
    await one.say(stream_id, "one")
    ann = await one.join(stream_id)
    await redis.delete(keys.room(stream_id), keys.log(stream_id))
    assert await ann.until_closed() == 3010


async def test_without_valkey_a_join_is_told_to_come_back(redis: Redis) -> None:
    away = Redis.from_url("unix:///nonexistent/valkey.sock")
    hub = Hub(away, ScriptRunner(away))
    await hub.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hub_module, "OPEN_TIMEOUT_S", 0.1)
            with pytest.raises(Exception, match="cannot be reached") as refused:
                await hub.arrive("s", None)  # type: ignore[arg-type]
        assert refused.value.code == "unavailable"  # type: ignore[attr-defined]
        assert hub.room("s") is None
    finally:
        await hub.aclose()
        await hub.aclose()


async def test_a_message_of_no_known_form_harms_nobody(workers: tuple[RoomWorker, RoomWorker], redis: Redis) -> None:
    one, _ = workers
    stream_id = await one.stream()
    ann = await one.join(stream_id)
    for nonsense in (b"", b"x", b"n", b"n{}", b"nnot json", b"p[]", b"p{}", b"l", b'l{"slot":1}', b"\xff" * 100):
        await redis.spublish(keys.log(stream_id), nonsense)
    await one.say(stream_id, "still here")
    await ann.until(lambda: ann.texts == ["still here"])


async def test_a_valkey_that_is_silent_is_told_of_long_before_a_command_gives_up(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_S", 0.05)
    monkeypatch.setattr(hub_module, "CHECK_TIMEOUT_S", 0.5)
    async with room_worker(valkey_url, command_s=3600.0) as worker:
        ann = await worker.join(await worker.stream())
        redis = worker.context.hub._redis

        class Silent:
            def pipeline(self, *, transaction: bool) -> Silent:
                return self

            def hmget(self, *_: str) -> None:
                pass

            async def execute(self) -> None:
                await asyncio.Event().wait()

        monkeypatch.setattr(worker.context.hub, "_redis", Silent())
        await ann.until(lambda: [e["data"]["state"] for e in ann.events if e["type"] == "status"][-1:] == ["degraded"])
        monkeypatch.setattr(worker.context.hub, "_redis", redis)
        await ann.until(lambda: [e["data"]["state"] for e in ann.events if e["type"] == "status"][-1] == "ok")
