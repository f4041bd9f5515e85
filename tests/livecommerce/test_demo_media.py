"""The demo's picture and tone: they move, fit their formats, and keep time."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import aioice.ice
import av
import pytest
from aiortc.mediastreams import MediaStreamError

from livecommerce.demo.ice import gather_loopback_too
from livecommerce.demo.picture import HEIGHT, RATE, WIDTH, ShowPicture
from livecommerce.demo.programme import ITEMS
from livecommerce.demo.tracks import (
    AUDIO_CLOCK,
    LATE_S,
    NOTE_S,
    PACKET_SAMPLES,
    TUNE,
    PictureTrack,
    ToneTrack,
    opus_tune,
)
from livecommerce.jpeg import jpeg_size
from livecommerce.posters import is_poster


def pixels(frame: av.VideoFrame) -> bytes:
    return bytes(memoryview(frame.planes[0]))


def luma(frame: av.VideoFrame, x: int, y: int, width: int, height: int) -> bytes:
    """The luma of a rectangle."""
    plane, stride = pixels(frame), frame.planes[0].line_size
    return b"".join(plane[row * stride + x : row * stride + x + width] for row in range(y, y + height))


def test_the_picture_moves_and_counts() -> None:
    picture = ShowPicture("mug")
    first = picture.frame("12:00:00")
    second = picture.frame("12:00:00")
    assert (first.width, first.height, first.format.name) == (WIDTH, HEIGHT, "yuv420p")
    assert pixels(first) != pixels(second)
    assert (first.pts, second.pts, second.time_base) == (0, 1, Fraction(1, RATE))


def test_the_poster_is_what_was_drawn_last_and_fits() -> None:
    picture = ShowPicture("mug")
    assert picture.poster() is None
    for _ in range(30):
        picture.frame("12:00:00")
    poster = picture.poster()
    assert poster is not None
    assert is_poster(poster)
    assert jpeg_size(poster) == (WIDTH, HEIGHT)
    assert len(poster) > 8_000


def test_the_clock_shows_the_time_it_is_given() -> None:
    def clock(text: str) -> bytes:
        return luma(ShowPicture("mug").frame(text), 68, 112, 224, 52)

    assert clock("12:34:56") == clock("12:34:56")
    assert clock("12:34:56") != clock("12:34:57")
    # only the last glyph differs
    last = luma(ShowPicture("mug").frame("12:34:56"), 68, 112, 196, 52)
    assert last == luma(ShowPicture("mug").frame("12:34:57"), 68, 112, 196, 52)


def test_colours_stay_within_the_limited_range_of_video() -> None:
    """A full-range picture would lose its dark and light tones in every player."""
    tones = luma(ShowPicture("lamp").frame("00:00:00"), 0, 0, WIDTH, HEIGHT)
    assert min(tones) >= 16
    assert max(tones) <= 235
    assert max(tones) > 200


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_every_product_has_its_scene_and_a_ribbon_while_a_deal_is_open(item: object) -> None:
    picture = ShowPicture(item.id)  # type: ignore[attr-defined]
    before = [picture.frame("00:00:00") for _ in range(20)][-1]
    picture.deal_open = True
    after = [picture.frame("00:00:00") for _ in range(20)][-1]
    ribbon = (8, 180, 40, 30)
    assert luma(before, *ribbon) != luma(after, *ribbon)


def test_the_tune_is_whole_soft_and_audible() -> None:
    packets = opus_tune()
    assert len(packets) * PACKET_SAMPLES >= len(TUNE) * NOTE_S * AUDIO_CLOCK
    decoder = av.CodecContext.create("libopus", "r")
    loudest = 0
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet)):
            loudest = max(loudest, *memoryview(frame.planes[0]).cast("B").cast("h"))
    assert 1500 < loudest < 6000


async def test_a_picture_falls_due_by_the_clock() -> None:
    track = PictureTrack(ShowPicture("bag"))
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    frames = [await track.recv() for _ in range(5)]
    assert loop.time() - started_s >= 4 / RATE
    assert [frame.pts for frame in frames] == [n * 90_000 // RATE for n in range(5)]


async def test_a_track_that_slept_goes_on_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a machine that slept a minute, then the next packet is a minute on: no burst of three thousand."""
    track = ToneTrack((b"one", b"two"))
    await track.recv()
    loop = asyncio.get_running_loop()
    now_s = loop.time
    monkeypatch.setattr(loop, "time", lambda: now_s() + 60)
    packet = await track.recv()
    assert packet.pts is not None
    assert packet.pts >= (60 - LATE_S) * AUDIO_CLOCK


async def test_a_stopped_track_ends() -> None:
    track = ToneTrack((b"one",))
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


def test_loopback_is_gathered_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["192.0.2.7"] * use_ipv4)
    gather_loopback_too()
    gather_loopback_too()
    assert aioice.ice.get_host_addresses(True, True) == ["127.0.0.1", "192.0.2.7"]
    assert aioice.ice.get_host_addresses(False, True) == []
