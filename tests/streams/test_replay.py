"""Who joins gets the newest keyframe and what followed, in bursts, then what all get: nothing is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from streams.audience import REPLAY_BURST, REPLAY_PAUSE_S, Audience
from streams.codecs import VP8
from streams.fanout import FanOut, PreparedRun
from streams.keyframes import MAX_AGE_S
from streams.packet import Packet, Rendering
from streams.srtp import SendBuffer
from streams.track import Track
from streams.viewer import Viewer

CACHED = 2 * REPLAY_BURST + 10


class Watcher:
    def __init__(self) -> None:
        self.began: int | None = None
        #: (number of packets, whether it was sent to this viewer alone)
        self.had: list[tuple[int, bool]] = []

    def starts(self, track: Track, sequence: int) -> None:
        self.began = sequence

    def rendering(self, track: Track) -> Rendering:
        return Rendering(96, 0, 0, 16)


class FakeFanOut:
    def send(self, runs: Sequence[PreparedRun], viewers: Sequence[Any]) -> None:
        for viewer in viewers:
            viewer.had.append((sum(run.count for run in runs), False))

    def send_to(self, run: PreparedRun, viewers: Sequence[Any]) -> None:
        for viewer in viewers:
            viewer.had.append((run.count, True))


class Loop:
    def __init__(self) -> None:
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, ring: Callable[[], None]) -> Any:
        self.alarms.append((delay_s, ring))
        return asyncio.Handle(ring, (), cast("asyncio.AbstractEventLoop", self))

    def get_debug(self) -> bool:
        return False


@pytest.fixture
def stage() -> tuple[Audience, Loop]:
    track = Track("video", ssrc=1, rtx_ssrc=2, first_sequence=100, first_timestamp=0)
    track.codec = VP8
    loop = Loop()
    audience = Audience(
        track, cast("FanOut", FakeFanOut()), SendBuffer(), cast("asyncio.AbstractEventLoop", loop), ssrc=1
    )
    send(audience, 100, keyframe=True)
    for number in range(1, CACHED):
        send(audience, 100 + number)
    return audience, loop


def send(audience: Audience, number: int, *, keyframe: bool = False, now_s: float = 0.0) -> None:
    audience.send([Packet(number, number, True, b"picture", keyframe=keyframe)], now_s)


def join(audience: Audience, watcher: Watcher, now_s: float = 0.5) -> bool:
    return audience.join(cast("Viewer", watcher), now_s)


def test_the_keyframe_and_what_followed_come_in_bursts_and_then_what_all_get(stage: tuple[Audience, Loop]) -> None:
    audience, loop = stage
    early, late = Watcher(), Watcher()
    assert join(audience, early)
    assert late.had == []
    while loop.alarms:
        loop.alarms.pop(0)[1]()
    before = len(early.had)
    assert sum(count for count, _ in early.had) == CACHED
    assert join(audience, late)
    assert late.began == 100
    bursts = [sum(count for count, _ in late.had)]
    while loop.alarms:
        delay_s, ring = loop.alarms.pop(0)
        assert delay_s == REPLAY_PAUSE_S
        ring()
        bursts.append(sum(count for count, _ in late.had) - sum(bursts))
    assert bursts == [REPLAY_BURST, REPLAY_BURST, 10]
    assert all(alone for _, alone in late.had)
    assert len(early.had) == before, "nobody else has anything of it"
    send(audience, 100 + CACHED)
    assert late.had[-1] == early.had[-1] == (1, False)


def test_what_arrives_meanwhile_comes_after_the_replay_and_once(stage: tuple[Audience, Loop]) -> None:
    audience, loop = stage
    late = Watcher()
    join(audience, late)
    send(audience, 100 + CACHED)
    while loop.alarms:
        loop.alarms.pop(0)[1]()
    assert sum(count for count, _ in late.had) == CACHED + 1


def test_a_new_keyframe_ends_a_replay_with_all_that_was_before_it(stage: tuple[Audience, Loop]) -> None:
    audience, loop = stage
    late = Watcher()
    join(audience, late)
    send(audience, 100 + CACHED, keyframe=True, now_s=0.6)
    assert sum(count for count, _ in late.had) == CACHED + 1
    assert late.had[-1] == (1, False)
    for _, ring in loop.alarms:
        ring()
    assert sum(count for count, _ in late.had) == CACHED + 1


def test_an_old_keyframe_is_not_replayed(stage: tuple[Audience, Loop]) -> None:
    audience, _ = stage
    late = Watcher()
    assert not join(audience, late, MAX_AGE_S + 0.1)
    send(audience, 100 + CACHED, now_s=MAX_AGE_S + 0.1)
    assert late.had == []
    send(audience, 101 + CACHED, keyframe=True, now_s=MAX_AGE_S + 0.2)
    assert late.had == [(1, False)]
    assert late.began == 101 + CACHED
