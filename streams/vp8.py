"""The VP8 payload descriptor (RFC 7741 §4.2): read it, and shift the numbers that a change of layer would break. Pure.

Every layer of a host counts its pictures for itself; a viewer that changes layers must see one count that goes on.
"""

from __future__ import annotations

from typing import NamedTuple

#: what the counters are taken modulo
PICTURES = 1 << 15
SHORT_PICTURES = 1 << 7
BASE_PICTURES = 1 << 8


class Descriptor(NamedTuple):
    """Where the counters of one packet stand; a place of 0 means that the packet has none."""

    #: the packet is the first of its frame
    begins: bool
    #: bytes of the descriptor
    size: int
    picture_place: int
    #: 7 or 15
    picture_bits: int
    picture: int
    base_place: int
    #: TL0PICIDX: counts the pictures of the lowest temporal layer
    base: int


def parse(payload: bytes) -> Descriptor | None:
    """The descriptor of a packet, or None when it is cut short."""
    try:
        first = payload[0]
        begins = first & 0x17 == 0x10  # S set, partition 0
        if not first & 0x80:
            return Descriptor(begins, 1, 0, 0, 0, 0, 0)
        flags, position = payload[1], 2
        picture_place = bits = picture = base_place = base = 0
        if flags & 0x80:
            picture_place = position
            picture, bits = payload[position] & 0x7F, 7
            if payload[position] & 0x80:
                picture, bits = picture << 8 | payload[position + 1], 15
            position += 2 if bits == 15 else 1
        if flags & 0x40:
            base_place, base = position, payload[position]
            position += 1
        position += bool(flags & 0x30)
    except IndexError:
        return None
    if position > len(payload):
        return None
    return Descriptor(begins, position, picture_place, bits, picture, base_place, base)


def shifted(payload: bytes, descriptor: Descriptor, picture: int, base: int) -> bytes:
    """The payload with so much added to its picture id and TL0PICIDX; widths and sizes stay as they are."""
    data = bytearray(payload)
    if descriptor.picture_place:
        place, value = descriptor.picture_place, descriptor.picture + picture
        if descriptor.picture_bits == 15:
            value %= PICTURES
            data[place], data[place + 1] = 0x80 | value >> 8, value & 0xFF
        else:
            data[place] = value % SHORT_PICTURES
    if descriptor.base_place:
        data[descriptor.base_place] = (descriptor.base + base) % BASE_PICTURES
    return bytes(data)


def starts_keyframe(payload: bytes) -> bool:
    """Whether this packet is the first of a keyframe. Asked of every packet: most end at the first look."""
    if not payload or payload[0] & 0x17 != 0x10:
        return False
    descriptor = parse(payload)
    return descriptor is not None and len(payload) > descriptor.size and not payload[descriptor.size] & 0x01


def keyframe_size(payload: bytes) -> tuple[int, int] | None:
    """Width and height told by the first packet of a keyframe (RFC 6386 §9.1), else None."""
    descriptor = parse(payload)
    if descriptor is None or not descriptor.begins:
        return None
    at = descriptor.size
    if len(payload) < at + 10 or payload[at] & 0x01 or payload[at + 3 : at + 6] != b"\x9d\x01\x2a":
        return None
    width = (payload[at + 6] | payload[at + 7] << 8) & 0x3FFF
    height = (payload[at + 8] | payload[at + 9] << 8) & 0x3FFF
    return (width, height) if width and height else None
