"""A viewer who has the keys and asks for too much: the worker's time and the host's picture are not its own."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from streams import rtcp
from streams.flow import Flow
from streams.relay import Relay
from streams.viewer import KEYFRAME_BURST, NACKED_BURST, RTCP_BURST, Viewer
from tests.streams.front import front
from tests.streams.peers import until
from tests.streams.test_reports import Listener, picture


@asynccontextmanager
async def a_show(relay: Relay) -> AsyncIterator[tuple[Listener, Listener, Viewer]]:
    async with front(relay) as url, aiohttp.ClientSession() as http:
        host, there = Listener("sendonly"), Listener("recvonly")
        await host.connect(http, f"{url}whip/s1", "")
        picture(host, 1, keyframe=True)
        await until("a keyframe", lambda: relay.stats("s1").get("packets_received", 0) == 1)
        await there.connect(http, f"{url}whep/s1", "")
        await until("the picture", lambda: there.media)
        (viewer,) = (each for each in relay._sessions.values() if isinstance(each, Viewer))
        yield host, there, viewer
        host.close()
        there.close()


async def test_numbers_asked_for_without_end_are_not_looked_for(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = Viewer._resend

    def resend(self: Viewer, flow: Flow, ssrc: int, wire: int, now_s: float) -> None:
        looked.append(wire)
        real(self, flow, ssrc, wire, now_s)

    monkeypatch.setattr(Viewer, "_resend", resend)
    async with a_show(relay) as (_, there, viewer):
        ssrc = viewer._tracks["video"].ssrc
        body = struct.pack("!II", 1, ssrc) + b"".join(struct.pack("!HH", 17 * i & 0xFFFF, 0xFFFF) for i in range(50))
        nack = struct.pack("!BBH", 0x81, 205, len(body) // 4) + body
        for _ in range(40):
            there.send_rtcp(nack)
        there.send_rtcp(rtcp.build_pli(1, ssrc))
        await until("all was read", lambda: viewer.counters.keyframes_asked == 1)
        assert 0 < len(looked) <= NACKED_BURST + 850
        counts = viewer.counters
        told = counts.retransmissions_refused + counts.retransmissions_missing + counts.retransmissions_sent
        assert told == 40 * 50 * 17


async def test_keyframes_asked_for_without_end_are_not_asked_of_the_host(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_show(relay) as (_, there, viewer):
        wanted: list[int] = []
        monkeypatch.setattr(viewer, "_on_keyframe_wanted", lambda _, ssrc: wanted.append(ssrc))
        for _ in range(100):
            there.send_rtcp(rtcp.build_pli(1, viewer._tracks["video"].ssrc))
        await until("all was read", lambda: viewer.counters.keyframes_asked == 100)
        assert KEYFRAME_BURST <= len(wanted) <= KEYFRAME_BURST + 2


async def test_a_flood_of_reports_is_not_decrypted(relay: Relay) -> None:
    async with a_show(relay) as (_, there, viewer):
        decrypted: list[int] = []
        real = viewer.decrypt

        def decrypt(size: int, *, control: bool = False) -> int:
            decrypted.append(size)
            return real(size, control=control)

        viewer.decrypt = decrypt  # type: ignore[method-assign]
        for _ in range(2 * RTCP_BURST):
            there.send_rtcp(rtcp.build_pli(1, 2))
        await until("all was read", lambda: len(decrypted) + viewer.counters.packets_refused >= 2 * RTCP_BURST)
        assert RTCP_BURST <= len(decrypted) < 2 * RTCP_BURST
