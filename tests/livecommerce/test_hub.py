"""Rooms over two workers: one story for all, no gap and no double."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from livecommerce import bans, hub, keys
from livecommerce.close_codes import CloseCode
from tests.livecommerce.rooms import RoomWorker, Viewer, eventually, room_worker


async def test_two_workers_tell_one_story(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    ann, bob = await one.join(stream_id, "ann"), await two.join(stream_id, "bob")
    for n in range(5):
        assert "ok" in await (ann, bob)[n % 2].do("chat.send", text=f"line {n}")
    for viewer in (ann, bob):
        await viewer.until(lambda v=viewer: 5 in v.offsets)
    assert ann.numbered == bob.numbered
    assert ann.offsets == [1, 2, 3, 4, 5]


async def test_a_viewer_changes_the_worker_and_misses_nothing(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    await one.say(stream_id, "one", "two", "three")
    ann = await one.join(stream_id)
    await ann.until(lambda: 3 in ann.offsets)
    again = await two.join(stream_id, epoch=ann.joined["epoch"], offset=1)
    assert again.joined["recovered"] is True
    await again.until(lambda: 3 in again.offsets)
    assert again.offsets == [2, 3]


async def test_who_heard_more_than_the_worker_they_come_to_has_lost_nothing(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "SWEEP_S", 3600.0)
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        epoch = (await worker.join(stream_id)).joined["epoch"]
        room = worker.context.hub.room(stream_id)
        assert room is not None
        await worker.context.hub.bus.unsubscribe(keys.log(stream_id), room)
        await worker.say(stream_id, "one", "two")
        assert room.position == 0
        ahead = await worker.join(stream_id, epoch=epoch, offset=1)
        assert ahead.joined["recovered"] is True
        await ahead.until(lambda: ahead.offsets == [2])


async def test_a_token_for_one_connection_at_a_time_keeps_its_newest(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    token = one.context.tokens.mint("ann", "Ann", ["watch"], single=True)
    other_token = one.context.tokens.mint("ann", "Ann", ["watch"], single=True)
    plain = await one.join(stream_id, "ann")

    async def enter(worker: RoomWorker, token: str) -> Viewer:
        viewer = await worker.connect(stream_id)
        reply = await viewer.do("join", token=token)
        assert "ok" in reply, reply
        return viewer

    other = await enter(one, other_token)
    older = await enter(one, token)
    newer = await enter(two, token)
    assert await older.until_closed() == CloseCode.REPLACED
    newest = await enter(two, token)
    assert await newer.until_closed() == CloseCode.REPLACED
    # Of many at once exactly one stays, whatever the order; those with another token, and with none such, all do.
    crowd = await asyncio.gather(*(enter(worker, token) for worker in (one, two) * 4), return_exceptions=True)
    assert await newest.until_closed() == CloseCode.REPLACED
    await one.say(stream_id, "who is here?")
    stayed = 0
    for viewer in crowd:
        if isinstance(viewer, Viewer):
            with contextlib.suppress(AssertionError):
                await viewer.until(lambda v=viewer: "who is here?" in v.texts)
                stayed += 1
    assert stayed == 1
    for viewer in (plain, other):
        await viewer.until(lambda v=viewer: "who is here?" in v.texts)


async def test_a_ban_closes_every_connection_on_both_workers_without_waiting_for_the_list_of_bans(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans, "REFRESH_S", 3600.0)
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        stream_id = await one.stream()
        host, good = await one.host(stream_id), await two.join(stream_id, "good")
        bad = [await worker.join(stream_id, "bad") for worker in (one, one, two)]
        assert "ok" in await host.do("chat.ban", user_id="bad", seconds=60)
        assert [await viewer.until_closed() for viewer in bad] == [3501] * 3
        assert {viewer.events[-1]["type"] for viewer in bad} == {"moderation"}
        assert "ok" in await good.do("ping")


async def test_reactions_of_both_workers_are_summed_for_both(workers: tuple[RoomWorker, RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    ann, bob = await one.join(stream_id, "ann"), await two.join(stream_id, "bob")
    began_s = asyncio.get_running_loop().time()
    for _ in range(20):
        await ann.do("chat.react", kind="heart", count=2)
        await asyncio.sleep(0.02)
    await bob.do("chat.react", kind="wow")

    def told(viewer: Viewer) -> dict[str, int]:
        sums: dict[str, int] = {}
        for event in viewer.events:
            if event["type"] == "reactions":
                for kind, count in event["data"].items():
                    sums[kind] = sums.get(kind, 0) + count
        return sums

    for viewer in (ann, bob):
        await viewer.until(lambda v=viewer: told(v) == {"heart": 40, "wow": 1})
        hearts = [e for e in viewer.events if e["type"] == "reactions" and "heart" in e["data"]]
        lasted_s = asyncio.get_running_loop().time() - began_s
        assert len(hearts) <= lasted_s / 0.25 + 2, "sums, not each heart"


async def test_a_viewer_who_does_not_read_is_closed_with_3008_and_recovers_whole(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        slow, quick = await worker.join(stream_id, "slow"), await worker.join(stream_id, "quick")
        slow_member, quick_member = worker.context.hub.room(stream_id).tick.joined  # type: ignore[union-attr]
        # A small send buffer instead of the kernel's generous one; the client stops reading from its socket.
        sock = slow_member.outbox.transport.get_extra_info("socket")  # type: ignore[attr-defined]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        slow.socket._conn.transport.pause_reading()  # type: ignore[union-attr]
        sent = 0
        async with asyncio.timeout(30):
            while slow_member.closing is None:
                await worker.say(stream_id, *("x" * 6000 for _ in range(10)))
                sent += 10
                await quick.until(lambda n=sent: n in quick.offsets)
        assert slow_member.closing == 3008
        assert not quick_member.closing
        slow.socket._conn.transport.resume_reading()  # type: ignore[union-attr]
        assert await slow.until_closed() == 3008
        assert slow.offsets == list(range(1, len(slow.offsets) + 1)), "what came before the close is whole"
        again = await worker.join(
            stream_id, "slow", epoch=slow.joined["epoch"], offset=slow.offsets[-1] if slow.offsets else 0
        )
        assert again.joined["recovered"] is True
        await again.until(lambda: sent in again.offsets)
        assert slow.offsets + again.offsets == list(range(1, sent + 1))
        assert quick.offsets == list(range(1, sent + 1))


async def test_a_busy_room_joins_events_into_few_frames_and_an_idle_one_does_not_wait(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        ann = await worker.join(stream_id)
        frames = len(ann.frames)
        await asyncio.gather(*(worker.say(stream_id, f"line {n}") for n in range(300)))
        await ann.until(lambda: 300 in ann.offsets)
        assert len(ann.frames) - frames < 100
        assert ann.offsets == list(range(1, 301))


async def test_an_empty_room_closes_after_a_while_and_opens_again(
    valkey_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans, "IDLE_S", 0.0)
    monkeypatch.setattr(bans, "REFRESH_S", 0.05)
    monkeypatch.setattr(hub, "SWEEP_S", 0.05)
    async with room_worker(valkey_url, linger_s=0.0) as worker:
        stream_id = await worker.stream()
        channel = keys.log(stream_id)
        for _ in range(2):
            ann = await worker.join(stream_id)
            assert (await redis.pubsub_shardnumsub(channel))[0][1] == 1
            await ann.socket.close()
            await eventually(lambda: worker.context.hub.room(stream_id) is None, "the room closes")
            await _unsubscribed(redis, channel)


async def _unsubscribed(redis: Redis, channel: str) -> None:
    for _ in range(500):
        if (await redis.pubsub_shardnumsub(channel))[0][1] == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("somebody still listens")


async def test_private_events_between_the_position_and_the_reply_are_kept(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        deals = worker.context.deals
        reading, go_on = asyncio.Event(), asyncio.Event()
        original = deals.products

        async def slow_products(wanted: str) -> Any:
            reading.set()
            await go_on.wait()
            return await original(wanted)

        with contextlib.ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(deals, "products", slow_products)
            joining = asyncio.create_task(worker.join(stream_id))
            await reading.wait()
            await worker.context.run_script(
                "return tell(KEYS[1], 'ann', 'order.updated', ARGV[1])",
                [keys.log(stream_id)],
                [msgspec.json.encode({"order": None})],
            )
            await worker.say(stream_id, "meanwhile")
            go_on.set()
            ann = await joining
        await ann.event("order.updated")
        await ann.until(lambda: ann.texts == ["meanwhile"])
        assert ann.joined["offset"] == 0
        assert ann.offsets == [1]
