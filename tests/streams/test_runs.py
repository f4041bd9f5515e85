"""Runs for segmented sends, and the bytes of a packet."""

from __future__ import annotations

from aiortc.rtp import RtpPacket, unwrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from streams.packet import Packet, Rendering
from streams.runs import MAX_PADDING, pad_to_runs, split_runs

RENDERING = Rendering(payload_type=96, orientation_id=0, sequence_offset=0, tag_bytes=16)


def packets(*sizes: int) -> list[Packet]:
    return [Packet(100 + i, 0, False, bytes((i + 1,)) * size) for i, size in enumerate(sizes)]


def runs(*sizes: int, **limits: int) -> list[list[int]]:
    options = {"tag_bytes": 16, "max_segments": 64, "max_bytes": 65000} | limits
    return [list(each) for each in split_runs(sizes, **options)]


def test_a_frame_of_nearly_equal_packets_becomes_one_run() -> None:
    frame = packets(1100, 1099, 1100, 1099, 300)
    pad_to_runs(frame, max_segments=64)
    assert [packet.padding for packet in frame] == [0, 1, 0, 1, 0]
    assert runs(*[packet.size for packet in frame]) == [[0, 1, 2, 3, 4]]


def test_padding_is_only_for_small_differences_and_never_for_what_was_sent() -> None:
    frame = packets(1100, 1099 - MAX_PADDING, 1099, 1100)
    frame[2].sent = True
    pad_to_runs(frame, max_segments=64)
    assert [packet.padding for packet in frame] == [0, 0, 0, 0]


def test_a_shorter_packet_ends_a_run_and_a_longer_one_begins_another() -> None:
    assert runs(10, 10, 5, 5, 7) == [[0, 1, 2], [3], [4]]


def test_runs_respect_the_kernel_s_limits() -> None:
    assert [len(each) for each in runs(*[100] * 130)] == [64, 64, 2]
    assert [len(each) for each in runs(*[1184] * 60)] == [54, 6]  # 54 × 1200 B


@given(st.lists(st.integers(13, 1300), min_size=1, max_size=150))
def test_every_packet_is_in_exactly_one_legal_run(sizes: list[int]) -> None:
    split = runs(*sizes)
    assert [index for each in split for index in each] == list(range(len(sizes)))
    for each in split:
        assert all(sizes[index] == sizes[each[0]] for index in each[:-1])
        assert sizes[each[-1]] <= sizes[each[0]]


def test_the_bytes_are_a_packet_with_padding_that_aiortc_reads() -> None:
    packet = Packet(0x1FFFF, 7, True, b"payload", orientation=3)
    packet.padding = 5
    parsed = RtpPacket.parse(RENDERING.plaintext(packet, 99))
    assert (parsed.sequence_number, parsed.timestamp, parsed.ssrc, parsed.marker) == (65535, 7, 99, 1)
    assert (parsed.payload, parsed.padding_size) == (b"payload", 5)
    turned = RENDERING._replace(orientation_id=13).plaintext(packet, 99)
    assert turned[12:20] == bytes.fromhex("bede0001 d0030000".replace(" ", ""))
    assert RtpPacket.parse(turned).payload == b"payload"


def test_an_offset_keeps_a_viewer_clear_of_the_wrap() -> None:
    packet = Packet(0x1FFFF, 7, True, b"payload")
    assert RENDERING._replace(sequence_offset=8192).sequence(packet) == 65535 - 8192


def test_a_retransmission_is_unwrapped_by_aiortc_to_what_was_sent() -> None:
    packet = Packet(0x10005, 7, True, b"payload")
    packet.padding = 5
    wrapped = RtpPacket.parse(RENDERING.retransmission(packet, 2, 97, 70000))
    assert (wrapped.sequence_number, wrapped.payload_type, wrapped.ssrc) == (70000 & 0xFFFF, 97, 2)
    original = unwrap_rtx(wrapped, payload_type=96, ssrc=1)
    assert (original.sequence_number, original.payload, original.marker) == (5, b"payload", 1)
