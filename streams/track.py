"""One outgoing track: a single SSRC, sequence and timestamp space, continued whoever publishes into it. Pure.

Viewers never renegotiate when the host reconnects, because for them nothing changes: the next packet has the next
number. A number once given out is never given to another packet (AES-GCM must not encrypt two plaintexts under one
index), so latecomers are taken only into their own empty place.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from streams.codecs import Codec, starts_keyframe
from streams.packet import Packet
from streams.ring import CAPACITY, PacketRing
from streams.rtp import Header

#: padding-only packets remembered, to place latecomers from before them
MAX_DROPPED = 128


class Track:
    """Rewrites a publisher's packets into the track's own space.

    Each layer of a simulcast picture has a track; ``siblings`` are all of them, and share one clock.
    """

    def __init__(
        self,
        kind: str,
        *,
        ssrc: int,
        rtx_ssrc: int,
        first_sequence: int,
        first_timestamp: int,
        slot: int = 0,
        siblings: Sequence[Track] = (),
    ) -> None:
        self.kind = kind
        #: which layer of the picture
        self.slot = slot
        self._siblings = siblings
        #: the timestamp offset that agrees with the siblings', taken with the next keyframe or source
        self.wanted_offset: int | None = None
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.codec: Codec | None = None
        #: the first number of the current codec: what is older cannot be rendered as it was sent any more
        self.codec_since = first_sequence
        self.ring = PacketRing()
        self.packets = 0
        self.octets = 0
        #: the newest number given out
        self.sequence = first_sequence - 1
        self.timestamp = first_timestamp
        self.timestamp_offset = 0
        #: when the newest packet came
        self.newest_s: float | None = None
        self._offset = 0
        self._floor = 0
        self._dropped: list[int] = []
        self._source: object = None

    def accept(
        self,
        source: object,
        codec: Codec,
        header: Header,
        sequence: int,
        payload: bytes,
        *,
        orientation: int | None,
        now_s: float,
    ) -> Packet | None:
        """The outgoing packet for an incoming one, or None for duplicates, strays and padding.

        ``source`` is whatever changes when another publisher or SSRC feeds the track; ``sequence`` is the incoming
        number, extended within that source.
        """
        if source is not self._source:
            self._continue(source, header, sequence, now_s)
        if sequence < self._floor:
            return None
        outgoing = self._place(sequence)
        late = outgoing <= self.sequence
        same_codec = codec is self.codec or codec == self.codec
        if late and (not same_codec or self._taken(outgoing)):
            return None
        if not payload and not late:
            # Padding alone: closing the gap is cheaper than sending it on. (A late one fills its own hole instead.)
            bisect.insort(self._dropped, sequence)
            del self._dropped[:-MAX_DROPPED]
            self._offset -= 1
            return None
        keyframe = self.kind == "video" and starts_keyframe(codec, payload)
        if keyframe and self.wanted_offset is not None and not late:
            self._align(header.timestamp)
        packet = Packet(
            outgoing,
            (header.timestamp + self.timestamp_offset) & 0xFFFFFFFF,
            header.marker,
            payload,
            orientation=orientation,
            keyframe=keyframe,
            arrived_s=now_s,
        )
        if not same_codec:
            self.codec, self.codec_since = codec, outgoing
        if not late:
            self.sequence = outgoing
            self.timestamp = packet.timestamp
            self.newest_s = now_s
        self.ring.add(packet)
        self.packets += 1
        self.octets += len(payload)
        return packet

    def _taken(self, outgoing: int) -> bool:
        """Whether a number is given out already, or too old to tell."""
        return self.sequence - outgoing >= CAPACITY - 1 or self.ring.get(outgoing) is not None

    @property
    def clock_rate(self) -> int:
        """Ticks of a second."""
        return 90000 if self.kind == "video" else 48000

    def _place(self, sequence: int) -> int:
        """The outgoing number: one less for each dropped padding packet before it."""
        dropped = self._dropped
        if not dropped or dropped[-1] < sequence:
            return sequence + self._offset
        after = len(dropped) - bisect.bisect_left(dropped, sequence)
        return sequence + self._offset + after

    def _continue(self, source: object, header: Header, sequence: int, now_s: float) -> None:
        """Another source takes over: its first packet follows our last, in number and in time."""
        frame = self.clock_rate // (30 if self.kind == "video" else 50)
        self._source = source
        self._offset = self.sequence + 1 - sequence
        self._floor = sequence
        self._dropped.clear()
        start = self.timestamp
        if self.newest_s is not None:
            start += max(frame, int((now_s - self.newest_s) * self.clock_rate))
        newest = max((each for each in self._siblings if each.newest_s is not None), key=_age, default=self)
        if newest is not self and newest.newest_s is not None:
            theirs = newest.timestamp + int((now_s - newest.newest_s) * self.clock_rate)
            if self.newest_s is None or _ahead(theirs, start) > 0:
                start = theirs
        self.timestamp_offset = (start - header.timestamp) & 0xFFFFFFFF
        if self.wanted_offset is not None:
            self._align(header.timestamp)

    def _align(self, timestamp: int) -> None:
        """Take the offset that agrees with the siblings'; where time would run backwards, next time."""
        offset = self.wanted_offset or 0
        if self.newest_s is not None and _ahead(timestamp + offset, self.timestamp) <= 0:
            self.timestamp_offset = (self.timestamp + 1 - timestamp) & 0xFFFFFFFF
        else:
            self.timestamp_offset, self.wanted_offset = offset, None


def _age(track: Track) -> float:
    return track.newest_s or 0.0


def _ahead(newer: int, older: int) -> int:
    """Signed distance between two 32-bit timestamps."""
    return (newer - older + 0x80000000 & 0xFFFFFFFF) - 0x80000000
