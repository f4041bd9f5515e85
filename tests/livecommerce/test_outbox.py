"""The slow-viewer policy, with a transport whose buffer the test fills."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import uvloop

from livecommerce.close_codes import CloseCode, documentation
from livecommerce.frames import JSON, Batch, Item
from livecommerce.member import HELD_MAX, Member
from livecommerce.outbox import CLOSE_BYTES, KERNEL_BYTES, WITHHOLD_BYTES, Outbox
from tests.livecommerce.rooms import eventually


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.frames.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    @property
    def types(self) -> list[str]:
        """Types of all events written (frames here are short: two bytes of header, or four)."""
        found: list[str] = []
        for frame in self.frames:
            event = json.loads(frame[2:] if frame[1] < 126 else frame[4:])
            found += [e["type"] for e in (event if isinstance(event, list) else [event])]
        return found


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def closed() -> list[CloseCode]:
    return []


@pytest.fixture
def member(wire: Wire, closed: list[CloseCode]) -> Member:
    made = Member(wire, JSON, user_id="ann", roles=(), expires_s=2e9, shut=closed.append, now_s=0)
    made.held = None
    return made


NUMBERED = [Item(b'{"offset":7,"type":"chat.message"}', 7)]
LATEST = [Item(b'{"type":"viewers","as_of":7}')]


def test_a_viewer_that_keeps_up_gets_everything(wire: Wire, member: Member) -> None:
    wire.waiting = WITHHOLD_BYTES
    assert member.deliver(Batch(NUMBERED, LATEST), LATEST) == 2
    assert wire.types == ["chat.message", "viewers"]


def test_a_slow_viewer_gets_numbered_events_only_and_the_newest_values_later(wire: Wire, member: Member) -> None:
    wire.waiting = WITHHOLD_BYTES + 1
    member.deliver(Batch(NUMBERED, LATEST), LATEST)
    member.deliver(Batch((), LATEST), LATEST)
    assert wire.types == ["chat.message"]
    wire.waiting = 0
    newest = [Item(b'{"type":"deal.stock","as_of":9}')]
    member.deliver(Batch((), ()), newest)
    member.deliver(Batch((), ()), newest)
    assert wire.types == ["chat.message", "deal.stock"]


def test_a_viewer_far_behind_is_closed_and_nothing_follows(wire: Wire, member: Member, closed: list[CloseCode]) -> None:
    wire.waiting = CLOSE_BYTES + 1
    member.deliver(Batch(NUMBERED, ()), ())
    member.deliver(Batch(NUMBERED, ()), ())
    assert not member.send(b"{}")
    member.close(CloseCode.BANNED)
    assert closed == [CloseCode.SLOW_CONSUMER]
    assert wire.frames == []


def test_a_viewer_is_closed_by_the_event_that_does_not_fit_not_by_the_next_one(
    wire: Wire, member: Member, closed: list[CloseCode]
) -> None:
    wire.waiting = CLOSE_BYTES - 100
    member.deliver(Batch(NUMBERED, ()), ())
    assert (len(wire.frames), closed) == (1, [])
    member.deliver(Batch([Item(b'{"offset":8,"type":"%s"}' % (b"x" * 100), 8)], ()), ())
    assert (len(wire.frames), closed) == (1, [CloseCode.SLOW_CONSUMER])


def test_a_connection_that_is_gone_is_not_written_to(wire: Wire, member: Member) -> None:
    wire.closing = True
    assert member.deliver(Batch(NUMBERED, LATEST), LATEST) == 0
    assert not member.send(b"{}")
    assert wire.frames == []


def test_private_events_wait_for_the_join_within_bounds(wire: Wire, member: Member, closed: list[CloseCode]) -> None:
    member.held = []
    for _ in range(HELD_MAX):
        member.tell(LATEST[0])
    assert (wire.frames, closed) == ([], [])
    member.tell(LATEST[0])
    assert closed == [CloseCode.POSITION_LOST]


async def test_a_sender_waits_until_there_is_room_again(wire: Wire, member: Member) -> None:
    wire.waiting = WITHHOLD_BYTES + 1
    waiting = asyncio.create_task(member.outbox.drained(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    wire.waiting = 0
    assert await waiting
    wire.waiting = WITHHOLD_BYTES + 1
    assert not await member.outbox.drained(0.02)


def test_the_close_codes_say_who_should_come_back() -> None:
    assert all(code.come_back == (3000 <= code < 3500) for code in CloseCode)
    assert all(f"| {code.value} |" in documentation() for code in CloseCode)
    described = Path("docs/rooms.md").read_text("utf-8")
    assert documentation() in described, "docs/rooms.md has the table as it is in close_codes.py"
    assert all(len(code.reason.encode()) <= 123 for code in CloseCode), "RFC 6455 §5.5: a close frame's bound"


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_goes_past_the_transport_and_what_goes_through_it_keep_their_order(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A reader that is slow at first: frames are taken whole, in part, and not at all."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        sockets: list[asyncio.Transport] = []

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sockets.append(cast(asyncio.Transport, transport))

        server = await loop.create_server(Server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=2**16)
        await eventually(lambda: bool(sockets))
        slow: list[bool] = []
        outbox = Outbox(sockets[0], lambda: slow.append(True))
        assert outbox.fd >= 0
        kernel = sockets[0].get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert kernel <= 2 * KERNEL_BYTES
        sent = bytearray()
        for number in range(3000):
            frame = b"%06d" % number * (1 + number % 4000)
            if number % 7 == 0:
                sockets[0].write(frame)  # as aiohttp does
                sent += frame
            elif outbox.write(frame):
                sent += frame
            if number % 100 == 0:
                await asyncio.sleep(0)
        assert slow, "the reader was slow enough for every path"
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        server.close()
        sockets[0].abort()
        assert not outbox.write(b"after the end")
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


async def test_what_is_posted_leaves_together_and_before_what_is_written_later(wire: Wire, member: Member) -> None:
    member.reply(b'{"type":"one"}')
    member.reply(b'{"type":"two"}')
    assert wire.frames == []
    await asyncio.sleep(0)
    assert wire.frames == [JSON.frame([b'{"type":"one"}']) + JSON.frame([b'{"type":"two"}'])]
    for by_tick in (False, True):
        wire.frames.clear()
        member.reply(b'{"type":"reply"}')
        if by_tick:
            member.deliver(Batch(NUMBERED, ()), ())
        else:
            member.send(b'{"type":"later"}')
        assert wire.frames[0].startswith(JSON.frame([b'{"type":"reply"}']))
        await asyncio.sleep(0)
        assert len(wire.frames) == 1


async def test_what_was_posted_still_leaves_when_the_viewer_is_closed(wire: Wire, member: Member) -> None:
    member.reply(b'{"type":"last"}')
    member.close(CloseCode.BANNED)
    assert wire.types == ["last"]
    member.reply(b'{"type":"too late"}')
    await asyncio.sleep(0)
    assert wire.types == ["last"]


async def test_who_posts_to_a_viewer_far_behind_closes_it(wire: Wire, member: Member, closed: list[CloseCode]) -> None:
    wire.waiting = CLOSE_BYTES + 1
    member.reply(b"{}")
    await asyncio.sleep(0)
    assert (closed, wire.frames) == ([CloseCode.SLOW_CONSUMER], [])
