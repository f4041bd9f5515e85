"""Sessions from POST to end: who replaces whom, what PATCH does, what garbage does not."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from typing import Any

import pytest
from aioice import stun as reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.relay import Relay
from streams.relay_errors import BadSdp, Full, PreconditionFailed, PreconditionRequired, SessionNotFound
from tests.streams.conftest import OFFERS
from tests.streams.peers import Events, Publisher, Viewer, until

VIEW = (OFFERS / "view-chromium-156-whip-whep.sdp").read_bytes().decode()
PUBLISH = (OFFERS / "publish-chromium-156-whip-whep-vp8.sdp").read_bytes().decode()
RESTART = "a=ice-ufrag:newer\r\na=ice-pwd:0123456789012345678901\r\n"


def credentials(text: str) -> tuple[str, str]:
    """User fragment and password of an answer."""
    found = [re.search(rf"a=ice-{what}:(\S+)", text) for what in ("ufrag", "pwd")]
    assert found[0] is not None
    assert found[1] is not None
    return found[0][1], found[1][1]


class Prober:
    """A peer that only sends STUN."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    async def check(self, user: str, password: str, *, use: bool = True, seconds: float = 2.0) -> bool:
        """Send one check; whether an authentic response came."""
        message = reference.Message(reference.Method.BINDING, reference.Class.REQUEST)
        message.attributes["USERNAME"] = user
        if use:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(password.encode())
        self.socket.sendto(bytes(message), ("127.0.0.1", self._relay.port))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    response = await loop.sock_recv(self.socket, 2048)
                    if response[0] == 1:  # what else comes is DTLS
                        return reference.parse_message(response).check_message_integrity(password.encode())
        except TimeoutError:
            return False


async def test_another_publisher_takes_over_and_viewers_play_on(relay: Relay, events: Events) -> None:
    first = await Publisher().publish(relay, "s1")
    viewer = await Viewer().view(relay, "s1")
    await until("the first picture", lambda: viewer.frames["video"] > 10)
    second = await Publisher().publish(relay, "s1")
    with pytest.raises(SessionNotFound):
        relay.session_kind(first.session_id)
    await until("the second host's media", lambda: ("started", "s1", second.session_id) in events.told)
    seen = dict(viewer.frames)
    await until("the second host's picture", lambda: viewer.frames["video"] > seen["video"] + 20)
    await until("the second host's sound", lambda: viewer.frames["audio"] > seen["audio"] + 20)
    assert [each[0] for each in events.told] == ["started", "started"]
    for peer in (first, second, viewer):
        await peer.aclose()


async def test_a_viewer_may_come_before_the_host(relay: Relay) -> None:
    viewer = await Viewer().view(relay, "s1")
    host = await Publisher().publish(relay, "s1")
    await until("the picture", lambda: viewer.frames["video"] > 5)
    await host.aclose()
    await viewer.aclose()


async def test_a_host_with_another_codec_is_seen_by_the_same_viewers(relay: Relay) -> None:
    host = await Publisher(codec="VP8").publish(relay, "s1")
    viewer = await Viewer().view(relay, "s1")
    await until("the picture", lambda: viewer.frames["video"] > 5)
    other = await Publisher(codec="H264").publish(relay, "s1")
    await until("the other codec", lambda: relay.stats("s1")["codecs"]["video"] == "H264")
    seen = viewer.frames["video"]
    await until("the picture in H.264", lambda: viewer.frames["video"] > seen + 10)
    for peer in (host, other, viewer):
        await peer.aclose()


async def test_the_end_of_the_publisher_is_told_at_once_and_only_once(relay: Relay, events: Events) -> None:
    host = await Publisher().publish(relay, "s1")
    await until("media", lambda: events.told)
    await relay.end_session(host.session_id)
    await until("the stop", lambda: events.told[-1] == ("stopped", "s1", host.session_id), seconds=1)
    with pytest.raises(SessionNotFound):
        await relay.end_session(host.session_id)
    await host.aclose()
    assert len(events.told) == 2
    assert relay.stats("s1") == {}


