"""A viewer's own space over changes of layers: continuous, found again, and no index twice."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streams import rtp, vp8
from streams.codecs import VP8, Codec
from streams.flow import MAX_SEGMENTS, Flow
from streams.packet import Packet, Rendering
from streams.rtp import FIXED
from streams.track import Track
from tests.streams.test_vp8 import descriptor


class Source:
    """One layer: consecutive frames of one packet, a keyframe where asked."""

    def __init__(self, sequence: int, timestamp: int, picture: int, base: int, slot: int = 0) -> None:
        self.track = Track("video", ssrc=4, rtx_ssrc=7, first_sequence=sequence, first_timestamp=timestamp, slot=slot)
        self.track.codec = VP8
        self.picture, self.base = picture, base
        self.newest: Packet | None = None

    def frame(self, timestamp: int) -> Packet:
        self.track.sequence += 1
        self.picture, self.base = (self.picture + 1) & 0x7FFF, (self.base + 1) & 0xFF
        payload = descriptor(self.picture, self.base) + bytes((self.track.slot,))
        self.newest = Packet(self.track.sequence, timestamp & 0xFFFFFFFF, True, payload)
        self.newest.sent = True
        self.track.ring.add(self.newest)
        return self.newest


def rendering(flow: Flow) -> Rendering:
    return Rendering(96, 0, flow.now.offset, 16, flow.now.shift)


def seen(flow: Flow, packet: Packet) -> tuple[int, int, int, int]:
    """Number, timestamp, picture id and TL0PICIDX as the viewer gets them."""
    data = rendering(flow).plaintext(packet, 4)
    _, _, sequence, timestamp, _ = FIXED.unpack_from(data)
    found = vp8.parse(data[12:])
    assert found is not None
    return sequence, timestamp, found.picture, found.base


def test_what_a_pause_left_out_is_nobody_s_and_the_next_layer_follows_on() -> None:
    """A number that was never sent is not resent: the next layer's keyframe gets it, and an index is one text."""
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    flow = Flow(low.track, 70_000)
    last = low.frame(9_000)
    number, _, picture, base = seen(flow, last)
    flow.pause(last)
    later = low.frame(12_000)
    flow.pause(later)
    assert flow.paused
    assert flow.newest & 0xFFFF == number
    assert flow.find(number) is not None
    assert flow.find(number + 1) is None
    key = high.frame(15_000)
    flow.switch(high.track, key, later)
    assert not flow.paused
    assert seen(flow, key) == (number + 1, 15_000, picture + 1, base + 1)
    found = flow.find(number + 1)
    assert found is not None
    assert found[0].track is high.track


def test_a_change_of_layer_follows_on_in_number_time_and_pictures() -> None:
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    flow = Flow(low.track, 70_000)
    before = seen(flow, low.frame(9_000))
    key = high.frame(12_000)
    flow.switch(high.track, key, low.newest)
    after = seen(flow, key)
    assert after == (before[0] + 1, 12_000, before[2] + 1, before[3] + 1)
    assert seen(flow, high.frame(15_000)) == (before[0] + 2, 15_000, before[2] + 2, before[3] + 2)


def test_a_layer_that_shows_the_same_moment_comes_a_tick_later_and_the_next_change_is_on_time_again() -> None:
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    flow = Flow(low.track, 70_000)
    seen(flow, low.frame(9_000))
    key = high.frame(9_000)
    flow.switch(high.track, key, low.newest)
    assert seen(flow, key)[1] == 9_001
    back = low.frame(12_000)
    flow.switch(low.track, back, high.newest)
    assert seen(flow, back)[1] == 12_000


