"""Hostile datagrams on a live stream: no exception, no session lost, no stutter."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time

import aiohttp
import pytest

from load_tests.viewers_host import Rate, SyntheticHost
from load_tests.viewers_peers import Crowd
from load_tests.whep_peer import Shared
from streams import rtcp, stun
from streams import viewer as viewers
from streams.peer import MAX_SSRCS
from streams.publisher import MAX_SOURCES
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.peers import until

RATE = Rate(frames_per_s=25, frame_bytes=3300, packet_bytes=1100)
BATCH = 50
#: of those that cost the relay more, so few that it reads all: what a full socket drops are also others' checks
KEYED_BATCH = 8


def seeds(ufrag: str) -> list[bytes]:
    """Well-formed datagrams to begin from."""
    head = b"\x80\x60\x00\x01" + bytes(8)
    return [
        stun.request(ufrag, "wrong password", bytes(12)),
        b"\x01\x01\x00\x08\x21\x12\xa4\x42" + bytes(20),
        b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40\x01" + bytes(63),  # ClientHello's beginning
        b"\x15\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x1a" + bytes(26),  # an encrypted alert
        b"\x15\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x01\x00",  # close_notify in clear
        head + bytes(1100),
        b"\x90\x60\x00\x02" + bytes(8) + b"\xbe\xde\x00\x01\x10\xff\x00\x00" + bytes(40),
        rtcp.build_nack(1, 2, range(300)) + bytes(14),
        rtcp.build_pli(1, 2) + bytes(14),
        rtcp.build_bye(1) + bytes(14),
    ]


def mutated(chance: random.Random, seed: bytes) -> bytes:
    """Some bytes changed, the end cut or something added."""
    data = bytearray(seed)
    for _ in range(chance.choice((0, 1, 2, 8))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    cut = chance.choice((len(data), len(data), chance.randrange(len(data) + 1)))
    return bytes(data[:cut]) + chance.randbytes(chance.choice((0, 0, 0, 4, 30)))


@pytest.mark.parametrize(
    "count", [50_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
async def test_hostile_datagrams_change_nothing(relay: Relay, count: int) -> None:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        crowd = Crowd(2)
        await crowd.join(http, f"{url}whep/s1", [], 100.0, (0.0, 1.0))
        await until("a picture at each", lambda: len(crowd.result()["first_frame_ms"]) == 2)
        target, chance = ("127.0.0.1", relay.port), random.Random(7)
        # Strangers, and the very addresses of peers: those pass the look-up and reach DTLS and SRTP.
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.setblocking(False)
        sockets = [stranger, host.peer.sock, *(viewer.peer.sock for viewer in crowd.viewers)]
        start = seeds(crowd.viewers[0].peer._remote[0])
        crowd.restart()
        for number in range(count):
            data = mutated(chance, chance.choice(start)) if number % 10 else chance.randbytes(chance.randrange(1, 200))
            if data:
                chance.choice(sockets).sendto(data, target)
            if number % BATCH == 0:
                await asyncio.sleep(0)  # peers and relay share this loop: each gets its turn
        seen = crowd.result()["frames"]
        await until("frames afterwards", lambda: crowd.result()["frames"] > seen + 20)
        result = crowd.result()
        assert (result["lost"], result["frames_incomplete"], result["unauthentic"]) == (0, 0, 0)
        assert (relay.failures, relay.viewers("s1"), relay.stats("s1")["publisher"] is None) == (0, 2, False)
        assert len(relay._sessions) == 3
        assert relay._transport.strangers > count // 10
        stranger.close()
        await crowd.aclose()
        await host.aclose(http, "")


def media(ssrc: int, number: int, chance: random.Random) -> bytes:
    """RTP as a host may send it, that is: anything after a header; numbers jump as far as SRTP still follows."""
    kind = chance.choice((96, 96, 97, 111, chance.randrange(128)))
    head = bytes((chance.choice((0x80, 0x90, 0xA0, 0xBF)), kind | chance.choice((0, 128))))
    number, moment = number + chance.choice((0, 0, 0, 1, -1, 90, 1000)) & 0xFFFF, chance.randrange(1 << 32)
    whose = chance.choice((ssrc, ssrc, ssrc + 1, chance.randrange(1 << 32)))
    return head + struct.pack("!HII", number, moment, whose) + chance.randbytes(chance.randrange(60))


def control(ssrc: int, chance: random.Random) -> bytes:
    """RTCP as anybody with keys may send it."""
    block = rtcp.ReportBlock(ssrc, chance.randrange(256), *(chance.randrange(1 << 24) for _ in range(5)))
    whole = chance.choice(
        (
            rtcp.build_nack(1, ssrc, [chance.randrange(1 << 16) for _ in range(chance.randrange(1, 20))]),
            rtcp.build_pli(1, ssrc),
            rtcp.build_receiver_report(1, [block] * chance.randrange(4)),
            rtcp.build_sender_report(ssrc, chance.randrange(1 << 64), chance.randrange(1 << 32), 0, 0),
            rtcp.build_remb(1, chance.randrange(1 << 40), [ssrc]),
            b"\x8f\xcd" + struct.pack("!H", 3) + chance.randbytes(12),
        )
    )
    return mutated(chance, whole)


@pytest.mark.parametrize("count", [4_000, pytest.param(50_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_peers_with_keys_that_send_nonsense_harm_nobody_else(
    relay: Relay, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes decryption reaches every parser: a hostile host on another stream, a hostile viewer on this one."""
    for limit in ("RTCP_PER_S", "RTCP_BURST", "NACKED_PER_S", "NACKED_BURST", "KEYFRAMES_PER_S", "KEYFRAME_BURST"):
        monkeypatch.setattr(viewers, limit, 1e9)  # else little would get that far
    async with front(relay) as url, aiohttp.ClientSession() as http:
        began_s = time.monotonic()
        host, hostile = SyntheticHost(Shared(), RATE), SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        await hostile.start(http, f"{url}whip/s2", "")
        crowd, beside, victims = Crowd(2), Crowd(1), Crowd(1)
        for each, stream in ((crowd, "s1"), (beside, "s1"), (victims, "s2")):
            await each.join(http, f"{url}whep/{stream}", [], 100.0, (0.0, 1.0))
        await until("a picture at each", lambda: len(crowd.result()["first_frame_ms"]) == 2)
        chance, viewer = random.Random(11), beside.viewers[0]
        outgoing = [track.ssrc for track in relay._broadcasts["s1"].tracks.values()]
        crowd.restart()
        for number in range(count):
            if number % 2:
                hostile.peer.send_rtp(media(hostile.peer.ssrcs[1], 2000 + number, chance))
                hostile.peer.send_rtcp(control(hostile.peer.ssrcs[chance.randrange(2)], chance))
            else:
                viewer.peer.send_rtcp(control(chance.choice(outgoing), chance))
            if number % KEYED_BATCH == 0:
                await asyncio.sleep(0)
        seen = crowd.result()["frames"]
        await until("frames afterwards", lambda: crowd.result()["frames"] > seen + 20)
        result = crowd.result()
        assert (result["lost"], result["frames_incomplete"], result["unauthentic"]) == (0, 0, 0)
        assert relay.failures == 0
        publisher = relay._broadcasts["s2"].publisher
        assert publisher is not None
        assert len(publisher._sources) <= MAX_SOURCES
        # libsrtp keeps a context for every SSRC that it ever decrypted.
        assert max(len(peer._ssrcs) for peer in relay._sessions.values()) == MAX_SSRCS
        # It did get in: what the kernel had no room for is far less.
        assert relay.stats("s2")["packets_received"] + relay.stats("s2")["packets_refused"] > count // 8
        # Every second message is the viewer's; of these a sixth are PLIs, of which a quarter stay unchanged and two
        # thirds whole. (Changed ones count until the viewer has used up its SSRCs, so a short run counts more.)
        assert relay.stats("s1")["keyframes_asked"] > count // 72
        # Yet the host is asked once a second at most.
        assert relay.stats("s1")["keyframe_requests_sent"] < time.monotonic() - began_s + 3
        for each in (crowd, beside, victims):
            await each.aclose()
        for one in (host, hostile):
            await one.aclose(http, "")
