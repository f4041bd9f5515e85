"""Sender reports: the host's clock on ours."""

from __future__ import annotations

from streams.rtcp import ntp_of
from streams.sync import HostClock


def test_sound_and_picture_stay_together_whatever_the_host_s_clock_says() -> None:
    clock = HostClock(("audio", "video"))
    clock.reported("audio", ntp_of(5000.0), 48_000, unix_s=100.0)  # the host is far off
    assert clock.timestamp("audio", 100.0, 48000) is None  # half an answer is none
    clock.reported("video", ntp_of(5000.5), 90_000, unix_s=100.6)  # came 100 ms late
    assert clock.timestamp("audio", 101.0, 48000) == 96_000
    assert clock.timestamp("video", 101.0, 90000) == 135_000


def test_two_layers_show_one_moment_by_one_timestamp() -> None:
    """Each layer's clock begins anywhere; their reports, made at other times, tell how far they are apart."""
    clock = HostClock(("audio", "video"))
    clock.reported("video", ntp_of(5000.0), 90_000, unix_s=100.0)
    assert clock.offset("video", "layer 1", 90000) is None
    clock.reported("layer 1", ntp_of(5000.5), 1_000_000, unix_s=100.5)
    assert clock.offset("video", "layer 1", 90000) == (135_000 - 1_000_000) & 0xFFFFFFFF
    clock.reported("layer 1", ntp_of(5001.5), 1_090_000, unix_s=101.5)
    assert clock.offset("video", "layer 1", 90000) == (135_000 - 1_000_000) & 0xFFFFFFFF