def test_everything_goes_on_around_all_wraps_at_once() -> None:
    low = Source(0x10000 + 0xFFF0, 0, 0x7FFD, 253)
    high = Source(0x20000 + 0xFFFD, 0, 0x7FFE, 254, slot=1)
    flow = Flow(low.track, low.track.sequence - 9_000)  # joined long ago: it starts where it likes
    timestamp = 0xFFFFFFFF - 8_000
    rows, source = [], low
    for number in range(40):
        timestamp += 3_000
        frames = {each: each.frame(timestamp) for each in (low, high)}
        if number % 7 == 6:
            other = high if source is low else low
            last = source.track.ring.get(source.track.sequence - 1)
            flow.switch(other.track, frames[other], last)
            source = other
        rows.append(seen(flow, frames[source]))
    for before, after in itertools.pairwise(rows):
        assert (after[0] - before[0]) & 0xFFFF == 1
        assert (after[1] - before[1]) & 0xFFFFFFFF == 3_000
        assert (after[2] - before[2]) & 0x7FFF == 1
        assert (after[3] - before[3]) & 0xFF == 1


def test_pictures_of_another_codec_are_left_alone() -> None:
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    high.track.codec = Codec("video", "H264", 90000, "baseline/1")
    flow = Flow(low.track, 70_000)
    low.frame(9_000)
    key = high.frame(12_000)
    flow.switch(high.track, key, low.newest)
    assert rendering(flow).plaintext(key, 4)[12:] == key.payload


def test_latecomers_of_the_new_layer_from_before_the_change_are_not_this_viewer_s() -> None:
    """Their numbers in its space were another packet's: the same index would encrypt two plaintexts."""
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    flow = Flow(low.track, 70_000)
    low.frame(9_000)
    late, key = high.frame(11_000), high.frame(12_000)
    flow.switch(high.track, key, low.newest)
    shift = rendering(flow).shift
    assert shift is not None
    assert list(shift.mine([late, key])) == [key]


def test_what_was_never_this_viewer_s_is_not_found() -> None:
    low = Source(70_000, 0, 500, 10)
    low.frame(9_000)
    flow = Flow(low.track, 70_000)
    assert flow.find(69_999 & 0xFFFF) is None
    found = flow.find(70_000 & 0xFFFF)
    assert found is not None
    assert found[1] == 70_000


def test_only_so_many_parts_are_remembered() -> None:
    low, high = Source(70_000, 0, 500, 10), Source(90_000, 0, 20_000, 200, slot=1)
    flow = Flow(low.track, 70_000)
    first = seen(flow, low.frame(0))[0]
    source = low
    for number in range(1, 3 * MAX_SEGMENTS):
        other = high if source is low else low
        last = source.newest
        flow.switch(other.track, other.frame(3_000 * number), last)
        source = other
    assert len(flow.segments) == MAX_SEGMENTS
    assert flow.find(first) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["frame", "switch", "lose"])), max_size=120))
def test_whatever_happens_no_index_gets_two_plaintexts_and_every_resend_is_what_was_sent(
    steps: list[tuple[int, str]],
) -> None:
    layers = [Source(0x10000 + 65_500 + 40 * n, 1000 * n, 900 * n, 50 * n, slot=n) for n in range(3)]
    flow = Flow(layers[0].track, layers[0].track.sequence + 1 - 9_000)
    under: dict[int, bytes] = {}
    now, timestamp = layers[0], 0
    now.frame(timestamp)
    for index, what in steps:
        timestamp += 3_000
        wanted = layers[index]
        if what == "switch" and wanted is not now:
            last = now.newest
            packet = wanted.frame(timestamp)
            flow.switch(wanted.track, packet, last)
            now = wanted
        else:
            packet = wanted.frame(timestamp)
        if wanted is now and what != "lose":
            data = rendering(flow).plaintext(packet, 4)
            number = rtp.extend(FIXED.unpack_from(data)[2], max(under, default=packet.sequence - flow.now.offset))
            assert number not in under
            under[number] = data
    for number, data in under.items():
        found = flow.find(number & 0xFFFF)
        if found is None:
            continue  # of a part long forgotten
        segment, sequence = found
        packet_again = segment.track.ring.get(sequence)
        assert packet_again is not None
        assert Rendering(96, 0, segment.offset, 16, segment.shift).plaintext(packet_again, 4) == data
