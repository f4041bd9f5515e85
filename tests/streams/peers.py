"""Real peers for tests: aiortc publishers and viewers on loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from streams.relay import Relay


class Events:
    """Remembers what the relay told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    async def media_started(self, stream_id: str, session_id: str) -> None:
        self.told.append(("started", stream_id, session_id))

    async def media_stopped(self, stream_id: str, session_id: str) -> None:
        self.told.append(("stopped", stream_id, session_id))


async def until(what: str, probe: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Poll until the probe is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.02)
    return value


class MovingPicture(MediaStreamTrack):
    """A small picture whose grey moves, 30 times a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._started: float | None = None
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        now = time.monotonic()
        if self._started is None:
            self._started = now
        await asyncio.sleep(max(0.0, self._started + self._count / 30 - now))
        frame = av.VideoFrame(160, 120, "yuv420p")
        for plane in frame.planes:
            plane.update(random.Random(self._count).randbytes(plane.buffer_size))
        frame.pts, frame.time_base = self._count * 3000, Fraction(1, 90000)
        self._count += 1
        return frame


class Publisher:
    """An aiortc host."""

    def __init__(self, *, audio: bool = True, codec: str | None = None) -> None:
        self.pc = RTCPeerConnection()
        if audio:
            self.pc.addTransceiver(AudioStreamTrack(), direction="sendonly")
        video = self.pc.addTransceiver(MovingPicture(), direction="sendonly")
        if codec is not None:
            from aiortc import RTCRtpSender

            codecs = RTCRtpSender.getCapabilities("video").codecs
            video.setCodecPreferences([each for each in codecs if each.mimeType.lower() == f"video/{codec}".lower()])
        self.session_id = ""

    async def publish(self, relay: Relay, stream_id: str) -> Publisher:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        session = await relay.publish(stream_id, self.pc.localDescription.sdp)
        self.session_id = session.id
        await self.pc.setRemoteDescription(RTCSessionDescription(session.answer, "answer"))
        return self

    async def aclose(self) -> None:
        await self.pc.close()


class Viewer:
    """An aiortc viewer that counts what it decodes."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")
        self.frames = {"audio": 0, "video": 0}
        self.width = 0
        self.session_id = ""
        self.etag = ""
        self.answer = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.pc.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._consume(track)))

    async def _consume(self, track: MediaStreamTrack) -> None:
        from aiortc.mediastreams import MediaStreamError

        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames[track.kind] += 1
            if isinstance(frame, av.VideoFrame):
                self.width = frame.width

    async def view(self, relay: Relay, stream_id: str) -> Viewer:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        session = await relay.view(stream_id, self.pc.localDescription.sdp)
        self.session_id, self.etag, self.answer = session.id, session.etag, session.answer
        await self.pc.setRemoteDescription(RTCSessionDescription(session.answer, "answer"))
        return self

    async def aclose(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
