"""RTP headers, extensions and 16-bit arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams import rtp


def packet(*, flags: int = 0x80, second: int = 96, rest: bytes = b"payload") -> bytes:
    return rtp.FIXED.pack(flags, second, 65535, 7, 99) + rest


def test_a_plain_packet_is_read() -> None:
    header = rtp.parse(packet(second=0x80 | 96))
    assert header is not None
    assert (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc) == (
        True,
        96,
        65535,
        7,
        99,
    )
    assert (header.payload_start, header.payload_end) == (12, 19)


def test_padding_and_contributing_sources_are_no_payload() -> None:
    header = rtp.parse(packet(flags=0xA2, rest=b"12345678payload\0\0\x03"))
    assert header is not None
    assert (header.payload_start, header.payload_end) == (20, 27)


def test_extensions_of_both_forms_are_read() -> None:
    one = packet(flags=0x90, rest=b"\xbe\xde\0\x02\x12abc\x30z\0\0payload")
    header = rtp.parse(one)
    assert header is not None
    assert rtp.extension_values(one, header) == {1: b"abc", 3: b"z"}
    two = packet(flags=0x90, rest=b"\x10\0\0\x02\x01\x03abc\x10\x00\0payload")
    header = rtp.parse(two)
    assert header is not None
    assert rtp.extension_values(two, header) == {1: b"abc", 16: b""}


def test_damaged_packets_are_no_packets() -> None:
    for data in (
        b"",
        packet()[:11],
        packet(flags=0x40),
        packet(flags=0x8F),
        packet(flags=0x90, rest=b"\xbe\xde\xff\xff"),
    ):
        assert rtp.parse(data) is None
    assert rtp.parse(packet(flags=0xA0, rest=b"x\xff")) is None  # more padding than packet
    assert rtp.parse(packet(flags=0xA0, rest=b"x\0")) is None  # padding of no bytes


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    header = rtp.parse(b"\x90" + data)
    if header is not None:
        rtp.extension_values(b"\x90" + data, header)
        assert 12 <= header.payload_start <= header.payload_end <= len(data) + 1


def test_numbers_compare_around_the_wrap() -> None:
    assert rtp.difference(2, 65534) == 4
    assert rtp.difference(65534, 2) == -4


@given(st.integers(0, 1 << 40), st.integers(-32767, 32767))
def test_extending_finds_the_nearest_number(reference: int, step: int) -> None:
    assert rtp.extend((reference + step) & 0xFFFF, reference) == reference + step
