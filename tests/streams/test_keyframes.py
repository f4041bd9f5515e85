"""When the host is asked for keyframes, what is kept of them, and how they are recognised."""

from __future__ import annotations

import pytest

from streams.codecs import VP8, Codec, codec_of, starts_keyframe
from streams.keyframes import (
    MAX_AGE_DEAF_S,
    MAX_AGE_S,
    MAX_BYTES,
    REQUEST_INTERVAL_S,
    KeyframeCache,
    KeyframeRequests,
)
from streams.packet import Packet

H264 = Codec("video", "H264", 90000, "baseline/1")


def test_two_hundred_joins_within_ten_seconds_ask_the_host_once_a_second_at_most() -> None:
    requests = KeyframeRequests()
    for index in range(200):
        requests.ask(index * 0.05)
        requests.due(index * 0.05)
    assert requests.asked == 200
    assert requests.sent <= 10  # in ten seconds


def test_a_request_too_soon_follows_later_unless_a_keyframe_came() -> None:
    requests = KeyframeRequests()
    assert requests.ask(0.0)
    assert not requests.ask(0.1)
    assert not requests.due(0.9)
    assert requests.due(1.0)
    assert not requests.due(2.1)
    assert requests.ask(2.2)
    assert not requests.ask(2.3)
    requests.arrived(2.4)
    assert not requests.due(3.5)
    assert requests.due(3.5, wanted=True)
    assert not requests.due(3.6, wanted=True)


def test_nobody_who_joins_waits_for_the_next_request() -> None:
    """Whenever the kept keyframe has become too old, the host may be asked at once."""
    assert REQUEST_INTERVAL_S <= MAX_AGE_S


def test_a_host_that_lets_requests_pass_is_deaf_until_it_answers_one() -> None:
    requests = KeyframeRequests()
    requests.ask(0.0)
    requests.ask(1.5)
    requests.arrived(3.0)
    assert requests.deaf
    requests.arrived(5.0)
    assert requests.deaf
    requests.ask(6.0)
    requests.arrived(6.2)
    assert not requests.deaf


def test_joiners_of_a_deaf_host_may_start_from_an_older_keyframe() -> None:
    cache = KeyframeCache()
    cache.deaf = True
    cache.add(packet(1, 10, key=True), 0.0)
    cache.add(packet(2, 20), MAX_AGE_S + 1)
    assert cache.fresh(MAX_AGE_DEAF_S)
    assert not cache.fresh(MAX_AGE_DEAF_S + 0.01)


def packet(sequence: int, timestamp: int, *, key: bool = False, size: int = 100) -> Packet:
    return Packet(sequence, timestamp, False, bytes(size), keyframe=key)


def test_the_cache_holds_the_newest_keyframe_and_what_followed() -> None:
    cache = KeyframeCache()
    cache.add(packet(1, 10), 0.0)
    assert not cache.fresh(0.0)
    for number, timestamp, key in ((2, 20, True), (3, 20, True), (4, 30, False)):
        cache.add(packet(number, timestamp, key=key), 0.1)
    assert [each.sequence for each in cache.packets] == [2, 3, 4]
    cache.add(packet(5, 40, key=True), 0.2)
    assert [each.sequence for each in cache.packets] == [5]


def test_the_cache_is_dropped_when_it_is_old_or_large_but_not_while_it_is_replayed() -> None:
    cache = KeyframeCache()
    cache.add(packet(1, 10, key=True), 0.0)
    assert cache.fresh(MAX_AGE_S)
    assert not cache.fresh(MAX_AGE_S + 0.01)
    cache.add(packet(2, 20), MAX_AGE_S + 0.1, keep=True)
    assert len(cache.packets) == 2
    cache.add(packet(3, 30), MAX_AGE_S + 0.2)
    assert cache.packets == []
    for number in range(MAX_BYTES // 1100 + 3):
        cache.add(packet(number, 10, key=not number, size=1100), 0.0)
    assert not cache.fresh(0.0)


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        (VP8, "10 00", True),
        (VP8, "10 01", False),  # P: predicted
        (VP8, "00 00", False),  # not the start of a partition
        (VP8, "11 00", False),  # another partition
        (VP8, "90 80 05 00", True),  # 7-bit picture id
        (VP8, "90 80 85 55 00", True),  # 15-bit picture id
        (VP8, "90 e0 85 55 07 21 00", True),  # picture id, TL0 index, layer
        (VP8, "90 e0 85 55 07 21 01", False),
        (VP8, "90 80 85", False),  # cut short
        (VP8, "", False),
        (H264, "67 42", True),  # parameter set
        (H264, "65 88", True),  # IDR
        (H264, "61 88", False),
        (H264, "7c 85 88", True),  # first fragment of an IDR
        (H264, "7c 05 88", False),  # a later one
        (H264, "78 00 02 67 42 00 02 68 ce", True),  # aggregate that begins with a parameter set
        (H264, "78 00 02 61 42", False),
        (Codec("video", "VP9", 90000, "0"), "08 00", True),
        (Codec("video", "VP9", 90000, "0"), "48 00", False),
        (Codec("video", "AV1", 90000, "0"), "18 00", True),
        (Codec("video", "AV1", 90000, "0"), "10 00", False),
    ],
)
def test_keyframes_are_recognised(codec: Codec, payload: str, expected: bool) -> None:
    assert starts_keyframe(codec, bytes.fromhex(payload)) is expected


def test_h264_of_one_family_is_one_codec_whatever_its_constraints_and_level() -> None:
    def h264(profile: str, mode: str = "1") -> Codec | None:
        return codec_of("video", "h264", 90000, {"profile-level-id": profile, "packetization-mode": mode})

    assert h264("42e01f") == h264("42001f") == h264("42001E") == H264
    assert h264("42e01f") != h264("42e01f", "0")
    assert h264("42e01f") != h264("64001f")
    assert codec_of("audio", "OPUS", 48000, {}) == codec_of("audio", "opus", 48000, {})
    assert codec_of("audio", "PCMU", 8000, {}) is None
