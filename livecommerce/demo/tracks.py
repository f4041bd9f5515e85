"""The show as two aiortc tracks: the picture (encoded as VP8 by aiortc) and a tone that is already Opus."""

from __future__ import annotations

import asyncio
import math
from array import array
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from livecommerce.demo.picture import RATE, ShowPicture

VIDEO_CLOCK = 90_000
AUDIO_CLOCK = 48_000
#: samples in one Opus packet: 20 ms, what browsers use
PACKET_SAMPLES = 960
#: a track that is this late (the machine slept) goes on from now instead of catching up
LATE_S = 0.5
#: a pentatonic tune in semitones above A3, one note each half second; eight seconds, then again
TUNE = (0, 7, 12, 9, 4, 7, 14, 12, 0, 9, 16, 12, 7, 4, 2, 7)
NOTE_S = 0.5
LOUDNESS = 0.09


class _Paced(MediaStreamTrack):
    """A track whose data falls due every ``interval_s``."""

    interval_s: float

    def __init__(self) -> None:
        super().__init__()
        self._origin_s: float | None = None
        self._count = 0

    async def _due(self) -> int:
        """Wait for the next instant; its number, counted from the start."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = asyncio.get_running_loop().time()
        if self._origin_s is None:
            self._origin_s = now_s
        wait_s = self._origin_s + self._count * self.interval_s - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -LATE_S:
            self._count += int(-wait_s / self.interval_s)
        self._count += 1
        return self._count - 1


class PictureTrack(_Paced):
    """The moving picture."""

    kind = "video"
    interval_s = 1 / RATE

    def __init__(self, picture: ShowPicture) -> None:
        super().__init__()
        self._picture = picture

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is due."""
        number = await self._due()
        frame = self._picture.frame()
        frame.pts, frame.time_base = number * VIDEO_CLOCK // RATE, Fraction(1, VIDEO_CLOCK)
        return frame


class ToneTrack(_Paced):
    """The tune, encoded once and repeated: sending it costs no encoder."""

    kind = "audio"
    interval_s = PACKET_SAMPLES / AUDIO_CLOCK

    def __init__(self, packets: tuple[bytes, ...]) -> None:
        super().__init__()
        self._packets = packets

    async def recv(self) -> av.Packet[Any]:
        """The next 20 ms, when they are due."""
        number = await self._due()
        packet = av.Packet(self._packets[number % len(self._packets)])
        packet.pts, packet.time_base = number * PACKET_SAMPLES, Fraction(1, AUDIO_CLOCK)
        return packet


def opus_tune() -> tuple[bytes, ...]:
    """The tune as Opus packets of 20 ms: soft plucks that fade before the next one."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = AUDIO_CLOCK, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, AUDIO_CLOCK)
    # Each pitch once and one envelope for all: 0.1 s instead of 0.4 s before the show can begin.
    envelope = _envelope()
    plucks = {note: _pluck(note, envelope) for note in set(TUNE)}
    samples = array("h")
    for note in TUNE:
        samples.extend(plucks[note])
    packets: list[bytes] = []
    for start in range(0, len(samples), PACKET_SAMPLES):
        frame = av.AudioFrame(format="s16", layout="mono", samples=PACKET_SAMPLES)
        frame.sample_rate, frame.pts = AUDIO_CLOCK, start
        frame.planes[0].update(samples[start : start + PACKET_SAMPLES].tobytes())
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets + [bytes(packet) for packet in encoder.encode(None)])


def _pluck(note: int, envelope: list[float]) -> array[int]:
    step = 2 * math.pi * 220 * 2 ** (note / 12) / AUDIO_CLOCK
    return array("h", (int(loud * math.sin(step * i)) for i, loud in enumerate(envelope)))


def _envelope() -> list[float]:
    count = int(NOTE_S * AUDIO_CLOCK)
    # A 10 ms rise and a fade to nothing: no click where one note meets the next.
    return [32767 * LOUDNESS * min(1.0, i / 480) * (1 - i / count) ** 2 for i in range(count)]
