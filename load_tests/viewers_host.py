"""The host of the relay load test: packets that look like VP8 and Opus, at a given rate."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from load_tests.viewers_check import MARK, STAMP
from load_tests.whep_peer import CHECK_S, OPUS, VP8, Shared, WebRtcPeer
from streams import rtcp
from streams.rtp import FIXED

#: a keyframe is so many times as large as another frame
KEYFRAME_FACTOR = 4
MAX_PAYLOAD = 1150
#: packets that a host can send again
KEPT = 1024


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
    """Sends packets that look like VP8 and Opus at a given rate; answers requests for keyframes and lost packets."""

    def __init__(self, shared: Shared, rate: Rate) -> None:
        self.peer = WebRtcPeer(shared, "sendonly")
        self.peer.on_rtcp = self._feedback
        self.rate = rate
        self.packets = self.keyframe_requests = self.keyframes = self.resent = 0
        #: the newest packets of the picture as sent, to send them again: a browser's host does, by RTX
        self._kept: list[tuple[int, bytes]] = [(-1, b"")] * KEPT
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
            elif isinstance(message, rtcp.Nack) and message.media_ssrc == self.peer.ssrcs[1]:
                self._again(message.sequences)

    def _again(self, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            kept, data = self._kept[sequence % KEPT]
            if kept == sequence:
                self.resent += 1
                self.peer.send_datagram(data)

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
        sent = self.peer.send_rtp(header + payload)
        if track:
            sequence = self._sequence[track] & 0xFFFF
            self._kept[sequence % KEPT] = sequence, sent
