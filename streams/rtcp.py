"""RTCP: parse what peers say, build what they must hear (RFC 3550 §6, RFC 4585, REMB). Pure.

Payload types: 200 SR, 201 RR, 202 SDES, 203 BYE, 204 APP, 205 transport feedback (1 NACK, 15 TWCC), 206 payload
feedback (1 PLI, 4 FIR, 15 REMB).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, pack
from typing import NamedTuple

SENDER_REPORT, RECEIVER_REPORT, SDES, BYE, APPLICATION, TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = range(200, 207)

#: seconds between the NTP epoch (1900) and Unix's (1970)
NTP_EPOCH_S = 2_208_988_800

_HEADER = Struct("!BBH")
_SENDER = Struct("!IIIIII")
_BLOCK = Struct("!IIIIII")
_PAIR = Struct("!II")
_NACK = Struct("!HH")


class SenderReport(NamedTuple):
    """The sender's word for which wall-clock moment a timestamp is."""

    ssrc: int
    #: 32.32 fixed point since 1900
    ntp: int
    timestamp: int


class ReportBlock(NamedTuple):
    """What a receiver saw of one SSRC."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sender_report: int
    delay: int


class Nack(NamedTuple):
    """Sequence numbers a receiver misses."""

    media_ssrc: int
    sequences: tuple[int, ...]


class KeyframeRequest(NamedTuple):
    """A PLI, or a FIR (which names its SSRC in the body)."""

    media_ssrc: int


class Bye(NamedTuple):
    """The sources that leave."""

    ssrcs: tuple[int, ...]


class Application(NamedTuple):
    """An APP packet."""

    name: bytes
    data: bytes


class Estimate(NamedTuple):
    """REMB: the bits a second that a receiver believes its path carries."""

    bits_per_s: int


Message = Application | Estimate | SenderReport | ReportBlock | Nack | KeyframeRequest | Bye


def is_rtcp(second_byte: int) -> bool:
    """Whether a datagram's second byte says RTCP rather than RTP (RFC 5761 §4)."""
    return 192 <= second_byte <= 223


def parse(data: bytes | memoryview) -> list[Message]:
    """All messages of a compound packet that the relay cares about; a damaged rest is ignored."""
    messages: list[Message] = []
    position = 0
    while position + 8 <= len(data):
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            break
        if kind == RECEIVER_REPORT:
            _parse_blocks(messages, data, position + 8, end, first & 0x1F)
        else:
            _parse_one(messages, data, position, end, first & 0x1F, kind)
        position = end
    return messages


def _parse_one(
    messages: list[Message], data: bytes | memoryview, position: int, end: int, count: int, kind: int
) -> None:
    size = end - position
    if kind == SENDER_REPORT and size >= 28:
        ssrc, high, low, timestamp, _, _ = _SENDER.unpack_from(data, position + 4)
        messages.append(SenderReport(ssrc, high << 32 | low, timestamp))
        _parse_blocks(messages, data, position + 28, end, count)
    elif kind == TRANSPORT_FEEDBACK and count == 1 and size >= 16:
        _, media = _PAIR.unpack_from(data, position + 4)
        messages.append(Nack(media, _nacked(data, position + 12, end)))
    elif kind == PAYLOAD_FEEDBACK and count == 1 and size >= 12:
        messages.append(KeyframeRequest(_PAIR.unpack_from(data, position + 4)[1]))
    elif kind == PAYLOAD_FEEDBACK and count == 4 and size >= 20:
        messages.append(KeyframeRequest(_PAIR.unpack_from(data, position + 12)[0]))
    elif (
        kind == PAYLOAD_FEEDBACK
        and count == 15
        and size >= 20
        and bytes(data[position + 12 : position + 16]) == b"REMB"
    ):
        scale = int.from_bytes(data[position + 17 : position + 20], "big")
        messages.append(Estimate((scale & 0x3FFFF) << (scale >> 18)))
    elif kind == APPLICATION and size >= 12:
        messages.append(Application(bytes(data[position + 8 : position + 12]), bytes(data[position + 12 : end])))
    elif kind == BYE and size >= 4 + 4 * count:
        messages.append(Bye(tuple(_PAIR.unpack_from(data, position + 4 * i)[1] for i in range(count))))


