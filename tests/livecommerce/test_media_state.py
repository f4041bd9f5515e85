"""How the relay's news becomes a stream's state, and what is told again until it was heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce import media_state
from livecommerce.ids import new_id
from livecommerce.media_state import MediaReporter, Sweeper
from livecommerce.scripting import ScriptRunner
from livecommerce.workers import WorkerDirectory
from streams.models import Host, Origin, StreamState
from streams.service import StreamService
from tests.livecommerce.rooms import eventually


@pytest.fixture
def streams(redis: Redis, run_script: ScriptRunner) -> StreamService:
    return StreamService(redis, run_script, new_id=new_id)


@pytest.fixture
async def reporter(streams: StreamService) -> AsyncIterator[MediaReporter]:
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    yield reporter
    await reporter.aclose()


async def state_is(streams: StreamService, stream_id: str, state: StreamState) -> None:
    deadline = time.monotonic() + 10
    while (found := (await streams.get(stream_id)).state) is not state:
        assert time.monotonic() < deadline, f"still {found}"
        await asyncio.sleep(0.01)


async def new_stream(streams: StreamService) -> str:
    return (await streams.create("Mugs", Host("u1", "Hanna"))).id


async def test_media_makes_a_stream_live_and_silence_interrupts_it(
    streams: StreamService, reporter: MediaReporter
) -> None:
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert await streams.origin(stream_id) == Origin("w1", "w1.a")
    await reporter.media_stopped(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.INTERRUPTED)


async def test_the_end_of_a_replaced_publisher_does_not_interrupt_its_successor(
    streams: StreamService, reporter: MediaReporter
) -> None:
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await reporter.media_started(stream_id, "w1.b")
    await reporter.media_stopped(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert await streams.origin(stream_id) == Origin("w1", "w1.b")


async def test_a_worker_that_leaves_interrupts_its_streams(streams: StreamService) -> None:
    stream_id = await new_stream(streams)
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await reporter.aclose()
    await reporter.aclose()
    assert (await streams.get(stream_id)).state is StreamState.INTERRUPTED


async def test_news_is_told_again_until_valkey_heard_it(
    streams: StreamService, reporter: MediaReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_state, "RETRY_S", 0.01)
    went_live = streams.went_live
    lost: list[str] = []

    async def fails_twice(stream_id: str, *, worker_id: str, session_id: str) -> None:
        if len(lost) < 2:
            lost.append(session_id)
            raise RedisConnectionError("away")
        await went_live(stream_id, worker_id=worker_id, session_id=session_id)

    monkeypatch.setattr(streams, "went_live", fails_twice)
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    assert len(lost) == 2


async def test_a_stream_swept_while_its_media_goes_on_is_live_again(
    streams: StreamService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_state, "COMPARE_S", 0.05)
    reporter = MediaReporter(streams, worker_id="w1")
    await reporter.start()
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await streams.interrupted(stream_id, session_id="w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await reporter.aclose()


async def test_a_home_is_kept_where_the_media_of_the_newest_session_arrives(
    streams: StreamService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_state, "COMPARE_S", 0.02)
    kept: list[str] = []

    async def keep_home(stream_id: str) -> None:
        kept.append(stream_id)

    reporter = MediaReporter(streams, worker_id="w1")
    reporter.keep_home = keep_home
    await reporter.start()
    moved, mine = await new_stream(streams), await new_stream(streams)
    for stream_id in (moved, mine):
        await reporter.media_started(stream_id, "w1.a")
        await state_is(streams, stream_id, StreamState.LIVE)
    await streams.went_live(moved, worker_id="w2", session_id="w2.b")
    await eventually(lambda: mine in kept)
    kept.clear()
    await eventually(lambda: kept.count(mine) > 2)
    assert moved not in kept
    await reporter.aclose()


async def test_media_of_an_ended_stream_is_ended_too(streams: StreamService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_state, "COMPARE_S", 0.05)
    ended: list[str] = []

    async def end_media(stream_id: str) -> None:
        ended.append(stream_id)

    reporter = MediaReporter(streams, worker_id="w1", end_media=end_media)
    await reporter.start()
    stream_id = await new_stream(streams)
    await reporter.media_started(stream_id, "w1.a")
    await state_is(streams, stream_id, StreamState.LIVE)
    await streams.end(stream_id)
    await eventually(lambda: ended == [stream_id])
    await reporter.aclose()
    assert ended == [stream_id]


async def test_the_streams_of_a_dead_worker_are_interrupted_only_after_it_was_missed_repeatedly(
    streams: StreamService, redis: Redis
) -> None:
    alive = WorkerDirectory(redis, worker_id=new_id("w"), address="http://127.0.0.1:1")
    await alive.start()
    dead, healthy = await new_stream(streams), await new_stream(streams)
    await streams.went_live(dead, worker_id="dead", session_id="dead.a")
    await streams.went_live(healthy, worker_id=alive._worker_id, session_id="alive.a")
    sweeper = Sweeper(streams, alive)
    for _ in range(media_state.MISSES - 1):
        await sweeper.sweep()
        assert (await streams.get(dead)).state is StreamState.LIVE
    await sweeper.sweep()
    assert (await streams.get(dead)).state is StreamState.INTERRUPTED
    assert (await streams.get(healthy)).state is StreamState.LIVE
    await alive.aclose()
