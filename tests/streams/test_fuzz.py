"""Hostile datagrams on a live stream: no exception, no session lost, no stutter."""

from __future__ import annotations

import asyncio
import random
import socket

import aiohttp
import pytest

from load_tests.viewers_peers import Crowd, Rate, SyntheticHost
from load_tests.whep_peer import Shared
from streams import rtcp, stun
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.peers import until

RATE = Rate(frames_per_s=25, frame_bytes=3300, packet_bytes=1100)
BATCH = 50


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
