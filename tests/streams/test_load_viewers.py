"""The relay's load client at a tiny size: it sees what is sent, and it sees what is wrong."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack

from load_tests.relay_floor import measure_floor
from load_tests.viewers_check import MediaCheck, percentile
from load_tests.viewers_host import Rate, SyntheticHost, split_frame
from load_tests.viewers_peers import Crowd
from load_tests.whep_peer import PeerFailed, Shared, WebRtcPeer, candidates
from streams import rtp
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.peers import until
from tests.streams.test_loss import losing

RATE = Rate(frames_per_s=25, frame_bytes=3300, packet_bytes=1100, audio=True)


def header(sequence: int, *, marker: bool) -> rtp.Header:
    return rtp.Header(marker, 96, sequence & 0xFFFF, 0, 1, (0, 0, 0), 12, 100)


def test_loss_doubles_and_torn_frames_are_seen_across_the_wrap() -> None:
    check = MediaCheck()
    for sequence in (0xFFFE, 0xFFFF, 0x10000, 0x10001, 0x10003, 0x10003, 0x10004, 0x10006, 0x10005):
        check.received(header(sequence, marker=sequence in (0xFFFF, 0x10001, 0x10004)), keyframe=True, now_s=5.0)
    assert (check.packets, check.lost, check.duplicates) == (8, 1, 1)
    assert (check.frames, check.frames_incomplete) == (2, 1)
    assert check.first_frame_s == 5.0
    check.restart()
    check.received(header(0x10007, marker=True), keyframe=False, now_s=6.0)
    assert (check.packets, check.lost) == (1, 0)


def test_percentiles() -> None:
    assert percentile([5, 1, 3], 0.5) == 3
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([], 0.5) != percentile([], 0.5)


def test_frames_are_split_as_chromium_does() -> None:
    assert split_frame(2301, None) == [767, 767, 767]
    assert split_frame(2300, None) == [1150, 1150]
    assert split_frame(8800, 1100) == [1088] * 8


def test_only_ipv4_udp_candidates_are_tried() -> None:
    line = "a=candidate:1 1 {} 1 {} 5000 typ host\r\n"
    sdp = line.format("udp", "127.0.0.1") + line.format("tcp", "127.0.0.1") + line.format("UDP", "::1")
    assert candidates(sdp) == [("127.0.0.1", 5000)]


async def test_viewers_connect_and_receive_whole_frames(relay: Relay) -> None:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        crowd = Crowd(4)
        await crowd.join(http, f"{url}whep/s1", [], 100.0, (0.0, 1.0))
        await until("a picture at each", lambda: len(crowd.result()["first_frame_ms"]) == 4)
        crowd.restart()
        await until("frames", lambda: crowd.result()["frames"] > 40)
        result = crowd.result()
        assert (result["connected"], result["playing"]) == (4, 4)
        assert (result["lost"], result["duplicates"], result["unauthentic"]) == (0, 0, 0)
        assert result["frames_incomplete"] == 0
        assert 0 < result["delay_p50_ms"] < 1000
        await until("sound", lambda: all(viewer.audio_packets > 5 for viewer in crowd.viewers))
        stats = relay.stats("s1")
        assert stats["packets_received"] <= host.packets
        assert stats["packets_sent"] >= result["packets"]
        await crowd.aclose()
        for peer in relay._sessions.values():
            if peer.kind == "view":
                peer.consent_limit_s = 0.5  # nobody waits here for what takes 15 s
        await until("they have left", lambda: relay.viewers("s1") == 0)
        await host.aclose(http, "")


async def test_what_is_lost_from_the_host_is_sent_again_as_a_browser_would(relay: Relay) -> None:
    """Else no viewer could have it repaired: a soak lost 32 of 1,455,088 packets for good that way."""
    media, lost = relay._transport.media, list[int]()
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        crowd = Crowd(2)
        await crowd.join(http, f"{url}whep/s1", [], 100.0, (0.0, 1.0))
        await until("a picture at each", lambda: len(crowd.result()["first_frame_ms"]) == 2)
        crowd.restart()
        media._handler = losing(media._handler, relay, 11, lost)
        await until("losses", lambda: len(lost) > 20)
        media._handler = relay._transport._datagram
        await until("repairs", lambda: crowd.result()["lost"] == 0)
        stats = relay.stats("s1")
        assert host.resent >= stats["packets_recovered"] > 10
        await crowd.aclose()
        await host.aclose(http, "")


async def test_what_a_full_socket_dropped_is_told_apart(relay: Relay) -> None:
    media = relay._transport.media
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        await until("media", lambda: relay.stats("s1").get("packets_received", 0) > 0)
        assert media.sock is not None
        assert relay.stats("s1")["datagrams_overflowed"] == relay.stats("s1")["datagrams_unsent"] == 0
        media.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(50):
            host.peer.sock.sendto(bytes([200]) + bytes(1000), ("127.0.0.1", relay.port))
        assert relay.stats("s1")["datagrams_overflowed"] > 30
        assert not media.send(bytes(70_000), ("127.0.0.1", 9))
        assert relay.stats("s1")["datagrams_unsent"] == 1
        await host.aclose(http, "")


async def test_a_forged_packet_is_seen(relay: Relay) -> None:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host = SyntheticHost(Shared(), RATE)
        await host.start(http, f"{url}whip/s1", "")
        crowd = Crowd(1)
        await crowd.join(http, f"{url}whep/s1", [], 100.0, (0.0, 1.0))
        await until("media", lambda: crowd.result()["frames"] > 0)
        address = crowd.viewers[0].peer.sock.getsockname()
        assert relay._transport.media.sock is not None
        relay._transport.media.sock.sendto(b"\x80\x60" + bytes(60), ("127.0.0.1", address[1]))
        await until("it is counted", lambda: crowd.result()["unauthentic"] == 1)
        await crowd.aclose()
        await host.aclose(http, "")


async def test_a_server_by_other_hands_is_watched_too(loopback_ice: None) -> None:
    """aiortc's: it is no ICE-lite, checks us, and has an SSRC, packets and extensions of its own."""
    sessions: list[RTCPeerConnection] = []

    async def whep(request: web.Request) -> web.Response:
        connection = RTCPeerConnection()
        sessions.append(connection)
        connection.addTrack(VideoStreamTrack())
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        assert "ice-lite" not in connection.localDescription.sdp
        return web.Response(status=201, text=connection.localDescription.sdp, headers={"Location": "/session"})

    app = web.Application()
    app.add_routes([web.post("/whep", whep)])
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        crowd = Crowd(2)
        await crowd.join(http, str(server.make_url("/whep")), [], 100.0, (0.0, 1.0))
        await until("frames", lambda: crowd.result()["frames"] > 30)
        result = crowd.result()
        assert (result["connected"], result["playing"], result["failures"]) == (2, 2, [])
        assert (result["lost"], result["frames_incomplete"], result["unauthentic"]) == (0, 0, 0)
        await crowd.aclose()
        for connection in sessions:
            await connection.close()


async def test_a_refusal_is_told_in_words(relay: Relay) -> None:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        peer = WebRtcPeer(Shared(), "recvonly")
        with pytest.raises(PeerFailed, match="answered 404"):
            await peer.connect(http, f"{url}nowhere", "")
        peer.close()


async def test_the_floor_is_measured() -> None:
    loop = asyncio.get_running_loop()
    result: Any = await loop.run_in_executor(None, measure_floor, 3, [1100] * 4, 20.0, 0.5)
    assert 0 < result[0] < 1000
    assert result[1] == 1.0
