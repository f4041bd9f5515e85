"""Transport-wide feedback: what a decoder written from the draft reads is what arrived."""

from __future__ import annotations

from struct import unpack_from

from hypothesis import given
from hypothesis import strategies as st

from streams.twcc import MAX_PACKETS, TransportFeedback


def decoded(data: bytes) -> dict[int, int | None]:
    """Arrival in microseconds by 16-bit number; None for what did not come."""
    assert len(data) == 4 + 4 * (data[2] << 8 | data[3])
    assert (data[0] & 0x1F, data[1]) == (15, 205)
    first, count, reference = unpack_from("!HHI", data, 12)
    position, symbols = 20, []
    while len(symbols) < count:
        (chunk,) = unpack_from("!H", data, position)
        position += 2
        if chunk & 0x8000:
            assert chunk & 0x4000
            symbols += [chunk >> (12 - 2 * i) & 3 for i in range(7)]
        else:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
    clock = (reference >> 8) * 64_000
    found: dict[int, int | None] = {}
    for index, symbol in enumerate(symbols[:count]):
        number = (first + index) & 0xFFFF
        if symbol == 0:
            found[number] = None
            continue
        (delta,) = unpack_from("!B" if symbol == 1 else "!h", data, position)
        position += symbol
        clock += delta * 250
        found[number] = clock
    return found


def test_what_arrived_and_what_did_not_is_told_around_the_wrap() -> None:
    feedback = TransportFeedback()
    for number, at in ((65534, 1_000_000), (65535, 1_000_500), (1, 1_100_000)):
        feedback.arrived(number, at)
    found = decoded(feedback.take(1, 2) or b"")
    assert list(found) == [65534, 65535, 0, 1]
    assert found[0] is None
    assert (found[65535] or 0) - (found[65534] or 0) == 500
    assert (found[1] or 0) - (found[65535] or 0) == 99_500


def test_the_next_message_tells_the_gap_between_the_two() -> None:
    feedback = TransportFeedback()
    feedback.arrived(10, 64_000)
    feedback.take(1, 2)
    assert feedback.take(1, 2) is None
    feedback.arrived(13, 128_000)
    assert decoded(feedback.take(1, 2) or b"") == {11: None, 12: None, 13: 128_000}


def test_a_latecomer_is_told_after_all() -> None:
    feedback = TransportFeedback()
    for number in (10, 12):
        feedback.arrived(number, 64_000)
    feedback.take(1, 2)
    feedback.arrived(11, 128_000)
    assert decoded(feedback.take(1, 2) or b"") == {11: 128_000}


def test_a_jump_cannot_make_a_message_grow() -> None:
    feedback = TransportFeedback()
    feedback.arrived(0, 64_000)
    feedback.arrived(30_000, 65_000)
    assert len(decoded(feedback.take(1, 2) or b"")) == MAX_PACKETS


@given(st.integers(0, 65535), st.lists(st.tuples(st.integers(1, 12), st.integers(0, 90_000)), min_size=1, max_size=60))
def test_any_pattern_is_told_exactly(first: int, steps: list[tuple[int, int]]) -> None:
    feedback = TransportFeedback()
    number, at, arrived = first, 10_000_000, {}
    for ahead, later in steps:
        number, at = number + ahead, at + later
        if number - first >= MAX_PACKETS:
            break
        arrived[number & 0xFFFF] = at
        feedback.arrived(number & 0xFFFF, at)
    found = decoded(feedback.take(1, 2) or b"") if arrived else {}
    assert {key for key, value in found.items() if value is not None} == set(arrived)
    for key, at in arrived.items():
        assert abs((found[key] or 0) - at) <= 250
