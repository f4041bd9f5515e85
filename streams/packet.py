"""One outgoing packet, and how it looks to the viewers of one rendering. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack
from typing import NamedTuple

from streams import vp8
from streams.rtp import FIXED

#: sequence number and timestamp in an RTP header; a VP8 picture id of 15 bits
_NUMBERS, _PICTURE = Struct("!HI"), Struct("!H")


class Packet:
    """One media packet in the track's own sequence and timestamp space, extensions stripped but orientation.

    ``sequence`` is extended (never wraps); on the wire only its low 16 bits travel. ``padding`` may be set until the
    packet is ``sent``, never after: the same index must never encrypt two plaintexts.
    """

    __slots__ = (
        "_descriptor",
        "arrived_s",
        "keyframe",
        "marker",
        "orientation",
        "padding",
        "payload",
        "sent",
        "sequence",
        "timestamp",
    )

    def __init__(
        self,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: bytes,
        *,
        orientation: int | None = None,
        keyframe: bool = False,
        arrived_s: float = 0.0,
    ) -> None:
        self.sequence = sequence
        self.timestamp = timestamp
        self.marker = marker
        self.payload = payload
        self.orientation = orientation
        self.keyframe = keyframe
        self.arrived_s = arrived_s
        self.padding = 0
        self.sent = False
        self._descriptor: vp8.Descriptor | bool | None = False

    @property
    def size(self) -> int:
        """Bytes as sent, orientation included."""
        return 12 + (8 if self.orientation is not None else 0) + len(self.payload) + self.padding

    @property
    def descriptor(self) -> vp8.Descriptor | None:
        """The VP8 payload descriptor, read when first asked for; None where there is none."""
        if isinstance(self._descriptor, bool):
            self._descriptor = vp8.parse(self.payload)
        return self._descriptor


class Shift(NamedTuple):
    """What a viewer that has changed layers must have added to a packet, so that one picture goes on."""

    #: packets of the layer before this number are not this viewer's: their numbers are taken by another layer's
    first: int
    #: to the timestamp: 0 but where the new layer's clock would have run backwards
    timestamp: int = 0
    #: to the VP8 picture id and TL0PICIDX
    picture: int = 0
    base: int = 0

    def mine(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Without latecomers from before the change."""
        return [each for each in packets if each.sequence >= self.first]

    @property
    def counts(self) -> bool:
        """Whether it touches the payload: only that of VP8 is ever touched."""
        return bool(self.picture or self.base)

    def payload(self, packet: Packet) -> bytes:
        """The packet's payload with its VP8 counters continued; of the same size."""
        if not self.counts or packet.descriptor is None:
            return packet.payload
        return vp8.shifted(packet.payload, packet.descriptor, self.picture, self.base)


#: changes nothing
NO_SHIFT = Shift(0)


class Mark(NamedTuple):
    """What of one packet among others may differ between renderings of one shape, and where it stands."""

    position: int
    sequence: int
    timestamp: int
    #: a place of 0 means that there is none
    picture_place: int
    picture_bits: int
    picture: int
    base_place: int
    base: int


class Rendering(NamedTuple):
    """All that makes one viewer's plaintext differ from another's: equal renderings share prepared packets."""

    payload_type: int
    #: id of the video orientation extension; 0 strips it
    orientation_id: int
    #: subtracted from the sequence number: viewers that joined near the wrap start clear of it
    sequence_offset: int
    #: bytes that SRTP adds: 16 of AES-GCM, 10 of AES_CM_128_SHA1_80
    tag_bytes: int
    #: what else differs for a viewer that has changed layers; None for all others
    shift: Shift | None = None
    #: 0 for the stream's own; a pipe carries each layer by an SSRC of its own
    ssrc: int = 0

    def sequence(self, packet: Packet) -> int:
        """The 16-bit sequence number a viewer of this rendering sees."""
        return (packet.sequence - self.sequence_offset) & 0xFFFF

    def plaintext(self, packet: Packet, ssrc: int) -> bytes:
        """The packet's bytes before SRTP; the same ones each time it is sent."""
        if self.shift is None and packet.orientation is None:  # as most are: said in one breath
            second = self.payload_type | 0x80 if packet.marker else self.payload_type
            sequence = packet.sequence - self.sequence_offset & 0xFFFF
            if packet.padding:
                header = FIXED.pack(0xA0, second, sequence, packet.timestamp, self.ssrc or ssrc)
                return header + packet.payload + _tail(packet)
            return FIXED.pack(0x80, second, sequence, packet.timestamp, self.ssrc or ssrc) + packet.payload
        payload = packet.payload if self.shift is None else self.shift.payload(packet)
        header = self._header(packet, self.ssrc or ssrc, self.payload_type, self.sequence(packet))
        return header + payload + _tail(packet)

    @property
    def shape(self) -> Rendering:
        """Equal for renderings whose plaintexts differ in nothing but what :meth:`write` writes."""
        return self._replace(sequence_offset=0, shift=None)

    def mark(self, packet: Packet, position: int, *, counts: bool) -> Mark:
        """The mark of a packet whose plaintext stands at a position; ``counts``: with its VP8 counters."""
        told = packet.descriptor if counts else None
        start = position + 12 + (8 if packet.orientation is not None and self.orientation_id else 0)
        picture = base = 0
        if told is not None:
            picture = start + told.picture_place if told.picture_place else 0
            base = start + told.base_place if told.base_place else 0
            return Mark(
                position, packet.sequence, packet.timestamp, picture, told.picture_bits, told.picture, base, told.base
            )
        return Mark(position, packet.sequence, packet.timestamp, 0, 0, 0, 0, 0)

    def write(self, data: bytearray, marks: Sequence[Mark]) -> None:
        """Make this rendering's packets of those of another of the same shape. Hot path of viewers who are alone."""
        offset, (_, later, pictures, bases) = self.sequence_offset, self.shift or NO_SHIFT
        for position, sequence, timestamp, picture_place, bits, picture, base_place, base in marks:
            _NUMBERS.pack_into(data, position + 2, sequence - offset & 0xFFFF, timestamp + later & 0xFFFFFFFF)
            if bits == 15:
                _PICTURE.pack_into(data, picture_place, 0x8000 | (picture + pictures) % vp8.PICTURES)
            elif bits:
                data[picture_place] = (picture + pictures) % vp8.SHORT_PICTURES
            if base_place:
                data[base_place] = (base + bases) % vp8.BASE_PICTURES

    def retransmission(self, packet: Packet, ssrc: int, payload_type: int, sequence: int) -> bytes:
        """The packet wrapped for RTX (RFC 4588 §4): its own sequence space, the original number first."""
        header = self._header(packet, ssrc, payload_type, sequence, padded=False)
        payload = packet.payload if self.shift is None else self.shift.payload(packet)
        return header + pack("!H", self.sequence(packet)) + payload

    def _header(self, packet: Packet, ssrc: int, payload_type: int, sequence: int, *, padded: bool = True) -> bytes:
        first = 0x80 | (0x20 if padded and packet.padding else 0)
        extension = b""
        if packet.orientation is not None and self.orientation_id:
            first |= 0x10
            extension = pack("!HHBBH", 0xBEDE, 1, self.orientation_id << 4, packet.orientation, 0)
        second = payload_type | (0x80 if packet.marker else 0)
        timestamp = packet.timestamp if self.shift is None else packet.timestamp + self.shift.timestamp
        return FIXED.pack(first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + extension


def _tail(packet: Packet) -> bytes:
    return bytes(packet.padding - 1) + bytes((packet.padding,)) if packet.padding else b""
