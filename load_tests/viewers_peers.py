"""The two ends of the relay load test: a synthetic host, and viewers that check what comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from struct import unpack_from
from typing import Any

import aiohttp

from load_tests.viewers_check import MARK, MAX_DELAYS, STAMP, MediaCheck, percentile, stamp_of
from load_tests.whep_peer import CHECK_S, OPUS, VP8, PeerFailed, Shared, WebRtcPeer
from streams import rtcp, rtp
from streams.codecs import VP8 as VP8_CODEC
from streams.codecs import starts_keyframe
from streams.rtp import FIXED

SO_TIMESTAMPNS = 35
#: what a socket holds and has thrown away (``SK_MEMINFO_DROPS`` is the last of nine words)
SO_MEMINFO = 55
#: one viewer in so many has its packets stamped by the kernel on arrival, so that our own slowness is not measured
SAMPLE_EVERY = 10
#: seconds between two receiver reports of a viewer
REPORT_S = 1.0
#: a viewer without a picture asks for a keyframe this often
ASK_S = 1.0
#: a keyframe is so many times as large as another frame
KEYFRAME_FACTOR = 4
MAX_PAYLOAD = 1150


@dataclass(frozen=True)
class Rate:
    """What the synthetic host sends."""

    frames_per_s: float = 25.0
    #: bytes of a frame; of each packet when ``packet_bytes`` is given
    frame_bytes: int = 8800
    #: exactly this size for each packet, else as Chromium splits: equal but for one byte
    packet_bytes: int | None = None
    audio: bool = False


def split_frame(size: int, packet_bytes: int | None) -> list[int]:
    """Payload sizes of one frame's packets."""
    if packet_bytes is not None:
        return [packet_bytes - 12] * max(1, round(size / packet_bytes))
    count = -(-size // MAX_PAYLOAD)
    return [size // count + (index < size % count) for index in range(count)]


class SyntheticHost:
    """Sends packets that look like VP8 and Opus at a given rate; answers keyframe requests."""

    def __init__(self, shared: Shared, rate: Rate) -> None:
        self.peer = WebRtcPeer(shared, "sendonly")
        self.peer.on_rtcp = self._feedback
        self.rate = rate
        self.packets = self.keyframe_requests = self.keyframes = 0
        self.late_s = 0.0
        self._sequence = [1000, 1000]
        self._wanted = True
        self._task: asyncio.Task[None] | None = None

    async def start(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        """Connect and begin to send."""
        await self.peer.connect(http, url, token)
        self._task = asyncio.create_task(self._run(), name="synthetic-host")

    async def aclose(self, http: aiohttp.ClientSession, token: str) -> None:
        """Stop sending and end the session; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.peer.leave(http, token)

    def _feedback(self, size: int) -> None:
        for message in rtcp.parse(bytes(self.peer.shared.receive.view[:size])):
            if isinstance(message, rtcp.KeyframeRequest):
                self.keyframe_requests += 1
                self._wanted = True

    async def _run(self) -> None:
        started = time.monotonic()
        frame = sound = 0
        checked = started
        while True:
            due = started + frame / self.rate.frames_per_s
            if self.rate.audio:
                due = min(due, started + sound / 50)
            now = time.monotonic()
            if due > now:
                await asyncio.sleep(due - now)
                now = time.monotonic()
            self.late_s = max(self.late_s, now - due)
            if self.rate.audio and started + sound / 50 <= now:
                self._send(0, sound * 960, True, bytes(80), OPUS)
                sound += 1
            if started + frame / self.rate.frames_per_s <= now:
                self._frame(int(frame * 90000 / self.rate.frames_per_s))
                frame += 1
            if now - checked > CHECK_S:
                checked = now
                self.peer.check()

    def _frame(self, timestamp: int) -> None:
        key, self._wanted = self._wanted, False
        self.keyframes += key
        sizes = split_frame(self.rate.frame_bytes * (KEYFRAME_FACTOR if key else 1), self.rate.packet_bytes)
        for index, size in enumerate(sizes):
            # VP8 descriptor (S on the first), then the first byte of the frame's header: P bit clear for a keyframe
            head = bytes((0x10 if index == 0 else 0x00, 0x00 if key else 0x01))
            payload = head + MARK + STAMP.pack(time.time_ns())
            self._send(1, timestamp, index == len(sizes) - 1, payload + bytes(max(0, size - len(payload))), VP8)

    def _send(self, track: int, timestamp: int, marker: bool, payload: bytes, payload_type: int) -> None:
        self._sequence[track] += 1
        second = payload_type | (0x80 if marker else 0)
        header = FIXED.pack(
            0x80, second, self._sequence[track] & 0xFFFF, timestamp & 0xFFFFFFFF, self.peer.ssrcs[track]
        )
        self.packets += 1
        self.peer.send_rtp(header + payload)


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
        if self.peer.closed:
            return 0
        count: int = unpack_from("=9I", self.peer.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[8]
        return count

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
