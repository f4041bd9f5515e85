"""One room and its tick, with a bus that says only what the test lets it say; the log is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from livecommerce import keys
from livecommerce import room as room_module
from livecommerce.close_codes import CloseCode
from livecommerce.frames import JSON, Item
from livecommerce.member import Member
from livecommerce.outbox import WITHHOLD_BYTES
from livecommerce.reactions import Reactions
from livecommerce.room import Room
from livecommerce.room_log import LOG_MAX, Page, Ring, RoomLog
from livecommerce.scripting import ScriptRunner
from livecommerce.tasks import stop
from livecommerce.uring import Sender
from tests.livecommerce.rooms import eventually
from tests.livecommerce.test_outbox import Wire


class MuteBus:
    """Confirms every subscription and publishes nothing."""

    async def subscribe(self, channel: str, listener: Any) -> None:
        pass

    async def unsubscribe(self, channel: str, listener: Any) -> None:
        pass


class Teller:
    """Emits events, and keeps the message each would have been published as."""

    def __init__(self, redis: Redis, run_script: ScriptRunner, stream_id: str) -> None:
        self._redis, self._run, self._stream_id = redis, run_script, stream_id

    async def say(self, text: str) -> bytes:
        """Emit; the published message."""
        names = [keys.room(self._stream_id), keys.log(self._stream_id)]
        data = json.dumps({"text": text})
        await self._run("return emit(KEYS[1], KEYS[2], now_ms(), 'chat.message', ARGV[1])", names, [data])
        newest = await self._redis.xrevrange(names[1], count=1)
        return b"n" + newest[0][1][b"e"]


@pytest.fixture
async def room(run_script: ScriptRunner, stream_id: str) -> AsyncIterator[Room]:
    made = Room(stream_id, cast(Any, MuteBus()), RoomLog(run_script), Sender())
    await made.open()
    yield made
    await made.aclose()
    await made.aclose()


@pytest.fixture
def teller(redis: Redis, run_script: ScriptRunner, stream_id: str) -> Teller:
    return Teller(redis, run_script, stream_id)


@pytest.fixture
def closed() -> list[CloseCode]:
    return []


@pytest.fixture
def wire(room: Room, closed: list[CloseCode]) -> Wire:
    """What one joined viewer of the room is sent."""
    wire = Wire()
    member = Member(wire, JSON, user_id="ann", roles=(), expires_s=2e9, shut=closed.append, now_s=0)
    room.expect(member)
    room.admit(member, room.position)
    return wire


async def test_one_who_is_ahead_of_this_worker_is_caught_up_with(room: Room, teller: Teller) -> None:
    for text in ("one", "two", "three"):
        await teller.say(text)
    assert room.position == 0
    await asyncio.gather(*(room.reach(3) for _ in range(20)))
    assert room.position == 3
    # An offset that is nowhere is looked for, and not waited for.
    await room.reach(99)
    assert room.position == 3


async def test_however_many_say_they_are_ahead_the_log_is_looked_at_seldom(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "LOOK_PAUSE_S", 3600.0)
    before = room._log.reads
    asking = []
    for _ in range(20):
        asking.append(asyncio.create_task(room.reach(3)))
        await asyncio.sleep(0.001)
    assert 1 <= room._log.reads - before <= 3, "one at once, then none for a while"
    await stop(*asking)
    before = room._log.reads
    await room.reach(LOG_MAX + 1)
    assert room._log.reads == before, "nobody is so far ahead"


def offsets(wire: Wire) -> list[int]:
    """The offsets sent."""
    found: list[int] = []
    for frame in wire.frames:
        decoded = json.loads(frame[2:] if frame[1] < 126 else frame[4:])
        found += [e["offset"] for e in (decoded if isinstance(decoded, list) else [decoded])]
    return found


async def test_a_hole_is_filled_from_the_log_at_once(room: Room, wire: Wire, teller: Teller) -> None:
    messages = [await teller.say(f"line {n}") for n in range(5)]
    room.on_message(messages[0])
    room.on_message(messages[4])
    await eventually(lambda: offsets(wire) == [1, 2, 3, 4, 5], timeout_s=2)


async def test_a_room_that_is_opened_knows_whether_a_poll_is(room: Room, run_script: ScriptRunner) -> None:
    """Also where nobody is told the state of things: by an event stream, or for bans alone."""
    names = [keys.room(room.stream_id), keys.log(room.stream_id)]
    known = []
    for kind in ("poll.opened", "poll.closed"):
        await run_script("return emit(KEYS[1], KEYS[2], now_ms(), ARGV[1], '{}')", names, [kind])
        later = Room(room.stream_id, cast(Any, MuteBus()), RoomLog(run_script), Sender())
        await later.open()
        known.append(later.poll_open)
        await later.aclose()
    assert known == [True, False]


async def test_messages_out_of_order_are_put_in_order(room: Room, wire: Wire, teller: Teller) -> None:
    messages = [await teller.say(f"line {n}") for n in range(4)]
    for n in (1, 0, 3, 2, 0, 3):
        room.on_message(messages[n])
    await eventually(lambda: len(offsets(wire)) >= 4, timeout_s=2)
    assert offsets(wire) == [1, 2, 3, 4]


async def test_a_new_subscription_reads_what_may_have_been_missed(room: Room, wire: Wire, teller: Teller) -> None:
    for n in range(3):
        await teller.say(f"line {n}")
    room.on_subscribed()
    await eventually(lambda: offsets(wire) == [1, 2, 3], timeout_s=2)


async def test_an_event_of_another_log_is_not_taken_for_a_repetition(
    room: Room, wire: Wire, teller: Teller, redis: Redis, closed: list[CloseCode]
) -> None:
    first = await teller.say("of the first log")
    room.on_message(first)
    room.on_message(first)
    await eventually(lambda: offsets(wire) == [1])
    assert closed == []
    await redis.delete(keys.room(room.stream_id), keys.log(room.stream_id))
    room.on_message(await teller.say("of the second log"))
    await eventually(lambda: closed == [CloseCode.POSITION_LOST], timeout_s=2)
    assert json.loads(room.ring.newest(1)[0].json)["data"]["text"] == "of the second log"
    assert room.position == 1


async def test_a_log_trimmed_past_us_closes_with_3010(
    room: Room, wire: Wire, teller: Teller, redis: Redis, closed: list[CloseCode]
) -> None:
    for n in range(10):
        await teller.say(f"line {n}")
    await redis.xtrim(keys.log(room.stream_id), maxlen=3, approximate=False)
    room.on_subscribed()
    await eventually(lambda: closed == [CloseCode.POSITION_LOST], timeout_s=2)
    assert room.position == 10
    assert offsets(wire) == []


async def test_reading_again_waits_for_a_log_that_is_away(
    room: Room, wire: Wire, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await teller.say("missed")
    original, failures = room._log.after, 2

    async def flaky(stream_id: str, offset: int, count: int = 10) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ConnectionError("away")
        return await original(stream_id, offset, count)

    monkeypatch.setattr(room._log, "after", flaky)
    room.on_subscribed()
    await eventually(lambda: offsets(wire) == [1])


async def test_who_was_slow_is_told_how_things_stand_and_not_of_hearts_again(room: Room, wire: Wire) -> None:
    def show(slot: str, event_type: str) -> None:
        event = {"slot": slot, "type": event_type, "as_of": 0, "data": {}}
        room.on_message(b"l" + msgspec.json.encode(event))

    show(Reactions(cast(Any, None), lambda _: 0)._slot, "reactions")
    show("stock:d1", "deal.stock")
    await eventually(lambda: sorted(wire.types) == ["deal.stock", "reactions"])
    wire.waiting = WITHHOLD_BYTES + 1
    show("stock:d1", "deal.stock")
    await eventually(lambda: all(member.stale for member in room.tick.joined))
    wire.waiting = 0
    room.tick.refresh()
    assert wire.types[2:] == ["deal.stock"]


def test_a_ring_is_bounded_and_knows_what_it_no_longer_has() -> None:
    ring = Ring(max_events=10, max_bytes=1000)
    for offset in range(1, 26):
        ring.add(Item(b"x" * 20, offset))
    assert [i.offset for i in ring.between(20, 25) or []] == [21, 22, 23, 24, 25]
    assert [i.offset for i in ring.between(15, 18) or []] == [16, 17, 18]
    assert ring.between(14, 25) is None
    assert ring.between(25, 25) == []
    ring.add(Item(b"y" * 900, 26))
    assert len(ring) == 6
    assert [i.offset for i in ring.newest(3)] == [24, 25, 26]
    ring.reset([])
    assert ring.between(3, 4) is None


async def test_reading_the_log_goes_on_after_an_error_nobody_foresaw(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    real = room._log.after

    async def broken_once(stream_id: str, offset: int) -> Page:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("an event that is none")
        return await real(stream_id, offset)

    monkeypatch.setattr(room._log, "after", broken_once)
    room.on_subscribed()
    await eventually(lambda: asked >= 2)


async def test_a_hole_that_nothing_fills_is_not_asked_for_without_end(room: Room) -> None:
    room.on_message(b'n{"offset":%d,"type":"chat.message"}' % (room.position + 2))
    before = room._log.reads
    await asyncio.sleep(0.1)
    assert room._log.reads - before <= 2


async def test_the_sums_of_two_workers_do_not_take_each_others_place(room: Room) -> None:
    """Of a slot only the newest waits for the next tick; each worker's sum has a slot of its own."""

    class Bus:
        async def spublish(self, channel: str, message: bytes) -> None:
            room.on_message(message)

    for kind in ("heart", "wow"):
        reactions = Reactions(Bus(), lambda _: 0)  # type: ignore[arg-type]
        reactions.add(room.stream_id, kind, 1)
        await reactions._tell()
    assert len(room.tick._fresh) == 2
