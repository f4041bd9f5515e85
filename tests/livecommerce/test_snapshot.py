"""Joining reads the state of a room once for all, and never an old one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from deals.models import Money, ProductSpec
from livecommerce import snapshot as snapshot_module
from livecommerce.snapshot import RoomState, Snapshot
from tests.livecommerce.rooms import RoomWorker, eventually, room_worker


@pytest.fixture
async def worker(valkey_url: str) -> AsyncIterator[RoomWorker]:
    async with room_worker(valkey_url) as made:
        yield made


class Source:
    """A state that is read when the test lets it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.value = 0

    async def read(self) -> RoomState:
        value = self.value
        await self.gate.wait()
        return cast(Any, value)


async def test_all_who_ask_at_once_share_one_reading() -> None:
    snapshot, source = Snapshot(), Source()
    asking = [asyncio.create_task(snapshot.get(source.read)) for _ in range(50)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*asking) == [0] * 50
    assert await snapshot.get(source.read) == cast(Any, 0)
    assert snapshot.reads == 1


async def test_who_asks_after_a_change_never_gets_what_was_read_before_it() -> None:
    snapshot, source = Snapshot(), Source()
    early = asyncio.create_task(snapshot.get(source.read))
    await eventually(lambda: snapshot.reads == 1)
    await asyncio.sleep(0)
    source.value = 1
    snapshot.touch()
    late = asyncio.create_task(snapshot.get(source.read))
    await eventually(lambda: snapshot.reads == 2)
    source.gate.set()
    assert (await early, await late) == cast(Any, (0, 1))
    assert await snapshot.get(source.read) == cast(Any, 1)


async def test_a_state_that_no_event_touched_is_read_anew_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_module, "FRESH_S", 0.0)
    snapshot, source = Snapshot(), Source()
    source.gate.set()
    await snapshot.get(source.read)
    source.value = 1
    assert snapshot.current() is None
    assert await snapshot.get(source.read) == cast(Any, 1)


async def test_a_reading_that_fails_is_tried_again_by_the_next() -> None:
    async def fail() -> RoomState:
        raise ConnectionError

    snapshot, source = Snapshot(), Source()
    source.gate.set()
    with pytest.raises(ConnectionError):
        await snapshot.get(fail)
    assert await snapshot.get(source.read) == cast(Any, 0)


async def test_thirty_joins_read_the_room_once_and_chat_does_not_make_it_old(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    for n in range(30):
        if n % 10 == 5:
            await worker.say(stream_id, f"line {n}")
        await worker.join(stream_id, f"user{n}")
    room = worker.context.hub.room(stream_id)
    assert room is not None
    assert 1 <= room.snapshot.reads <= 3  # one, and one each two seconds


async def test_who_joins_right_after_a_product_was_put_is_told_of_it(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.join(stream_id)
    room = worker.context.hub.room(stream_id)
    assert room is not None
    for n in range(10):
        await worker.context.deals.put_product(
            stream_id, f"p{n}", ProductSpec(title=f"Lamp {n}", price=Money(100, "EUR"))
        )
        await eventually(lambda n=n: room.position == n + 1)
        viewer = await worker.join(stream_id, f"user{n}")
        assert [p["id"] for p in viewer.joined["products"]] == [f"p{m}" for m in range(n + 1)]


async def test_what_is_heard_while_the_room_is_read_is_not_forgotten(
    worker: RoomWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that opens, and a moderator who is appointed, while somebody's join reads how it was before."""
    stream_id = await worker.stream()
    chat = worker.context.chat
    read, go_on = asyncio.Event(), asyncio.Event()
    state = chat.state

    async def slow(wanted: str) -> Any:
        old = await state(wanted)
        read.set()
        await go_on.wait()
        return old

    monkeypatch.setattr(chat, "state", slow)
    joining = asyncio.create_task(worker.join(stream_id))
    await read.wait()
    room = worker.context.hub.room(stream_id)
    assert room is not None
    await chat.appoint(stream_id, "mia", granted=True, by="host")
    await chat.polls.open(stream_id, "Which?", ["a", "b"], seconds=60)
    await eventually(lambda: room.poll_open and bool(room.moderators))
    go_on.set()
    await joining
    assert (room.poll_open, room.moderators) == (True, {"mia"}), "else nobody closes the poll in time"


async def test_a_ban_whose_event_was_lost_closes_the_connection_all_the_same(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    ann = await worker.join(stream_id, "ann")
    bob = await worker.join(stream_id, "bob")
    # As when pub/sub lost the event: only the list knows.
    await worker.context.redis.hset(f"lc:{{{stream_id}}}:chat:bans", "ann", 2**52)
    assert await ann.until_closed() == 3501
    assert "ok" in await bob.do("ping")
