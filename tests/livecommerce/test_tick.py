"""A room's tick over real sockets: straight to the kernel, behind what waits, and to nobody who has gone."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvloop

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
        self._offset = 0

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
        member = Member(
            transport, codec, user_id="ann", roles=(), expires_s=2e9, shut=lambda _: transport.abort(), now_s=0
        )
        self.tick.joined[member] = None
        member.admitted(0)
        return there, member

    async def say(self, size: int = 0) -> Item:
        self._offset += 1
        item = Item(json.dumps({"offset": self._offset, "text": "x" * size}).encode(), self._offset)
        await self.tick.deliver(Batch([item], ()), ())
        return item


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
                ways.append(member.outbox.direct)
                assert len(ways) < 200
            # Then one who is awake: each time there is room again, and what waits in the transport has not moved yet.
            while ways[-3:] != [True] * 3:
                while read(there, got):
                    pass
                await stage.say()
                ways.append(member.outbox.direct)
                await eventually(lambda: not (read(there, got) or member.outbox.transport.get_write_buffer_size()))
            await eventually(lambda: read(there, got) or len(messages(bytes(got))) == len(ways))
            assert [m["offset"] for m in messages(bytes(got))] == list(range(1, len(ways) + 1))

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


async def test_a_reply_that_was_posted_stays_before_what_a_tick_says() -> None:
    async with Stage() as stage:
        there, member = await stage.viewer()
        await stage.say()
        assert member.outbox.direct
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
            assert member.outbox.direct
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
        assert all(member.outbox.direct for _, member in viewers)
