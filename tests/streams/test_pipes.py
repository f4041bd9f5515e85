"""Pipes between relays: one pull a stream, feedback back, and an origin that dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCSessionDescription

from streams import pipes, rtcp, stun
from streams.codecs import OPUS, VP8, Codec
from streams.errors import StreamEnded
from streams.pipe_ticket import Ticket, next_number, pack_codecs, unpack, unpack_codecs
from streams.relay import Relay
from streams.relay_errors import NotHere
from tests.streams.peers import Events, Publisher, Viewer, until


class Exchange:
    """Tickets as Valkey would carry them: as bytes, from whichever relay is the origin now."""

    def __init__(self) -> None:
        self.origin: Relay | None = None
        self.ended = False
        self.tickets: list[Ticket] = []

    async def pull(self, stream_id: str) -> Ticket | None:
        if self.ended:
            raise StreamEnded("over")
        if self.origin is None:
            return None
        ticket = unpack(self.origin.serve_pipe(stream_id).pack())
        assert ticket is not None
        self.tickets.append(ticket)
        return ticket


class Workers:
    """Some relays that pull from each other."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.events: dict[str, Events] = {}
        self.relays: list[Relay] = []

    async def start(self, name: str, host: str = "127.0.0.1") -> Relay:
        self.events[name] = Events()
        relay = Relay(self.events[name], worker_id=name, bind_host=host, advertise=[host], pipes=self.exchange)
        await relay.start()
        self.relays.append(relay)
        return relay

    async def watch(self, relay: Relay) -> Viewer:
        viewer = Viewer()
        await viewer.pc.setLocalDescription(await viewer.pc.createOffer())
        try:
            session = await relay.view("s1", viewer.pc.localDescription.sdp, pull=True)
        except NotHere:
            await viewer.aclose()
            raise
        await viewer.pc.setRemoteDescription(RTCSessionDescription(session.answer, "answer"))
        return viewer


@pytest.fixture
async def workers(loopback_ice: None) -> AsyncIterator[Workers]:
    workers = Workers()
    yield workers
    for relay in workers.relays:
        await relay.aclose()
        assert relay.failures == 0