async def test_silence_is_told_and_so_is_the_return(
    relay: Relay, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.broadcast.SILENCE_S", 0.4)
    host = await Publisher().publish(relay, "s1")
    await until("media", lambda: events.told)
    peer: Any = relay._sessions[host.session_id]
    arrived = peer.rtp_arrived
    peer.rtp_arrived = lambda size: None
    await until("the stop", lambda: events.told[-1] == ("stopped", "s1", host.session_id))
    peer.rtp_arrived = arrived
    await until("the return", lambda: events.told[-1] == ("started", "s1", host.session_id))
    assert len(events.told) == 3
    await host.aclose()


async def test_sessions_without_consent_are_freed(
    relay: Relay, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.peer.Peer.consent_limit_s", 1.0)
    await relay.view("s1", VIEW)  # never sends a thing
    session = await relay.publish("s1", PUBLISH)
    prober = Prober(relay)
    assert await prober.check(f"{credentials(session.answer)[0]}:r3nX", credentials(session.answer)[1])
    await until("both are gone", lambda: relay.stats("s1") == {})
    transport = relay._transport
    assert (transport.by_ufrag, transport.by_address, relay._sessions, relay._count) == (
        {},
        {},
        {},
        {"publish": 0, "view": 0, "pipe": 0},
    )
    prober.socket.close()


async def test_end_stream_ends_all_of_it_and_nothing_else(relay: Relay) -> None:
    sessions = [await relay.publish("s1", PUBLISH), await relay.view("s1", VIEW), await relay.view("s2", VIEW)]
    assert [relay.session_kind(each.id) for each in sessions] == [("publish", "s1"), ("view", "s1"), ("view", "s2")]
    await relay.end_stream("s1")
    assert (relay.viewers("s1"), relay.viewers("s2")) == (0, 1)


async def test_a_worker_that_is_full_says_so_and_when_to_ask_again(events: Events) -> None:
    relay = Relay(events, worker_id="w1", advertise=["127.0.0.1"], max_publishers=1, max_viewers=1)
    await relay.start()
    try:
        await _fill(relay)
    finally:
        await relay.aclose()
        await relay.aclose()


async def _fill(relay: Relay) -> None:
    first = await relay.view("s1", VIEW)
    await relay.publish("s1", PUBLISH)
    for refused in (relay.view("s1", VIEW), relay.publish("s2", PUBLISH)):
        with pytest.raises(Full) as refusal:
            await refused
        assert refusal.value.retry_after_ms
    await relay.publish("s1", PUBLISH)  # replaces its own
    await relay.end_session(first.id)
    await relay.view("s1", VIEW)


async def test_session_ids_name_their_worker_and_etags_are_strong(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    assert session.id.startswith("w1.")
    assert re.fullmatch(r'"[!#-~]+"', session.etag)


async def test_trickle_is_taken_with_and_without_a_tag_and_refused_with_a_wrong_one(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    for tag in (None, "*", session.etag, f'"x", {session.etag}'):
        for body in ("a=end-of-candidates\r\n", "a=ice-ufrag:Nnxy\r\na=candidate:1 1 udp 1 x.local 9 typ host\r\n"):
            assert await relay.patch(session.id, body, tag) == (204, "", session.etag)
    with pytest.raises(PreconditionFailed):
        await relay.patch(session.id, "a=end-of-candidates\r\n", '"old"')
    with pytest.raises(SessionNotFound):
        await relay.patch("w1.nobody", "a=end-of-candidates\r\n", None)


async def test_an_ice_restart_gives_new_credentials_and_the_old_serve_until_the_first_check(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    prober = Prober(relay)
    with pytest.raises(PreconditionRequired):
        await relay.patch(session.id, RESTART, None)
    with pytest.raises(PreconditionFailed):
        await relay.patch(session.id, RESTART, '"old"')
    answer = await relay.patch(session.id, RESTART, "*")
    assert answer.status == 200
    assert answer.etag != session.etag
    assert "a=candidate:" in answer.body
    old, new = credentials(session.answer), credentials(answer.body)
    assert await prober.check(f"{old[0]}:Nnxy", old[1])
    assert await prober.check(f"{new[0]}:newer", new[1])
    assert not await prober.check(f"{old[0]}:Nnxy", old[1], seconds=0.3)
    with pytest.raises(PreconditionFailed):
        await relay.patch(session.id, RESTART.replace("newer", "newest"), session.etag)
    prober.socket.close()


async def test_a_peer_that_moves_is_followed_once_it_says_so(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    ufrag, password = credentials(session.answer)
    peer = relay._sessions[session.id]
    here, there = Prober(relay), Prober(relay)
    assert await here.check(f"{ufrag}:Nnxy", password)
    assert await there.check(f"{ufrag}:Nnxy", password, use=False)
    assert peer.address == here.socket.getsockname()
    assert await there.check(f"{ufrag}:Nnxy", password)
    assert peer.address == there.socket.getsockname()
    await relay.end_session(session.id)
    assert relay._transport.by_address == {}
    here.socket.close()
    there.socket.close()


async def test_a_peer_cannot_occupy_addresses_without_end(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    ufrag, password = credentials(session.answer)
    probers = [Prober(relay) for _ in range(20)]
    for prober in probers:
        assert await prober.check(f"{ufrag}:Nnxy", password)
        prober.socket.close()
    assert len(relay._transport.by_address) <= 8


async def test_strangers_get_no_answer(relay: Relay) -> None:
    session = await relay.view("s1", VIEW)
    ufrag, password = credentials(session.answer)
    prober = Prober(relay)
    assert not await prober.check(f"{ufrag}:Nnxy", password[:-1] + "x", seconds=0.2)
    assert not await prober.check(f"nobody:{ufrag}", password, seconds=0.2)
    assert relay._transport.strangers == 2
    assert relay._transport.by_address == {}
    prober.socket.close()


async def test_garbage_from_anywhere_neither_breaks_nor_stops_a_live_stream(relay: Relay) -> None:
    """From strangers by the socket, and as if from the addresses of live peers, past the routing."""
    host = await Publisher().publish(relay, "s1")
    viewer = await Viewer().view(relay, "s1")
    await until("the picture", lambda: viewer.frames["video"] > 5)
    seeded = random.Random(7)
    transport = relay._transport
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for turn in range(40):
            for _ in range(50):
                garbage = bytes((seeded.choice((0, 20, 22, 128, 144, 177, 255)),)) + seeded.randbytes(
                    seeded.randrange(200)
                )
                stranger.sendto(garbage, ("127.0.0.1", relay.port))
                if garbage[0] not in (20, 22):  # a forged DTLS alert could end a session, as the RFC has it
                    for address in list(transport.by_address):
                        transport.media.buffer.view[: len(garbage)] = garbage
                        transport._datagram(len(garbage), address)
            if turn % 5 == 0:
                await asyncio.sleep(0)
    seen = viewer.frames["video"]
    await until("the picture goes on", lambda: viewer.frames["video"] > seen + 20)
    assert relay.failures == 0
    assert len(transport.by_address) <= 4
    await host.aclose()
    await viewer.aclose()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300), st.integers(0, len(VIEW)), st.integers(0, len(VIEW)))
async def test_a_bad_description_is_bad_sdp_and_leaves_nothing_behind(
    loopback_ice: None, text: str, start: int, end: int
) -> None:
    relay = Relay(Events(), worker_id="w1", advertise=["127.0.0.1"])
    await relay.start()
    for offer in (text, VIEW[:start] + text + VIEW[end:]):
        for take in (relay.publish, relay.view):
            try:
                session = await take("s1", offer)
            except BadSdp:
                continue
            await relay.end_session(session.id)
    assert relay.stats("s1") == {}
    assert relay._transport.by_ufrag == {}
    await relay.aclose()
