"""The viewers of the relay load test, which check what comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from struct import unpack_from
from typing import Any

import aiohttp

from load_tests.viewers_check import MAX_DELAYS, MediaCheck, percentile, stamp_of
from load_tests.whep_peer import OPUS, VP8, PeerFailed, Shared, WebRtcPeer
from streams import rtcp, rtp
from streams.codecs import VP8 as VP8_CODEC
from streams.codecs import starts_keyframe
from streams.socket import overflowed

SO_TIMESTAMPNS = 35
#: one viewer in so many has its packets stamped by the kernel on arrival, so that our own slowness is not measured
SAMPLE_EVERY = 10
#: seconds between two receiver reports of a viewer
REPORT_S = 1.0
#: a viewer without a picture asks for a keyframe this often
ASK_S = 1.0


class LoadViewer:
    """A viewer: connects, reports, checks.

    ``verify_every``: once the picture is there, one packet in so many is decrypted and its tag checked; sequence and
    frames are read from the headers of all. Viewers whose delays are measured check every packet.
    """

    verify_every = 1

    def __init__(self, shared: Shared, index: int) -> None:
        self.peer = WebRtcPeer(shared, "recvonly")
        self.peer.on_rtp = self._rtp
        self.video, self.audio = MediaCheck(), MediaCheck()
        self.media_ssrc = 0
        self.failure = ""
        self.dropped_before = 0
        self._view = shared.receive.view
        self._sampled = index % SAMPLE_EVERY == 0
        self._arrived_ns = 0
        if self._sampled:
            self.peer.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.peer._receive = self._receive_stamped  # type: ignore[method-assign]

    async def join(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        """Connect; a failure is remembered, not raised."""
        try:
            await self.peer.connect(http, url, token)
        except (PeerFailed, aiohttp.ClientError, TimeoutError) as error:
            self.failure = str(error) or repr(error)

    def _receive_stamped(self) -> int:
        size, ancillary, _, self.peer._source = self.peer.sock.recvmsg_into([self._view], 64)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = unpack_from("=qq", data)
                self._arrived_ns = seconds * 1_000_000_000 + nanoseconds
        return size

    def _rtp(self, size: int) -> bool:
        """One packet; True lets others be read first. Hot path: what a header says is not encrypted."""
        view, video = self._view, self.video
        second = view[1]
        kind = second & 0x7F
        if kind != VP8:
            return kind == OPUS and self.audio.count(view[2] << 8 | view[3])
        if video.first_frame_s is None or self._sampled:
            return self._looked_into(size)
        if video.count(view[2] << 8 | view[3]) and second & 0x80:
            video.frame_ends(time.monotonic())
        return second & 0x80 != 0

    def _looked_into(self, size: int) -> bool:
        """A packet whose payload matters: it may begin a keyframe, or says when it was sent."""
        video, header = self.video, rtp.parse(self._view[:size])
        if header is None:
            return False
        self.media_ssrc = header.ssrc
        payload = self._view[header.payload_start : header.payload_end]
        key = video.first_frame_s is None and starts_keyframe(VP8_CODEC, bytes(payload))
        video.received(header, keyframe=key, now_s=time.monotonic())
        if self._sampled and len(video.delays_ns) < MAX_DELAYS and (sent_ns := stamp_of(payload)) is not None:
            video.delays_ns.append(self._arrived_ns - sent_ns)
        if video.first_frame_s is not None and not self._sampled:
            self.peer.verify_every = self.verify_every
        return header.marker

    @property
    def audio_packets(self) -> int:
        """Packets of sound."""
        return self.audio.packets

    def dropped(self) -> int:
        """Datagrams that the kernel threw away because this viewer's own socket was full; 0 once it is closed."""
        return 0 if self.peer.closed else overflowed(self.peer.sock)

    def report(self) -> None:
        """A receiver report, as a browser sends one; without a picture a keyframe request."""
        blocks = []
        if self.video.highest is not None:
            blocks.append(rtcp.ReportBlock(self.media_ssrc, 0, self.video.lost, self.video.highest, 0, 0, 0))
        self.peer.send_rtcp(rtcp.build_receiver_report(self.peer.ssrcs[1], blocks))
        if self.video.first_frame_s is None and self.media_ssrc:
            self.peer.send_rtcp(rtcp.build_pli(self.peer.ssrcs[1], self.media_ssrc))


class Crowd:
    """The viewers of one process."""

    def __init__(self, count: int, verify_every: int = 1) -> None:
        self.shared = Shared()
        self.viewers = [LoadViewer(self.shared, index) for index in range(count)]
        for viewer in self.viewers:
            viewer.verify_every = verify_every
        self._task: asyncio.Task[None] | None = None

    async def join(
        self, http: aiohttp.ClientSession, url: str, tokens: list[str], per_s: float, part: tuple[float, float]
    ) -> None:
        """Let a part of the viewers join, one after the other at a pace, at most 32 at once."""
        self._task = self._task or asyncio.create_task(self._keep_up(), name="crowd")
        gate = asyncio.Semaphore(32)
        started = time.monotonic()
        first, last = (int(share * len(self.viewers)) for share in part)

        async def one(index: int, viewer: LoadViewer) -> None:
            await asyncio.sleep(max(0.0, started + index / per_s - time.monotonic()))
            async with gate:
                await viewer.join(http, url, tokens[index % len(tokens)] if tokens else "")

        await asyncio.gather(*(one(index, viewer) for index, viewer in enumerate(self.viewers[first:last])))

    async def _keep_up(self) -> None:
        """Reports each second and consent checks, spread evenly."""
        turn = 0
        while True:
            await asyncio.sleep(REPORT_S / 20)
            turn += 1
            for index, viewer in enumerate(self.viewers):
                if index % 20 == turn % 20 and viewer.peer.context is not None:
                    viewer.report()
                    if turn // 20 % 3 == index // 20 % 3:
                        viewer.peer.check()

    def restart(self) -> None:
        """What is measured begins now."""
        for viewer in self.viewers:
            viewer.video.restart()
            viewer.audio.restart()
            viewer.dropped_before = viewer.dropped()

    def result(self) -> dict[str, Any]:
        """What the viewers saw since the last restart."""
        videos = [viewer.video for viewer in self.viewers]
        delays = [delay for video in videos for delay in video.delays_ns]
        joins = [v.video.first_frame_s - v.peer.asked_s for v in self.viewers if v.video.first_frame_s is not None]
        return {
            "connected": sum(viewer.peer.context is not None for viewer in self.viewers),
            "failures": sorted({viewer.failure for viewer in self.viewers if viewer.failure})[:3],
            "playing": sum(video.packets > 0 for video in videos),
            "packets": sum(v.video.packets + v.audio_packets for v in self.viewers),
            "lost": sum(video.lost for video in videos),
            "lost_here": sum(viewer.dropped() - viewer.dropped_before for viewer in self.viewers),
            "duplicates": sum(video.duplicates for video in videos),
            "unauthentic": sum(viewer.peer.unauthentic for viewer in self.viewers),
            "frames": sum(video.frames for video in videos),
            "frames_incomplete": sum(video.frames_incomplete for video in videos),
            "delays": len(delays),
            "delay_p50_ms": percentile(delays, 0.5) / 1e6,
            "delay_p99_ms": percentile(delays, 0.99) / 1e6,
            "first_frame_ms": sorted(round(join * 1000, 1) for join in joins),
        }

    async def aclose(self) -> None:
        """Leave without a word, as a closed tab does; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for viewer in self.viewers:
            viewer.peer.close()
