"""One outgoing sequence space of one viewer: which part of it came from which layer, and with what added. Pure.

A viewer sees one SSRC. When it changes layers, the keyframe of the new layer follows the last packet of the old one in
number, in time and in VP8 picture count. What it asks for again may be of either, so the newest parts are remembered.
A number once sent is never given to another packet: AES-GCM must not encrypt two plaintexts under one index.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from streams import rtp, vp8
from streams.packet import Packet, Shift
from streams.track import Track

#: a receiver that joins this close to the wrap of the sequence number and loses the first packets would never
#: authenticate again, for it cannot know that the rollover counter has moved: it starts clear of the wrap
WRAP_MARGIN = 4096
#: parts remembered to resend from: a viewer changes layers every few seconds at most
MAX_SEGMENTS = 8


class Segment(NamedTuple):
    """A part of the flow that came from one track."""

    track: Track
    #: the first number of it that the viewer sees, extended
    begins: int
    #: subtracted from the track's numbers
    offset: int
    shift: Shift | None


class Flow:
    """The parts of one outgoing space, the newest last."""

    __slots__ = ("_last", "segments")

    def __init__(self, track: Track, sequence: int) -> None:
        near = 0x10000 - (sequence & 0xFFFF) <= WRAP_MARGIN
        offset = 2 * WRAP_MARGIN if near else 0
        self.segments = deque((Segment(track, sequence - offset, offset, None),), maxlen=MAX_SEGMENTS)
        #: the last packet before a pause: the numbers after it are given to whatever comes next
        self._last: Packet | None = None

    @property
    def now(self) -> Segment:
        """The part that is being sent."""
        return self.segments[-1]

    @property
    def newest(self) -> int:
        """The newest number the viewer may have been sent, extended."""
        now = self.now
        return max(now.begins, (self._last or now.track).sequence - now.offset)

    @property
    def paused(self) -> bool:
        """Whether nothing is sent until the next change."""
        return self._last is not None

    def pause(self, last: Packet) -> None:
        """Send nothing after this packet, until :meth:`switch`."""
        self._last = self._last or last

    def switch(self, track: Track, first: Packet, last: Packet | None) -> None:
        """Go on with another track from its packet ``first``; ``last`` is the newest sent of the track until now."""
        old, last, self._last = self.now, self._last or last, None
        begins = old.begins if last is None else max(old.begins, last.sequence - old.offset + 1)
        shift = Shift(first.sequence) if last is None else _continued(old.shift or Shift(0), first, last)
        if not (track.codec is not None and track.codec.name == "VP8" and old.track.codec == track.codec):
            shift = shift._replace(picture=0, base=0)
        self.segments.append(Segment(track, begins, first.sequence - begins, shift))

    def find(self, wire: int) -> tuple[Segment, int] | None:
        """The part a 16-bit number belongs to, and the track's own number; None for what was never this viewer's."""
        number = rtp.extend(wire, self.newest)
        if self._last is not None and number > self.newest:
            return None
        for segment in reversed(self.segments):
            if number >= segment.begins:
                return segment, number + segment.offset
        return None


def _continued(old: Shift, first: Packet, last: Packet) -> Shift:
    """What to add so that ``first`` follows ``last`` as the viewer saw it."""
    seen = last.timestamp + old.timestamp
    # One tick later is enough where both layers show the same moment: 11 µs.
    ahead = (first.timestamp - seen + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    timestamp = 0 if ahead > 0 else seen + 1 - first.timestamp & 0xFFFFFFFF
    picture = base = 0
    before, after = last.descriptor, first.descriptor
    if before is not None and after is not None:
        if before.picture_place and after.picture_place:
            picture = (before.picture + old.picture + 1 - after.picture) % vp8.PICTURES
            if before.picture_bits == 7:
                picture = ((before.picture + old.picture) % vp8.SHORT_PICTURES + 1 - after.picture) % vp8.PICTURES
        if before.base_place and after.base_place:
            base = (before.base + old.base + 1 - after.base) % vp8.BASE_PICTURES
    return Shift(first.sequence, timestamp, picture, base)
