"""RTCP: what we build, aiortc reads; what we read, aiortc built; and any bytes at all."""

from __future__ import annotations

from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from streams import rtcp


def parsed(data: bytes) -> reference.RtcpPacket:
    (packet,) = reference.RtcpPacket.parse(data)
    return packet


def test_a_pli_is_read_by_aiortc() -> None:
    packet = parsed(rtcp.build_pli(1, 77))
    assert (packet.fmt, packet.ssrc, packet.media_ssrc) == (reference.RTCP_PSFB_PLI, 1, 77)
    assert rtcp.parse(rtcp.build_pli(1, 77)) == [rtcp.KeyframeRequest(77)]


@given(st.integers(0, 65535), st.sets(st.integers(0, 400), min_size=1, max_size=60))
def test_a_nack_names_exactly_the_missing_numbers_also_around_the_wrap(first: int, missing: set[int]) -> None:
    numbers = [(first + each) & 0xFFFF for each in sorted(missing)]
    data = rtcp.build_nack(1, 77, numbers)
    assert [each & 0xFFFF for each in parsed(data).lost] == numbers  # aiortc does not wrap them
    assert rtcp.parse(data) == [rtcp.Nack(77, tuple(numbers))]


def test_a_receiver_report_is_read_by_aiortc_and_by_us() -> None:
    block = rtcp.ReportBlock(5, 12, -3, 70000, 9, 123, 456)
    data = rtcp.build_receiver_report(1, [block])
    (report,) = parsed(data).reports
    assert (report.ssrc, report.fraction_lost, report.packets_lost, report.highest_sequence) == (5, 12, -3, 70000)
    assert rtcp.parse(data) == [block]


def test_a_sender_report_with_its_name_is_read_by_aiortc() -> None:
    data = rtcp.build_sender_report(5, rtcp.ntp_of(0.5), 1000, 7, 8) + rtcp.build_sdes(5, "name")
    report, names = reference.RtcpPacket.parse(data)
    assert (report.sender_info.ntp_timestamp >> 32, report.sender_info.rtp_timestamp) == (rtcp.NTP_EPOCH_S, 1000)
    assert report.sender_info.ntp_timestamp & 0xFFFFFFFF == 1 << 31
    assert names.chunks[0].items == [(1, b"name")]
    assert rtcp.parse(data) == [rtcp.SenderReport(5, rtcp.ntp_of(0.5), 1000)]


def test_every_length_of_a_name_is_padded_right() -> None:
    for length in range(9):
        assert parsed(rtcp.build_sdes(5, "n" * length)).chunks[0].items[0][1] == b"n" * length


def test_an_estimate_is_read_by_aiortc() -> None:
    packet = parsed(rtcp.build_remb(1, 3_000_000, [77]))
    bitrate, ssrcs = reference.unpack_remb_fci(packet.fci)
    assert ssrcs == [77]
    assert abs(bitrate - 3_000_000) < 64


def test_a_full_intra_request_asks_for_the_ssrc_in_its_body() -> None:
    data = rtcp.build_pli(1, 0)[:0] + bytes.fromhex("84ce000400000001000000000000004d01000000")
    assert rtcp.parse(data) == [rtcp.KeyframeRequest(0x4D)]


def test_goodbyes_are_read_and_what_is_cut_short_is_not() -> None:
    assert rtcp.parse(reference.RtcpByePacket([3, 4]).__bytes__()) == [rtcp.Bye((3, 4))]
    assert rtcp.parse(rtcp.build_pli(1, 77)[:-1]) == []


@given(st.binary(max_size=120), st.integers(200, 207), st.integers(0, 31))
def test_any_bytes_are_read_or_ignored(rest: bytes, kind: int, count: int) -> None:
    rtcp.parse(rest)
    rtcp.parse(bytes((0x80 | count, kind, 0, len(rest) // 4)) + rest)


@given(st.integers(0, 1 << 40))
def test_an_estimate_is_told_to_within_its_eighteen_bits(bits: int) -> None:
    (message,) = rtcp.parse(rtcp.build_remb(1, bits, [5, 6]))
    assert isinstance(message, rtcp.Estimate)
    assert 0 <= bits - message.bits_per_s <= bits >> 17


def test_the_round_trip_is_what_the_echo_does_not_account_for() -> None:
    sent = rtcp.ntp_of(1_000_000.0)
    block = rtcp.ReportBlock(5, 0, 0, 0, 0, sent >> 16 & 0xFFFFFFFF, 65536)  # held for a second
    assert rtcp.round_trip_s(block, rtcp.ntp_of(1_000_001.25)) == 0.25
    assert rtcp.round_trip_s(block, rtcp.ntp_of(1_000_000.5)) is None  # sooner than it can have been
    assert rtcp.round_trip_s(block._replace(last_sender_report=0), sent) is None
