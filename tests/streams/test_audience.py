"""Groups of viewers that share prepared packets: a join or a leave concerns its own group, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from streams.audience import Audience
from streams.codecs import Codec
from streams.fanout import FanOut, PreparedRun
from streams.packet import Packet, Rendering
from streams.srtp import SendBuffer
from streams.track import Track
from streams.viewer import Viewer

OPUS = Codec("audio", "OPUS", 48000, "")


class Watcher:
    """A viewer that counts how often it is asked for its rendering."""

    def __init__(self, payload_type: int) -> None:
        self.look = Rendering(payload_type, 0, 0, 16)
        self.asked = 0

    def starts(self, track: Track, sequence: int) -> None:
        pass

    def rendering(self, track: Track) -> Rendering | None:
        self.asked += 1
        return self.look if track.codec is not None else None


class Sent:
    """Remembers who was sent what."""

    def __init__(self) -> None:
        self.to: list[Sequence[Any]] = []

    def send(self, runs: Sequence[PreparedRun], viewers: Sequence[Any]) -> None:
        self.to.append(viewers)


@pytest.fixture
async def audience() -> Audience:
    track = Track("audio", ssrc=1, rtx_ssrc=2, first_sequence=100, first_timestamp=0)
    track.codec = OPUS
    return Audience(track, cast("FanOut", Sent()), SendBuffer(), asyncio.get_running_loop(), ssrc=1)


def join(audience: Audience, *watchers: Watcher) -> None:
    for watcher in watchers:
        audience.join(cast("Viewer", watcher), 0.0)


def sent_to(audience: Audience) -> list[set[Any]]:
    """Who gets a packet now, by groups."""
    sent = cast("Sent", audience._fan_out)
    sent.to.clear()
    audience.send([Packet(100, 0, True, b"sound")], 0.0)
    return [set(each) for each in sent.to]


async def test_a_join_or_a_leave_looks_at_no_other_viewer(audience: Audience) -> None:
    watchers = [Watcher(96 + index % 2) for index in range(100)]
    join(audience, *watchers)
    audience.leave(cast("Viewer", watchers[0]))
    assert {watcher.asked for watcher in watchers} == {1}
    groups = sent_to(audience)
    assert len(groups) == 2
    assert set(watchers[1::2]) in groups
    assert set(watchers[2::2]) in groups


async def test_the_last_of_a_group_takes_it_along_and_leaving_twice_is_safe(audience: Audience) -> None:
    one, other = Watcher(96), Watcher(97)
    join(audience, one, other)
    for _ in range(2):
        audience.leave(cast("Viewer", one))
    assert sent_to(audience) == [{other}]
    assert audience.size == 1


async def test_what_is_being_sent_goes_on_to_those_it_was_begun_for(audience: Audience) -> None:
    watchers = [Watcher(96) for _ in range(3)]
    join(audience, *watchers[:2])
    sent_to(audience)
    begun = cast("Sent", audience._fan_out).to[0]
    join(audience, watchers[2])
    audience.leave(cast("Viewer", watchers[0]))
    assert list(begun) == watchers[:2]


async def test_viewers_without_a_codec_are_grouped_when_there_is_one(audience: Audience) -> None:
    audience.track.codec = None
    watcher = Watcher(96)
    join(audience, watcher)
    assert sent_to(audience) == []
    audience.track.codec = OPUS
    audience.regroup()
    assert sent_to(audience) == [{watcher}]