async def test_viewers_elsewhere_are_served_by_one_pipe(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "IDLE_S", 1.0)
    origin, other = await workers.start("w1"), await workers.start("w2", "127.0.0.2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    await until("media", lambda: origin.stats("s1").get("packets_received", 0) > 5)
    viewers = await asyncio.gather(*(workers.watch(other) for _ in range(3)))
    for viewer in viewers:
        await until("its picture", lambda viewer=viewer: viewer.frames["video"] > 10)
        await until("its sound", lambda viewer=viewer: viewer.frames["audio"] > 10)
    assert len(workers.exchange.tickets) == 1
    assert (origin.viewers("s1"), origin.stats("s1")["pipes"], other.viewers("s1")) == (0, 1, 3)
    assert other.stats("s1")["pulled"] is True
    # The stream's coming and going is told by its origin alone.
    await until("it is told", lambda: workers.events["w1"].told)
    assert workers.events["w2"].told == []
    for viewer in viewers:
        await viewer.aclose()
    await until("the pipe is closed", lambda: origin.stats("s1")["pipes"] == 0, 30)
    await until("it is forgotten there", lambda: other.stats("s1") == {})
    await host.aclose()


async def test_what_is_lost_in_the_pipe_is_asked_for_and_comes(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the pipe", lambda: other._pipes._pullers["s1"].pipe is not None)
    pipe: Any = other._pipes._pullers["s1"].pipe
    media, lost, count = pipe.transport.media, [], 0
    handler, view = media._handler, pipe.transport.media.buffer.view

    def losing(size: int, address: Any) -> None:
        nonlocal count
        count += 1
        if view[0] >> 6 == 2 and not 192 <= view[1] <= 223 and count % 7 == 0:
            lost.append(count)
            return
        handler(size, address)

    media._handler = losing
    await until("the picture", lambda: viewer.frames["video"] > 60)
    assert len(lost) > 5
    assert other.stats("s1")["packets_recovered"] + other.stats("s1")["nacks_sent"] > 0
    assert origin.stats("s1")["nacks_received"] > 0
    assert origin.stats("s1")["retransmissions_sent"] > 0
    await viewer.aclose()
    await host.aclose()


async def test_a_keyframe_wanted_elsewhere_is_asked_of_the_host(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 3)
    before = origin.stats("s1")["keyframes_asked"]
    other._broadcasts["s1"].want_keyframe()
    await until("the origin is asked", lambda: origin.stats("s1")["keyframes_asked"] > before)
    await viewer.aclose()
    await host.aclose()


async def test_viewers_follow_when_the_origin_dies(workers: Workers) -> None:
    first, second, other = [await workers.start(name) for name in ("w1", "w2", "w3")]
    workers.exchange.origin = first
    host = await Publisher().publish(first, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 10)
    first._transport.media.close()  # as a killed process: no goodbye, and nothing answers any more
    workers.exchange.origin = second
    again = await Publisher().publish(second, "s1")
    before = viewer.frames["video"]
    await until("the picture goes on", lambda: viewer.frames["video"] > before + 20, 30)
    old, new = workers.exchange.tickets[0], workers.exchange.tickets[-1]
    assert len({old.media_key, old.feedback_key, new.media_key, new.feedback_key}) == 4
    await viewer.aclose()
    await again.aclose()
    await host.aclose()


async def test_a_pipe_that_finds_no_socket_is_tried_again(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 3)
    tickets, opening, refusals = workers.exchange.tickets, other._pipes._open, []

    def scarce(*args: Any) -> Any:
        if not refusals:
            refusals.append("no")
            raise OSError(24, "Too many open files")
        return opening(*args)

    puller: Any = other._pipes._pullers["s1"]
    monkeypatch.setattr(puller, "_open", scarce)
    puller.pipe.told(rtcp.Bye((1,)))
    before = viewer.frames["video"]
    await until("the picture goes on", lambda: viewer.frames["video"] > before + 10)
    assert (refusals, len(tickets)) == (["no"], 3)
    await viewer.aclose()
    await host.aclose()


async def test_a_viewer_who_comes_as_the_pipe_is_closed_gets_another(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    for turns in range(4):
        assert await other._pipes.ready("s1")
        closing: Any = other._pipes._pullers["s1"]
        with monkeypatch.context() as patch:
            patch.setattr(pipes, "IDLE_S", 0.0)
            closing._over.set()  # the puller looks up, and nobody watches
            for _ in range(turns):
                await asyncio.sleep(0)
        assert await other._pipes.ready("s1")
        puller: Any = other._pipes._pullers["s1"]
        assert not puller.done
        await asyncio.wait([closing._task], timeout=5)
    assert len(workers.exchange.tickets) > 1
    await host.aclose()


async def test_a_host_that_comes_to_the_puller_takes_over_there(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 10)
    again = await Publisher().publish(other, "s1")
    assert not other._pipes.pulling("s1")
    await until("its own events", lambda: workers.events["w2"].told)
    before = viewer.frames["video"]
    await until("the picture goes on", lambda: viewer.frames["video"] > before + 20)
    await viewer.aclose()
    await again.aclose()
    await host.aclose()


async def test_a_host_that_returns_with_another_codec_is_known_at_the_puller_by_it(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher(codec="VP8").publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 10)
    again = await Publisher(codec="H264").publish(origin, "s1")
    await until("the other codec", lambda: other.stats("s1")["codecs"]["video"] == "H264")
    before = viewer.frames["video"]
    await until("the picture goes on", lambda: viewer.frames["video"] > before + 10)
    await viewer.aclose()
    await again.aclose()
    await host.aclose()


async def test_a_puller_does_not_pass_on_what_it_pulls(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    with pytest.raises(NotHere):
        other.serve_pipe("s1")
    await viewer.aclose()
    await host.aclose()


async def test_the_end_of_the_stream_reaches_those_who_watch_elsewhere(workers: Workers) -> None:
    origin, other = await workers.start("w1"), await workers.start("w2")
    workers.exchange.origin = origin
    host = await Publisher().publish(origin, "s1")
    viewer = await workers.watch(other)
    await until("the picture", lambda: viewer.frames["video"] > 3)
    workers.exchange.ended = True
    await origin.end_stream("s1")
    await until("they are told", lambda: other.viewers("s1") == 0)
    await viewer.aclose()
    await host.aclose()


async def test_without_an_origin_the_viewer_is_sent_elsewhere(workers: Workers) -> None:
    other = await workers.start("w1")
    with pytest.raises(NotHere):
        await workers.watch(other)
    await until("nothing is left", lambda: other.stats("s1") == {} and not other._pipes.pulling("s1"))


def test_a_ticket_survives_its_way_and_garbage_is_none() -> None:
    numbers: dict[Codec, tuple[int, int | None]] = {}
    for codec in (VP8, OPUS, VP8):
        next_number(numbers, codec)
    ticket = Ticket("u", "p", ("127.0.0.1",), 5000, bytes(28), bytes(28), pack_codecs(numbers), (96,))
    assert unpack(ticket.pack()) == ticket
    assert unpack_codecs(ticket.codecs) == {96: VP8, 97: OPUS}
    assert len(ticket.codecs) % 4 == 0
    for damaged in (b"", b"\xff", ticket.pack()[:-1], Ticket("u", "p", (), 1, bytes(28), bytes(28), b"").pack()):
        assert unpack(damaged) is None
    assert unpack(Ticket("u", "p", ("h",), 1, bytes(27), bytes(28), b"").pack()) is None
    assert unpack_codecs(b"[[1]]") == {}


def test_a_pipe_s_check_is_answered_and_a_forged_answer_is_not_believed() -> None:
    request = stun.request("ours", "secret", bytes(range(12)))
    assert stun.local_ufrag(request) == "ours"
    found = stun.authenticate(request, "secret")
    assert found is not None
    assert found.use_candidate
    answer = stun.success(found, ("127.0.0.1", 9), "secret")
    assert stun.is_success(answer, bytes(range(12)), "secret")
    assert not stun.is_success(answer, bytes(12), "secret")
    assert not stun.is_success(answer, bytes(range(12)), "other")
    assert not stun.is_success(request, bytes(range(12)), "secret")
    for size in range(len(answer) - 8):
        assert not stun.is_success(answer[:size], bytes(range(12)), "secret")