def _parse_blocks(messages: list[Message], data: bytes | memoryview, position: int, end: int, count: int) -> None:
    for _ in range(count):
        if position + 24 > end:
            return
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(data, position)
        lost = loss & 0xFFFFFF
        if lost >= 0x800000:  # a signed 24-bit number: duplicates make it negative
            lost -= 0x1000000
        messages.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, delay))
        position += 24


def _nacked(data: bytes | memoryview, position: int, end: int) -> tuple[int, ...]:
    sequences: list[int] = []
    while position + 4 <= end:
        first, bits = _NACK.unpack_from(data, position)
        sequences.append(first)
        sequences.extend((first + 1 + i) & 0xFFFF for i in range(16) if bits >> i & 1)
        position += 4
    return tuple(sequences)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def build_pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    """Ask for a keyframe."""
    return _packet(PAYLOAD_FEEDBACK, 1, _PAIR.pack(sender_ssrc, media_ssrc))


def build_nack(sender_ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """Ask for lost packets: each entry is one number and a bit mask of the 16 after it."""
    body = _PAIR.pack(sender_ssrc, media_ssrc)
    first, bits = -1, 0
    for sequence in sequences:
        ahead = (sequence - first - 1) & 0xFFFF
        if first >= 0 and ahead < 16:
            bits |= 1 << ahead
            continue
        if first >= 0:
            body += _NACK.pack(first, bits)
        first, bits = sequence & 0xFFFF, 0
    if first >= 0:
        body += _NACK.pack(first, bits)
    return _packet(TRANSPORT_FEEDBACK, 1, body)


def build_receiver_report(sender_ssrc: int, blocks: Sequence[ReportBlock]) -> bytes:
    """A receiver report of up to 31 blocks."""
    body = pack("!I", sender_ssrc)
    for block in blocks:
        loss = block.fraction_lost << 24 | (max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF)
        body += _BLOCK.pack(
            block.ssrc, loss, block.highest & 0xFFFFFFFF, block.jitter, block.last_sender_report, block.delay
        )
    return _packet(RECEIVER_REPORT, len(blocks), body)


def build_sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> bytes:
    """A sender report without blocks: what makes a receiver keep sound and picture together."""
    wrapped = (packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _packet(SENDER_REPORT, 0, _SENDER.pack(ssrc, ntp >> 32, ntp & 0xFFFFFFFF, timestamp & 0xFFFFFFFF, *wrapped))


def build_sdes(ssrc: int, cname: str) -> bytes:
    """The canonical name: the same one for sound and picture says they belong together."""
    name = cname.encode()[:255]
    chunk = pack("!IBB", ssrc, 1, len(name)) + name
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))  # at least one zero ends the chunk


def build_bye(ssrc: int) -> bytes:
    """Goodbye."""
    return _packet(BYE, 1, pack("!I", ssrc))


def build_application(ssrc: int, name: bytes, data: bytes) -> bytes:
    """An APP packet; name of 4 bytes, data of whole words."""
    return _packet(APPLICATION, 0, pack("!I", ssrc) + name + data)


def build_remb(sender_ssrc: int, bits_per_second: int, ssrcs: Sequence[int]) -> bytes:
    """Receiver estimated maximum bitrate: the fallback where transport-wide feedback was not offered."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    mantissa = bits_per_second >> exponent
    body = _PAIR.pack(sender_ssrc, 0) + b"REMB"
    body += pack("!BBH", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    body += b"".join(pack("!I", ssrc) for ssrc in ssrcs)
    return _packet(PAYLOAD_FEEDBACK, 15, body)


def round_trip_s(block: ReportBlock, ntp_now: int) -> float | None:
    """Seconds to the reporter and back, by the report of ours that it echoes (RFC 3550 §6.4.1)."""
    if not block.last_sender_report:
        return None
    trip = ((ntp_now >> 16) - block.last_sender_report - block.delay) & 0xFFFFFFFF
    return trip / 65536 if trip < 60 << 16 else None


def ntp_of(unix_s: float) -> int:
    """Unix seconds as a 32.32 NTP time."""
    return int((unix_s + NTP_EPOCH_S) * (1 << 32))
