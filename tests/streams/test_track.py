"""One outgoing space: continued across hosts, no hole, no number twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.codecs import OPUS, VP8, Codec
from streams.packet import Packet
from streams.ring import PacketRing
from streams.rtp import Header
from streams.track import Track


def track(kind: str = "video", first: int = 0x10000 + 65000) -> Track:
    return Track(kind, ssrc=1, rtx_ssrc=2, first_sequence=first, first_timestamp=1000)


def accept(
    to: Track, source: object, number: int, timestamp: int = 0, payload: bytes = b"x", **more: Any
) -> Packet | None:
    header = Header(False, 96, number & 0xFFFF, timestamp & 0xFFFFFFFF, 5, (0, 0, 0), 12, 13)
    codec = VP8 if to.kind == "video" else OPUS
    return to.accept(source, codec, header, number, payload, orientation=None, now_s=more.get("now_s", 0.0))


def test_the_first_packet_has_the_first_number_and_time() -> None:
    packet = accept(track(), "host", 500, 77)
    assert packet is not None
    assert (packet.sequence, packet.timestamp) == (0x10000 + 65000, 1000)


def test_another_host_continues_numbers_and_time() -> None:
    to = track()
    accept(to, "first", 500, 77, now_s=1.0)
    packet = accept(to, "second", 9000, 4_000_000_000, now_s=3.0)
    assert packet is not None
    assert (packet.sequence, packet.timestamp) == (0x10000 + 65001, 1000 + 2 * 90000)
    follower = accept(to, "second", 9001, 4_000_003_000, now_s=3.03)
    assert follower is not None
    assert (follower.sequence, follower.timestamp) == (packet.sequence + 1, packet.timestamp + 3000)


def test_another_host_at_once_is_still_a_frame_later() -> None:
    to = track("audio")
    accept(to, "first", 500, 77, now_s=1.0)
    packet = accept(to, "second", 9000, 0, now_s=1.0)
    assert packet is not None
    assert packet.timestamp == 1000 + 960


def test_a_latecomer_gets_its_own_place_once() -> None:
    to = track()
    first = accept(to, "host", 500)
    accept(to, "host", 502)
    late = accept(to, "host", 501)
    assert first is not None
    assert late is not None
    assert late.sequence == first.sequence + 1
    assert accept(to, "host", 501) is None
    assert accept(to, "host", 502) is None


def test_what_is_older_than_the_host_s_first_packet_or_the_ring_is_refused() -> None:
    """Those numbers may have been given to other packets: one index must never encrypt two plaintexts."""
    to = track()
    accept(to, "first", 500)
    accept(to, "second", 9000)
    assert accept(to, "second", 8999) is None
    for number in range(9001, 9001 + len(to.ring)):
        accept(to, "second", number)
    assert accept(to, "second", 9000) is None


def test_padding_alone_leaves_no_hole_and_latecomers_around_it_find_their_places() -> None:
    to = track()
    first = accept(to, "host", 10)
    assert first is not None
    base = first.sequence
    assert accept(to, "host", 12, payload=b"") is None  # 11 is late
    fourth = accept(to, "host", 13)
    late = accept(to, "host", 11)
    assert fourth is not None
    assert late is not None
    assert (late.sequence, fourth.sequence) == (base + 1, base + 2)
    assert accept(to, "host", 12, payload=b"") is None  # the padding again


def test_late_padding_fills_the_hole_it_left() -> None:
    to = track()
    first = accept(to, "host", 10)
    accept(to, "host", 12)
    late = accept(to, "host", 11, payload=b"")
    assert first is not None
    assert late is not None
    assert late.sequence == first.sequence + 1


@given(st.permutations(range(12)), st.sets(st.integers(1, 11), max_size=5))
def test_in_any_order_no_number_is_given_twice_and_none_is_left_out(order: list[int], padding: set[int]) -> None:
    to = track()
    packets = [accept(to, "host", 1000)]
    for index in order:
        payload = b"" if index in padding else bytes((index,))
        packets.append(accept(to, "host", 1001 + index, payload=payload))
    given_out = sorted(packet.sequence for packet in packets if packet is not None)
    assert given_out == list(range(given_out[0], given_out[0] + len(given_out)))
    by_number = {packet.sequence: packet.payload for packet in packets if packet is not None}
    media = [by_number[number][0] for number in sorted(by_number) if by_number[number] not in (b"", b"x")]
    assert media == sorted(media)


def test_a_latecomer_of_another_codec_is_refused_and_the_change_is_remembered() -> None:
    to = track()
    accept(to, "host", 500)
    accept(to, "host", 502)
    header = Header(False, 97, 501, 0, 5, (0, 0, 0), 12, 13)
    other = Codec("video", "VP9", 90000, "0")
    assert to.accept("host", other, header, 501, b"x", orientation=None, now_s=0.0) is None
    packet = to.accept("host", other, header, 503, b"x", orientation=None, now_s=0.0)
    assert packet is not None
    assert (to.codec, to.codec_since) == (other, packet.sequence)


KEY = b"\x10\x00"


def siblings(count: int) -> list[Track]:
    family: list[Track] = []
    for slot in range(count):
        family.append(
            Track("video", ssrc=1, rtx_ssrc=2, first_sequence=1000 * slot, first_timestamp=7, siblings=family)
        )
    return family


def test_a_layer_that_begins_or_returns_takes_the_time_of_those_that_go_on() -> None:
    one, other = siblings(2)
    accept(one, "host", 1, 100, now_s=1.0)
    packet = accept(other, "host", 1, 5_000_000, now_s=3.0)
    assert packet is not None
    assert packet.timestamp == 7 + 2 * 90_000
    accept(other, "host", 2, 5_180_900, now_s=5.0)  # its own clock is 10 ms ahead of ours by now
    packet = accept(one, "another host", 1, 77, now_s=9.0)
    assert packet is not None
    assert packet.timestamp == 7 + 8 * 90_000 + 900


def test_what_the_reports_tell_is_taken_with_a_keyframe_and_never_runs_backwards() -> None:
    layer = track()
    first = accept(layer, "host", 1, 0, KEY)
    assert first is not None
    layer.wanted_offset = first.timestamp + 500
    same = accept(layer, "host", 2, 3000)
    later = accept(layer, "host", 3, 6000, KEY)
    assert same is not None
    assert later is not None
    assert [same.timestamp - first.timestamp, later.timestamp - first.timestamp] == [3000, 6500]
    layer.wanted_offset = first.timestamp - 4000
    squeezed = [accept(layer, "host", 4 + n, 9000 + 3000 * n, KEY) for n in range(3)]
    times = [packet.timestamp - first.timestamp for packet in squeezed if packet is not None]
    assert times == [6501, 8000, 11_000]


def test_the_ring_forgets_what_it_overwrote() -> None:
    ring = PacketRing(4)
    for number in range(6):
        ring.add(Packet(number, 0, False, b""))
    assert [ring.get(number) is not None for number in range(7)] == [False, False, True, True, True, True, False]
