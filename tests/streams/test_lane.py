"""A frame is sent when it is whole, or what there is of it after 3 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from streams.audience import Audience
from streams.batch import MAX_SEGMENTS
from streams.lane import Lane
from streams.packet import Packet
from streams.track import Track


class Alarm:
    """A timer that rings when the test says so."""

    def __init__(self, delay_s: float, ring: Callable[[], None]) -> None:
        self.delay_s, self.ring = delay_s, ring
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def call_later(self, delay_s: float, ring: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(delay_s, ring))
        return self.alarms[-1]


class Sent:
    """Stands for the audience."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []

    def send(self, packets: list[Packet], now_s: float) -> None:
        self.parts.append([each.sequence for each in packets])


@pytest.fixture
def parts() -> tuple[Lane, Loop, list[list[int]]]:
    track = Track("video", ssrc=1, rtx_ssrc=2, first_sequence=0, first_timestamp=0)
    sent, loop = Sent(), Loop()
    return Lane(track, cast("Audience", sent), cast("asyncio.AbstractEventLoop", loop)), loop, sent.parts


def put(lane: Lane, number: int, *, marker: bool = False) -> None:
    lane.packet(Packet(number, 0, marker, b"x"), lambda *_: None)


def test_a_whole_frame_is_sent_at_once_and_together(parts: tuple[Lane, Loop, list[list[int]]]) -> None:
    lane, loop, sent = parts
    for number in range(3):
        put(lane, number)
    assert sent == []
    put(lane, 3, marker=True)
    assert sent == [[0, 1, 2, 3]]
    assert [alarm.cancelled for alarm in loop.alarms] == [True]


def test_a_part_of_a_frame_waits_for_three_milliseconds(parts: tuple[Lane, Loop, list[list[int]]]) -> None:
    lane, loop, sent = parts
    for number in range(2):
        put(lane, number)
    (alarm,) = loop.alarms
    assert alarm.delay_s <= 0.003
    alarm.ring()
    assert sent == [[0, 1]]
    put(lane, 2)
    put(lane, 3, marker=True)
    assert sent == [[0, 1], [2, 3]]
    assert len(loop.alarms) == 2


def test_what_fills_a_run_does_not_wait(parts: tuple[Lane, Loop, list[list[int]]]) -> None:
    lane, _, sent = parts
    for number in range(MAX_SEGMENTS):
        put(lane, number)
    assert [len(part) for part in sent] == [MAX_SEGMENTS]


def test_a_lane_that_is_closed_sends_nothing_more(parts: tuple[Lane, Loop, list[list[int]]]) -> None:
    lane, loop, sent = parts
    lane.audience.close = lambda: None  # type: ignore[method-assign]
    put(lane, 0)
    lane.close()
    lane.close()
    loop.alarms[0].ring()
    assert (sent, loop.alarms[0].cancelled) == ([], True)
