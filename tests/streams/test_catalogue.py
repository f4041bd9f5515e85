"""The catalogue of streams, on a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from streams import keys
from streams.errors import StreamEnded, StreamNotFound, StreamRefused
from streams.models import Host, Move, Origin, Stream, StreamState
from streams.service import StreamService
from streams.store import BAND, RANKS, score_of
from tests.streams.test_catalogue_models import TABLE

HANNA = Host("u1", "Hanna")
HERE = {"worker_id": "w1", "session_id": "w1.a"}


@pytest.fixture
def streams(redis: Redis, run_script: ScriptRunner) -> StreamService:
    return StreamService(redis, run_script, new_id=new_id)


@pytest.fixture
async def empty_index(redis: Redis) -> None:
    """The index is shared by the whole session: what counts or pages begins with none."""
    await redis.delete(keys.INDEX)


async def events(redis: Redis, stream: Stream) -> list[str]:
    return [orjson.loads(fields[b"e"])["type"] for _, fields in await redis.xrange(keys.log(stream.id))]


async def in_state(streams: StreamService, state: StreamState, title: str = "Mugs") -> Stream:
    stream = await streams.create(title, HANNA)
    if state in (StreamState.LIVE, StreamState.INTERRUPTED):
        await streams.went_live(stream.id, **HERE)
    if state is StreamState.INTERRUPTED:
        await streams.interrupted(stream.id, session_id="w1.a")
    if state is StreamState.ENDED:
        await streams.end(stream.id)
    return await streams.get(stream.id)


async def test_a_created_stream_is_found_as_it_was_made(streams: StreamService) -> None:
    made = await streams.create(" Mugs ", HANNA)
    assert (made.title, made.state, made.host) == ("Mugs", StreamState.CREATED, HANNA)
    assert await streams.get(made.id) == made
    assert await streams.origin(made.id) is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.get("nowhere"),
        lambda s: s.end("nowhere"),
        lambda s: s.went_live("nowhere", **HERE),
        lambda s: s.interrupted("nowhere", session_id="w1.a"),
    ],
)
async def test_an_unknown_stream_is_not_found_and_not_made(
    streams: StreamService, redis: Redis, ask: Callable[[StreamService], Any]
) -> None:
    with pytest.raises(StreamNotFound) as refused:
        await ask(streams)
    assert refused.value.code == "stream_not_found"
    assert await redis.keys("lc:{nowhere}*") == []


@pytest.mark.parametrize(("state", "move"), TABLE)
async def test_the_scripts_take_the_steps_of_the_table(streams: StreamService, state: StreamState, move: Move) -> None:
    stream = await in_state(streams, state)
    moves = {
        Move.START: lambda: streams.went_live(stream.id, **HERE),
        Move.INTERRUPT: lambda: streams.interrupted(stream.id, session_id="w1.a"),
        Move.END: lambda: streams.end(stream.id),
    }
    expected = TABLE[state, move]
    if expected is None:
        with pytest.raises(StreamEnded):
            await moves[move]()
    else:
        await moves[move]()
    assert (await streams.get(stream.id)).state is (expected or state)


async def test_each_change_is_announced_once(streams: StreamService, redis: Redis) -> None:
    stream = await streams.create("Mugs", HANNA)
    for _ in range(2):
        await streams.went_live(stream.id, **HERE)
    for _ in range(2):
        await streams.interrupted(stream.id, session_id="w1.a")
    await streams.went_live(stream.id, **HERE)
    ended = [await streams.end(stream.id) for _ in range(2)]
    assert await events(redis, stream) == ["stream.live", "stream.interrupted", "stream.live", "stream.ended"]
    assert ended[0] == ended[1]
    assert ended[0].ended_ms is not None
    assert await streams.origin(stream.id) is None


async def test_a_host_who_came_back_is_not_interrupted_by_the_old_session(streams: StreamService, redis: Redis) -> None:
    stream = await in_state(streams, StreamState.LIVE)
    await streams.went_live(stream.id, worker_id="w2", session_id="w2.b")
    await streams.interrupted(stream.id, session_id="w1.a")
    assert (await streams.get(stream.id)).state is StreamState.LIVE
    assert await streams.origin(stream.id) == Origin("w2", "w2.b")
    assert await events(redis, stream) == ["stream.live"]


@pytest.mark.usefixtures("empty_index")
async def test_the_list_has_live_streams_first_and_newest_first(streams: StreamService) -> None:
    wanted = [StreamState.ENDED, StreamState.LIVE, StreamState.CREATED, StreamState.INTERRUPTED, StreamState.LIVE]
    made = [await in_state(streams, state) for state in wanted]
    listed, cursor = await streams.list(after=None, limit=50)
    assert listed == sorted(made, key=lambda s: (score_of(s), s.id), reverse=True)
    assert [s.state for s in listed] == sorted(wanted, key=lambda s: -RANKS[s])
    assert cursor is None


@pytest.mark.usefixtures("empty_index")
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_hold_every_stream_once_even_of_one_millisecond(streams: StreamService, limit: int) -> None:
    made = await asyncio.gather(*(streams.create(f"Show {i}", HANNA) for i in range(7)))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page, cursor = await streams.list(after=cursor, limit=limit)
        assert len(page) <= limit
        seen += [s.id for s in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(s.id for s in made)


@pytest.mark.usefixtures("empty_index")
async def test_a_wrong_hint_is_repaired_by_who_reads_it(streams: StreamService, redis: Redis) -> None:
    ended = await in_state(streams, StreamState.ENDED)
    live = await in_state(streams, StreamState.LIVE)
    await redis.zadd(keys.INDEX, {ended.id: RANKS[StreamState.LIVE] * BAND + ended.created_ms, live.id: 0})
    listed, _ = await streams.list(after=None, limit=50)
    assert [s.id for s in listed] == [live.id, ended.id]
    assert await redis.zscore(keys.INDEX, ended.id) == score_of(ended)
    assert await redis.zscore(keys.INDEX, live.id) == score_of(live)


@pytest.mark.usefixtures("empty_index")
async def test_a_hint_without_a_stream_goes_when_it_is_old_and_stays_while_one_may_be_coming(
    streams: StreamService, redis: Redis
) -> None:
    seconds, _ = await redis.time()
    await redis.zadd(
        keys.INDEX, {"coming": BAND + int(seconds) * 1000, "crashed": BAND + int(seconds) * 1000 - 120_000}
    )
    assert await streams.list(after=None, limit=50) == ([], None)
    assert await redis.zrange(keys.INDEX, 0, -1) == [b"coming"]


@pytest.mark.parametrize("cursor", ["", "x", "1", "-1.a", " 1.a", "1_0.a", "ffffffffffffffffffff.a", "1é.a", "\x00"])
async def test_a_cursor_of_somebody_else_is_refused(streams: StreamService, cursor: str) -> None:
    with pytest.raises(StreamRefused):
        await streams.list(after=cursor, limit=50)


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_of_no_or_too_many_streams_is_refused(streams: StreamService, limit: int) -> None:
    with pytest.raises(StreamRefused):
        await streams.list(after=None, limit=limit)


async def test_a_stream_ends_when_its_host_has_been_away_for_long_and_in_no_other_state(
    streams: StreamService, redis: Redis
) -> None:
    made = {state: await in_state(streams, state) for state in StreamState}
    away, long_ago = made[StreamState.INTERRUPTED], await in_state(streams, StreamState.INTERRUPTED)
    old = await in_state(streams, StreamState.INTERRUPTED)
    await redis.hincrby(f"lc:{{{long_ago.id}}}:stream", "interrupted_ms", -60_000)
    await redis.hdel(f"lc:{{{old.id}}}:stream", "interrupted_ms")  # by a version that did not note it
    seconds, _ = await redis.time()
    before_ms = seconds * 1000 - 30_000
    found = await streams.abandoned(before_ms)
    assert {long_ago.id, old.id} == set(found) & {each.id for each in (*made.values(), long_ago, old)}
    ended = {each.id: await streams.end_abandoned(each.id, before_ms) for each in (*made.values(), long_ago, old)}
    assert [each for each, done in ended.items() if done] == [long_ago.id]
    assert (await streams.get(long_ago.id)).state is StreamState.ENDED
    assert (await events(redis, long_ago))[-1] == "stream.ended"
    assert long_ago.id not in await streams.abandoned(before_ms)
    assert old.id not in await streams.abandoned(before_ms), "it counts from the first look on"
    assert not await streams.end_abandoned(long_ago.id, before_ms)
    # Who comes back begins anew.
    await streams.went_live(away.id, **HERE)
    assert not await streams.end_abandoned(away.id, seconds * 1000 + 60_000)
    assert (await streams.get(away.id)).state is StreamState.LIVE


async def test_the_sweep_interrupts_exactly_the_streams_whose_worker_is_gone(
    streams: StreamService, redis: Redis
) -> None:
    orphan, healthy = await streams.create("Mugs", HANNA), await streams.create("Plates", HANNA)
    await streams.went_live(orphan.id, worker_id="gone", session_id="gone.a")
    await streams.went_live(healthy.id, worker_id="alive", session_id="alive.a")
    others = {"alive", "w1", "w2"}
    flipped = [await streams.sweep(others), await streams.sweep(others)]
    assert orphan.id in flipped[0]
    assert orphan.id not in flipped[1]
    assert (await streams.get(orphan.id)).state is StreamState.INTERRUPTED
    assert (await streams.get(healthy.id)).state is StreamState.LIVE
    assert await events(redis, orphan) == ["stream.live", "stream.interrupted"]
