"""One layer of a picture on this worker: its track and audience, the frame being collected, its keyframe requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from streams import vp8
from streams.audience import Audience
from streams.batch import MAX_SEGMENTS
from streams.codecs import Codec
from streams.keyframes import KeyframeRequests
from streams.layers import Layer
from streams.packet import Packet
from streams.runs import pad_to_runs
from streams.track import Track

#: seconds a frame's packets may wait for the rest of the frame
HOLD_S = 0.003
#: a layer that is silent for so long while another goes on has stopped
SILENT_S = 0.9
#: a layer that comes back is believed after so long: hosts that are short of something drop it again at once
RETURN_S = 2.0


class Lane:
    """A track's packets, frame by frame, to its audience."""

    def __init__(self, track: Track, audience: Audience, loop: asyncio.AbstractEventLoop) -> None:
        self.track = track
        self.audience = audience
        self.requests = KeyframeRequests()
        self.codec: Codec | None = None
        #: of the newest keyframe; (0, 0) where the codec does not tell, None before one came
        self.size: tuple[int, int] | None = None
        #: packets arrive, and viewers may be sent them
        self.active = False
        #: whether the newest keyframe told of another size, or came while the layer was not active
        self.news = False
        #: until when it is not to be trusted, having stopped before
        self.rests_until_s = 0.0
        self.bits_per_s = 0
        self._measured = (0.0, 0)
        #: when the newest frame and the one before it were whole
        self._frames_s = (0.0, 0.0)
        self._loop = loop
        self._pending: list[Packet] = []
        self._hold: asyncio.TimerHandle | None = None
        self._keyframe_timestamp: int | None = None

    @property
    def layer(self) -> Layer:
        """What the choice of layers has to know."""
        width, height = self.size or (0, 0)
        return Layer(self.track.slot, width * height, self.bits_per_s, self.active)

    def packet(self, packet: Packet, on_keyframe: Callable[[Lane, Packet], None]) -> None:
        """Collect a packet; a whole frame is sent at once, a part of one after 3 ms."""
        self._pending.append(packet)
        if packet.keyframe and packet.timestamp != self._keyframe_timestamp:
            self._keyframe_began(packet)
            on_keyframe(self, packet)
        if packet.marker:
            self._frames_s = packet.arrived_s, self._frames_s[0]
            self.flush()
        elif len(self._pending) >= MAX_SEGMENTS:
            self.flush()
        elif self._hold is None:
            self._hold = self._loop.call_later(HOLD_S, self.flush)

    def _keyframe_began(self, packet: Packet) -> None:
        self._keyframe_timestamp = packet.timestamp
        self.requests.arrived(packet.arrived_s)
        self.audience.cache.deaf = self.requests.deaf
        size = vp8.keyframe_size(packet.payload) or self.size or (0, 0)
        self.news = size != self.size or not self.active
        self.size = size

    def flush(self) -> None:
        """Send what is collected."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        if self._pending:
            packets, self._pending = self._pending, []
            pad_to_runs(packets, max_segments=MAX_SEGMENTS)
            self.audience.send(packets, time.monotonic())

    def changed_codec(self) -> None:
        """Where the track's codec is another one since the last time, its viewers are grouped anew."""
        if self.codec != self.track.codec:
            self.flush()
            self.audience.regroup()
        self.codec = self.track.codec

    def flows(self, now_s: float) -> bool:
        """Whether packets came just now."""
        return self.track.newest_s is not None and now_s - self.track.newest_s < SILENT_S

    def outlives(self, other: Lane) -> bool:
        """Whether two frames came here since the other's newest packet: one may be of the same moment."""
        return other.track.newest_s is None or self._frames_s[1] > other.track.newest_s + SILENT_S / 3

    def stop(self, rests_until_s: float = 0.0) -> None:
        """It is not to be sent to anyone, for now."""
        self.active = False
        self.rests_until_s = rests_until_s

    def measure(self, now_s: float) -> None:
        """Note the bits a second since the last time."""
        before_s, octets = self._measured
        self._measured = now_s, self.track.octets
        if before_s:
            self.bits_per_s = round((self.track.octets - octets) * 8 / max(0.1, now_s - before_s))

    def close(self) -> None:
        """Stop the timers; safe to call twice."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        self._pending.clear()
        self.audience.close()
