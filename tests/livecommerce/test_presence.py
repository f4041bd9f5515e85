"""Viewer counts over workers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce import keys
from livecommerce.presence import FRESH_MS, INTERVAL_S
from tests.livecommerce.rooms import RoomWorker, Viewer, room_worker


@pytest.fixture
async def workers(valkey_url: str) -> AsyncIterator[tuple[RoomWorker, RoomWorker]]:
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        yield one, two


def count(viewer: Viewer) -> int:
    """The newest count this viewer was told."""
    return next((e["data"]["count"] for e in reversed(viewer.events) if e["type"] == "viewers"), 0)


async def test_both_workers_tell_the_sum_and_hear_of_who_leaves(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    ann, bob, cat = (
        await one.join(stream_id, "ann"),
        await two.join(stream_id, "bob"),
        await two.join(stream_id, "cat"),
    )
    for viewer in (ann, bob):
        await viewer.until(lambda v=viewer: count(v) == 3)
    assert await one.context.presence.count(stream_id) == 3
    dan = await one.join(stream_id, "dan")
    assert dan.joined["stream"]["viewers"] == 3
    await bob.until(lambda: count(bob) == 4)
    await cat.socket.close()
    await bob.until(lambda: count(bob) == 3)
    await bob.socket.close()
    await ann.until(lambda: count(ann) == 2)
    assert not [e for e in ann.events if "offset" in e], "counts are not numbered"


async def test_a_count_is_told_when_it_changes_and_not_again(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, _ = workers
    stream_id = await one.stream()
    ann = await one.join(stream_id)
    await ann.until(lambda: count(ann) == 1)
    for _ in range(3):
        await one.context.presence.report()
    await ann.do("ping")
    assert len([e for e in ann.events if e["type"] == "viewers"]) == 1


async def test_a_dead_worker_s_viewers_do_not_count(workers: tuple[RoomWorker, RoomWorker], redis: Redis) -> None:
    one, _ = workers
    stream_id = await one.stream()
    now_ms = one.context.clock.now_ms()
    await redis.hset(keys.presence(stream_id), mapping={"dead": f"500:{now_ms - 1600}", "alive": f"20:{now_ms - 500}"})
    assert await one.context.presence.count(stream_id) == 20


async def test_a_worker_that_stops_takes_its_viewers_back(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    await one.join(stream_id)
    await one.context.presence.report()
    assert await two.context.presence.count(stream_id) == 1
    await one.context.presence.aclose()
    await one.context.presence.aclose()
    assert await two.context.presence.count(stream_id) == 0


async def test_who_was_on_a_worker_that_was_killed_counts_two_seconds_more_at_most(
    workers: tuple[RoomWorker, RoomWorker], redis: Redis
) -> None:
    one, two = workers
    stream_id = await one.stream()
    ann, _ = await one.join(stream_id, "ann"), await two.join(stream_id, "bob")
    await ann.until(lambda: count(ann) == 2)
    assert 0 < await redis.ttl(keys.presence(stream_id)) <= 60
    # As a kill leaves it: nothing is taken back, and nothing is reported any more.
    await two.context.presence._reporting.aclose()
    await ann.until(lambda: count(ann) == 1)
    assert INTERVAL_S + FRESH_MS / 1000 <= 2
