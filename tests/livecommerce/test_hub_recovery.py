"""Resuming from deep in a room's log: whole, and at the price of one reading."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from livecommerce import keys, room_log
from livecommerce.room_log import RING_EVENTS, Ring
from tests.livecommerce.rooms import eventually, room_worker


async def test_deep_recovery_reads_the_log_once_for_all_who_ask(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_log, "DEEP_KEPT_S", 3600.0)
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        total = RING_EVENTS + 300
        await asyncio.gather(*(worker.say(stream_id, f"line {n}") for n in range(total)))
        first = await worker.join(stream_id)
        epoch, reads = first.joined["epoch"], worker.context.hub.log.reads
        shallow = await worker.join(stream_id, epoch=epoch, offset=total - 500)
        assert shallow.joined["recovered"] is True
        assert worker.context.hub.log.reads == reads, "the ring is enough"
        deep = await asyncio.gather(*(worker.join(stream_id, f"u{n}", epoch=epoch, offset=10) for n in range(10)))
        for viewer in deep:
            assert viewer.joined["recovered"] is True
            await viewer.until(lambda v=viewer: total in v.offsets)
            assert viewer.offsets == list(range(11, total + 1))
        assert worker.context.hub.log.reads - reads <= 3
        # Nor do those who come one after the other: not who is as deep, and not who is beyond the log.
        reads = worker.context.hub.log.reads
        for n in range(5):
            late = await worker.join(stream_id, f"late{n}", epoch=epoch, offset=10 + n)
            assert late.joined["recovered"] is True
        assert worker.context.hub.log.reads == reads
        await worker.say(stream_id, "one more")
        deepest = await worker.join(stream_id, "deepest", epoch=epoch, offset=0)
        total += 1
        await deepest.until(lambda: total in deepest.offsets)
        assert deepest.offsets == list(range(1, total + 1)), "what followed comes from the ring"
        assert worker.context.hub.log.reads == reads


async def test_a_log_read_for_one_is_read_again_when_the_ring_has_left_it_behind_and_kept_for_a_while(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_log, "DEEP_KEPT_S", 3600.0)
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        await asyncio.gather(*(worker.say(stream_id, f"line {n}") for n in range(RING_EVENTS + 10)))
        epoch = (await worker.join(stream_id)).joined["epoch"]
        room = worker.context.hub.room(stream_id)
        assert room is not None

        async def reads_of_a_join() -> int:
            before = worker.context.hub.log.reads
            viewer = await worker.join(stream_id, epoch=epoch, offset=0)
            assert viewer.joined["recovered"] is True
            await viewer.socket.close()
            return worker.context.hub.log.reads - before

        assert [await reads_of_a_join() for _ in range(2)] == [1, 0]
        room.ring = Ring(max_events=5)
        await worker.say(stream_id, *(f"more {n}" for n in range(10)))
        await eventually(lambda: room.position == RING_EVENTS + 20)
        monkeypatch.setattr(room_log, "DEEP_KEPT_S", 0.0)
        assert [await reads_of_a_join() for _ in range(2)] == [1, 1]


async def test_beyond_the_log_the_newest_fifty_come_instead(valkey_url: str, redis: Redis) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        await worker.say(stream_id, *(f"line {n}" for n in range(100)))
        await redis.xtrim(keys.log(stream_id), maxlen=70, approximate=False)
        epoch = (await worker.join(stream_id)).joined["epoch"]
        viewer = await worker.join(stream_id, epoch=epoch, offset=10)
        assert (viewer.joined["recovered"], viewer.joined["offset"]) == (False, 100)
        reads = worker.context.hub.log.reads
        for other, offset in ((epoch, 0), ("1", 10), (epoch, 2**50)):
            again = await worker.join(stream_id, epoch=other, offset=offset)
            assert again.joined["recovered"] is False
        assert worker.context.hub.log.reads == reads, "what cannot be whole is not read for again"
        await viewer.until(lambda: viewer.offsets == list(range(51, 101)))
        edge = await worker.join(stream_id, epoch=epoch, offset=30)
        assert edge.joined["recovered"] is True
        await edge.until(lambda: edge.offsets == list(range(31, 101)))
