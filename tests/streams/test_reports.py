"""What host and viewer hear: estimates, reports, transport feedback; and which header extensions go on."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from load_tests.viewers_host import Rate, SyntheticHost
from load_tests.whep_peer import VP8, Shared, WebRtcPeer
from streams import rtcp, rtp
from streams.ingest import MAX_GAP
from streams.publisher import REMB_BITS_PER_SECOND
from streams.relay import Relay
from streams.rtp import FIXED
from streams.sdp import TRANSPORT_CC
from tests.streams.front import front
from tests.streams.peers import until

TRANSPORT_ID, ORIENTATION_ID = 3, 13


class Listener(WebRtcPeer):
    """Keeps all that it hears."""

    def __init__(self, direction: str, extra: str = "") -> None:
        super().__init__(Shared(), direction)
        self._extra = extra
        self.control: list[bytes] = []
        self.media: list[bytes] = []
        self.on_rtcp = lambda size: self.control.append(bytes(self.shared.receive.view[:size]))
        self.on_rtp = self._heard

    def _heard(self, size: int) -> bool:
        self.media.append(bytes(self.shared.receive.view[:size]))
        return False

    def offer(self) -> str:
        return super().offer() + self._extra

    def heard(self, kind: type[Any]) -> list[Any]:
        return [message for data in self.control for message in rtcp.parse(data) if isinstance(message, kind)]


@asynccontextmanager
async def watching(relay: Relay) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        yield http, url


async def test_a_host_without_transport_feedback_is_told_an_estimate_and_both_ends_get_reports(relay: Relay) -> None:
    async with watching(relay) as (http, url):
        host, viewer = SyntheticHost(Shared(), Rate(50, 2000, audio=True)), Listener("recvonly")
        told: list[rtcp.Message] = []
        host.peer.on_rtcp = lambda size: told.extend(rtcp.parse(bytes(host.peer.shared.receive.view[:size])))
        await host.start(http, f"{url}whip/s1", "")
        await viewer.connect(http, f"{url}whep/s1", "")
        await until("an estimate", lambda: any(isinstance(each, rtcp.Estimate) for each in told))
        (bits,) = {each.bits_per_s for each in told if isinstance(each, rtcp.Estimate)}
        assert 0.99 * REMB_BITS_PER_SECOND < bits <= REMB_BITS_PER_SECOND
        blocks = [each for each in told if isinstance(each, rtcp.ReportBlock)]
        assert {each.ssrc for each in blocks} == set(host.peer.ssrcs)
        assert {each.lost for each in blocks} == {0}
        tracks = relay._broadcasts["s1"].tracks
        ssrcs = {track.ssrc for track in tracks.values()}
        await until("reports", lambda: {each.ssrc for each in viewer.heard(rtcp.SenderReport)} == ssrcs)
        # Once at the join, then each second.
        await until("more", lambda: len([each for each in viewer.heard(rtcp.SenderReport) if each.ssrc in ssrcs]) > 3)
        viewer.close()
        await host.aclose(http, "")


@pytest.mark.parametrize("orientation", [None, 1])
async def test_transport_feedback_tells_each_packet_and_only_orientation_goes_on(
    relay: Relay, orientation: int | None
) -> None:
    extra = f"a=extmap:{TRANSPORT_ID} {TRANSPORT_CC}\r\na=rtcp-fb:{VP8} transport-cc\r\n"
    async with watching(relay) as (http, url):
        host, viewer = Listener("sendonly", extra), Listener("recvonly")
        await host.connect(http, f"{url}whip/s1", "")
        await viewer.connect(http, f"{url}whep/s1", "")
        number = 0

        def send() -> bool:
            nonlocal number
            number += 1
            values = struct.pack("!BH", TRANSPORT_ID << 4 | 1, 0xFFF0 + number & 0xFFFF)
            values += b"" if orientation is None else bytes((ORIENTATION_ID << 4, orientation))
            values += bytes(-len(values) % 4)
            header = FIXED.pack(0x90, 0x80 | VP8, number, 3000 * number, host.ssrcs[1])
            block = struct.pack("!HH", 0xBEDE, len(values) // 4) + values
            host.send_rtp(header + block + b"\x10\x00" + bytes(20))
            return len(viewer.media) > 5 and len([each for each in host.control if each[1] == 205]) > 3

        await until("packets and feedback", send)
        feedback = [each for each in host.control if each[:2] == b"\x8f\xcd"]
        firsts = [int.from_bytes(each[12:14], "big") for each in feedback]
        counts = [int.from_bytes(each[14:16], "big") for each in feedback]
        assert firsts[0] == 0xFFF1
        assert [(first + count) & 0xFFFF for first, count in zip(firsts, counts, strict=True)][:-1] == firsts[1:]
        assert not host.heard(rtcp.Estimate)
        for data in viewer.media:
            header = rtp.parse(data)
            assert header is not None
            expected = {} if orientation is None else {ORIENTATION_ID: bytes((orientation,))}
            assert rtp.extension_values(data, header) == expected
        host.close()
        viewer.close()


def picture(host: Listener, number: int, *, keyframe: bool = False) -> None:
    """Send a frame of one packet."""
    header = FIXED.pack(0x80, 0x80 | VP8, number, 3000 * number, host.ssrcs[1])
    host.send_rtp(header + (b"\x10\x00" if keyframe else b"\x10\x01") + bytes(20))


async def test_a_packet_that_is_missing_is_asked_for_again_and_again_until_it_comes(relay: Relay) -> None:
    async with watching(relay) as (http, url):
        host = Listener("sendonly")
        await host.connect(http, f"{url}whip/s1", "")
        for number in (1, 2, 4):
            picture(host, number, keyframe=number == 1)

        def asked() -> list[tuple[int, ...]]:
            return [each.sequences for each in host.heard(rtcp.Nack)]

        await until("three requests", lambda: len(asked()) >= 3)
        picture(host, 3)
        await until("it has come", lambda: relay.stats("s1")["packets_recovered"] == 1)
        assert set(asked()) == {(3,)}
        assert relay.stats("s1")["nacks_sent"] >= 3
        host.close()


async def test_for_what_never_comes_the_host_is_asked_for_a_keyframe_at_once(relay: Relay) -> None:
    """A hole too large to be asked for: a viewer would notice only after a while, and everybody would wait."""
    async with watching(relay) as (http, url):
        host, viewer = Listener("sendonly"), Listener("recvonly")
        await host.connect(http, f"{url}whip/s1", "")
        picture(host, 1, keyframe=True)
        await until("a keyframe", lambda: relay.stats("s1").get("packets_received", 0) == 1)
        await viewer.connect(http, f"{url}whep/s1", "")
        await until("the picture", lambda: viewer.media)
        assert host.heard(rtcp.KeyframeRequest) == []
        picture(host, 2 + MAX_GAP + 1)
        await until("a request", lambda: host.heard(rtcp.KeyframeRequest))
        assert host.heard(rtcp.Nack) == []
        assert relay.stats("s1")["keyframe_requests_sent"] == 1
        host.close()
        viewer.close()
