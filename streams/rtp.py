"""RTP headers (RFC 3550 §5.1), header extensions (RFC 8285) and 16-bit sequence arithmetic. Pure."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

#: fixed part of an RTP header: flags, marker and payload type, sequence, timestamp, SSRC
FIXED = Struct("!BBHII")
FIXED_BYTES = 12
_WORD = Struct("!HH")
_ONE_BYTE_PROFILE = 0xBEDE
_NO_EXTENSION = (0, 0, 0)


class Header(NamedTuple):
    """One parsed RTP header; the payload is ``data[payload_start:payload_end]``, padding excluded."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    #: profile and bounds of the extension block; (0, 0, 0) without one
    extension: tuple[int, int, int]
    payload_start: int
    payload_end: int


def parse(data: bytes | memoryview) -> Header | None:
    """The header of one RTP packet, or None when it is not well-formed RTP version 2."""
    size = len(data)
    if size < FIXED_BYTES or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = FIXED.unpack_from(data)
    if first == 0x80:  # neither sources, nor extension, nor padding
        return Header(second > 0x7F, second & 0x7F, sequence, timestamp, ssrc, _NO_EXTENSION, FIXED_BYTES, size)
    start = FIXED_BYTES + 4 * (first & 0x0F)
    extension = _NO_EXTENSION
    if first & 0x10:
        if start + 4 > size:
            return None
        profile, words = _WORD.unpack_from(data, start)
        extension = (profile, start + 4, start + 4 + 4 * words)
        start = extension[2]
    end = size
    if first & 0x20:
        end -= data[size - 1]
        if data[size - 1] == 0:
            return None
    if start > end:
        return None
    return Header(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, extension, start, end)


def extension_values(data: bytes | memoryview, header: Header) -> dict[int, bytes]:
    """Header extension values by id, of the one-byte or two-byte form; damaged ones end the list."""
    profile, position, end = header.extension
    values: dict[int, bytes] = {}
    one_byte = profile == _ONE_BYTE_PROFILE
    if not one_byte and profile & 0xFFF0 != 0x1000:
        return values
    while position < end:
        if data[position] == 0:  # padding between elements
            position += 1
            continue
        if one_byte:
            key, length = data[position] >> 4, (data[position] & 0x0F) + 1
            position += 1
            if key == 15:  # reserved: stop (RFC 8285 §4.2)
                break
        else:
            if position + 2 > end:
                break
            key, length = data[position], data[position + 1]
            position += 2
        if position + length > end:
            break
        values[key] = bytes(data[position : position + length])
        position += length
    return values


def difference(newer: int, older: int) -> int:
    """Signed distance between two 16-bit sequence numbers: positive when ``newer`` is ahead."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def extend(sequence: int, reference: int) -> int:
    """The unbounded number nearest to ``reference`` whose low 16 bits are ``sequence``."""
    return reference + difference(sequence, reference & 0xFFFF)
