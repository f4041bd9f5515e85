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
