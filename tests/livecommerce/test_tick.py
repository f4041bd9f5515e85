"""A room's tick over real sockets: straight to the kernel, behind what waits, and to nobody who has gone."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvloop

from livecommerce import seats, tick
from livecommerce.frames import JSON, MSGPACK, Batch, Codec, Item
from livecommerce.member import Member
from livecommerce.tick import Tick
from livecommerce.uring import Sender
from tests.livecommerce.rooms import eventually

Make = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=["joined", "one by one"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By io_uring, and as where there is none."""
    monkeypatch.setenv("UV_USE_IO_URING", "0" if request.param == "one by one" else "1")
    sender = Sender()
    joins = sender.joins
    sender.close()
    if request.param == "joined" and not joins:
        pytest.skip("no io_uring here")
    assert joins == (request.param == "joined")


#: events of the long test
OFFSETS = 120
LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Seat(asyncio.Protocol):
    """The server's end of a viewer's connection."""

    def __init__(self, made: list[asyncio.Transport]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.append(cast(asyncio.Transport, transport))


class Stage:
    """A tick, and viewers on connections of their own."""

    def __init__(self) -> None:
        self.sender = Sender()
        self.tick = Tick(self.sender)
        self.transports: list[asyncio.Transport] = []
        self._theirs: list[socket.socket] = []
        self.offset = 0

    async def __aenter__(self) -> Stage:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Seat(self.transports), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for there in self._theirs:
            there.close()
        for transport in self.transports:
            transport.abort()
        await asyncio.sleep(0)
        self.sender.close()

    async def connect(self) -> tuple[socket.socket, asyncio.Transport]:
        before = len(self.transports)
        there = socket.create_connection(self._server.sockets[0].getsockname())
        self._theirs.append(there)
        there.setblocking(False)
        await eventually(lambda: len(self.transports) > before)
        return there, self.transports[-1]

    async def viewer(self, codec: Codec = JSON) -> tuple[socket.socket, Member]:
        there, transport = await self.connect()
        return there, self.admit(transport, codec)

    def admit(self, transport: asyncio.Transport, codec: Codec = JSON) -> Member:
        member = Member(
            transport, codec, user_id="ann", roles=(), expires_s=2e9, shut=lambda _: transport.abort(), now_s=0
        )
        self.tick.join(member)
        member.admitted(self.offset)
        return member

    async def say(self, size: int = 0) -> Item:
        self.offset += 1
        item = Item(json.dumps({"offset": self.offset, "text": "x" * size}).encode(), self.offset)
        await self.tick.deliver(Batch([item], ()), ())
        return item


class Guest:
    """One of the crowd, and the event before its first."""

    def __init__(self, there: socket.socket, member: Member, since: int) -> None:
        self.there, self.member, self._since = there, member, since
        self.asleep = False
        self.got = bytearray()

    @property
    def here(self) -> bool:
        return self.member.outbox.open

    def whole(self) -> bool:
        """Whether all came that had to; what comes is in order, and comes once."""
        while read(self.there, self.got):
            pass
        offsets = [said["offset"] for said in messages(bytes(self.got)) if "offset" in said]
        assert offsets == list(range(self._since + 1, self._since + 1 + len(offsets)))
        return not self.here or self._since + len(offsets) == OFFSETS


def read(there: socket.socket, into: bytearray, most: int = 1 << 20) -> bool:
    try:
        into += there.recv(most)
    except BlockingIOError:
        return False
    return True


def messages(stream: bytes) -> list[Any]:
    """What whole text frames at the head of these bytes say."""
    said: list[Any] = []
    while stream:
        size, start = stream[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(stream[2:start], "big")
        if len(stream) < start + size:
            break
        body = json.loads(stream[start : start + size])
        said += body if isinstance(body, list) else [body]
        stream = stream[start + size :]
    return said


@LOOPS
def test_a_viewer_who_reads_slowly_for_a_while_gets_every_event_in_order(make_loop: Make) -> None:
    async def run() -> None:
        async with Stage() as stage:
            there, member = await stage.viewer()
            got = bytearray()
            ways: list[bool] = []
            # First a reader that sleeps: the kernel takes frames whole, then one in part, then none.
            while ways[-3:] != [False] * 3:
                await stage.say(60_000)
                ways.append(member.outbox.row is not None)
                assert len(ways) < 200
            # Then one who is awake: each time there is room again, and what waits in the transport has not moved yet.
            while ways[-3:] != [True] * 3:
                while read(there, got):
                    pass
                await stage.say()
                ways.append(member.outbox.row is not None)
                await eventually(lambda: not (read(there, got) or member.outbox.transport.get_write_buffer_size()))
            await eventually(lambda: read(there, got) or len(messages(bytes(got))) == len(ways))
            assert [m["offset"] for m in messages(bytes(got))] == list(range(1, len(ways) + 1))

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


async def test_a_reply_that_was_posted_stays_before_what_a_tick_says() -> None:
    async with Stage() as stage:
        there, member = await stage.viewer()
        await stage.say()
        assert member.outbox.row is not None
        member.reply(b'{"re":1}')
        await stage.say()
        got = bytearray()
        assert read(there, got)
        assert [m.get("re", m.get("offset")) for m in messages(bytes(got))] == [1, 1, 2]


@LOOPS
def test_who_takes_over_the_socket_of_one_who_has_left_hears_nothing(make_loop: Make) -> None:
    """A viewer is gone, the room does not know it yet, and the next connection has the same descriptor."""

    async def run() -> None:
        async with Stage() as stage:
            gone, member = await stage.viewer()
            await stage.say()
            assert member.outbox.row is not None
            gone.close()
            await eventually(member.outbox.transport.is_closing)
            newcomers = [await stage.connect() for _ in range(8)]
            here = [t.get_extra_info("socket").fileno() for _, t in newcomers]
            assert member.outbox.fd in here, "the kernel gives the lowest number that is free"
            await stage.say()
            heard = bytearray()
            assert not any(read(there, heard) for there, _ in newcomers)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


async def test_each_codec_has_its_own_frame_whoever_stands_between() -> None:
    async with Stage() as stage:
        viewers = [await stage.viewer(codec) for codec in (JSON, MSGPACK, JSON, MSGPACK)]
        for _ in range(3):
            item = await stage.say()
            for there, member in viewers:
                got = bytearray()
                assert read(there, got)
                assert bytes(got) == member.codec.frame([member.codec.body(item)])
        assert all(member.outbox.row is not None for _, member in viewers)


async def test_who_joins_amid_a_tick_is_not_told_what_waits_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The join tells all that the room has, and what came amid a tick is in the next one's frame."""
    monkeypatch.setattr(seats, "WIDTH", 1)
    monkeypatch.setattr(tick, "WIDTH", 1)
    async with Stage() as stage:
        for _ in range(3):
            await stage.viewer()
        there, transport = await stage.connect()
        await stage.say()
        under_way = asyncio.create_task(stage.tick.deliver(Batch((), [Item(b'{"type":"viewers"}')]), ()))
        await asyncio.sleep(0)
        assert not under_way.done()
        stage.offset += 1
        waits = Item(json.dumps({"offset": stage.offset}).encode(), stage.offset)
        stage.admit(transport)
        await under_way
        await stage.tick.deliver(Batch([waits], ()), ())
        await stage.say()
        got = bytearray()
        assert read(there, got)
        assert [said["offset"] for said in messages(bytes(got))] == [stage.offset]


@LOOPS
@pytest.mark.parametrize("seed", range(2))
def test_whoever_comes_goes_stalls_and_talks_amid_a_tick_gets_every_event_once(
    make_loop: Make, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of three, so that a tick has many pauses, and in each of them something happens to somebody."""
    monkeypatch.setattr(seats, "WIDTH", 3)
    monkeypatch.setattr(tick, "WIDTH", 3)
    chance = random.Random(seed)

    async def run() -> None:
        async with Stage() as stage:
            crowd: list[Guest] = []
            spare = [await stage.connect() for _ in range(40)]

            def come() -> None:
                there, transport = spare.pop()
                crowd.append(Guest(there, stage.admit(transport), stage.offset))

            def something() -> None:
                guest = chance.choice(crowd)
                what = chance.random()
                if what < 0.03 and spare:
                    come()
                elif what < 0.05 and guest.here:
                    guest.member.leave()
                elif what < 0.4 and guest.here:
                    guest.member.reply(b'{"re":1}')
                elif what < 0.6:
                    guest.asleep = not guest.asleep
                for each in crowd:
                    if not each.asleep:
                        read(each.there, each.got)

            async def life() -> None:
                while True:
                    something()
                    await asyncio.sleep(0)

            for _ in range(10):
                come()
            living = asyncio.create_task(life())
            for _ in range(OFFSETS):
                await stage.say(20_000 if chance.random() < 0.3 else 10)
                stage.tick.refresh()
                assert sum(len(row) for row in stage.tick._rows) + len(stage.tick._loose) == len(stage.tick.joined)
            living.cancel()
            for guest in crowd:
                await eventually(guest.whole)
            assert sum(guest.here for guest in crowd) > 5

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())
