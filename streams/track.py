"""One outgoing track: a single SSRC, sequence and timestamp space, continued whoever publishes into it. Pure.

Viewers never renegotiate when the host reconnects, because for them nothing changes: the next packet has the next
number. A number once given out is never given to another packet (AES-GCM must not encrypt two plaintexts under one
index), so latecomers are taken only into their own empty place.
"""

from __future__ import annotations

import bisect

from streams.codecs import Codec, starts_keyframe
from streams.packet import Packet
from streams.ring import CAPACITY, PacketRing
from streams.rtp import Header

#: padding-only packets remembered, to place latecomers from before them
MAX_DROPPED = 128


class Track:
    """Rewrites a publisher's packets into the track's own space."""

    def __init__(self, kind: str, *, ssrc: int, rtx_ssrc: int, first_sequence: int, first_timestamp: int) -> None:
        self.kind = kind
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
        taken = self.sequence - outgoing >= CAPACITY - 1 or self.ring.get(outgoing) is not None
        if late and (taken or codec != self.codec):
            return None
        if not payload and not late:
            # Padding alone: closing the gap is cheaper than sending it on. (A late one fills its own hole instead.)
            bisect.insort(self._dropped, sequence)
            del self._dropped[:-MAX_DROPPED]
            self._offset -= 1
            return None
        packet = Packet(
            outgoing,
            (header.timestamp + self.timestamp_offset) & 0xFFFFFFFF,
            header.marker,
            payload,
            orientation=orientation,
            keyframe=self.kind == "video" and starts_keyframe(codec, payload),
            arrived_s=now_s,
        )
        if codec != self.codec:
            self.codec, self.codec_since = codec, outgoing
        if not late:
            self.sequence = outgoing
            self.timestamp = packet.timestamp
            self.newest_s = now_s
        self.ring.add(packet)
        self.packets += 1
        self.octets += len(payload)
        return packet

    @property
    def clock_rate(self) -> int:
        """Ticks of a second."""
        return 90000 if self.kind == "video" else 48000

    def _place(self, sequence: int) -> int:
        """The outgoing number: one less for each dropped padding packet before it."""
        after = len(self._dropped) - bisect.bisect_left(self._dropped, sequence)
        return sequence + self._offset + after

    def _continue(self, source: object, header: Header, sequence: int, now_s: float) -> None:
        """Another source takes over: its first packet follows our last, in number and in time."""
        frame = self.clock_rate // (30 if self.kind == "video" else 50)
        elapsed = 0 if self.newest_s is None else max(frame, int((now_s - self.newest_s) * self.clock_rate))
        self._source = source
        self._offset = self.sequence + 1 - sequence
        self._floor = sequence
        self._dropped.clear()
        self.timestamp_offset = (self.timestamp + elapsed - header.timestamp) & 0xFFFFFFFF
