"""A stream that ends, ends whole: whichever of its steps the worker that began it did not live to do."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce import keys
from livecommerce.http import ending, placement
from livecommerce.http.ending import ENDER, GIVE_UP_MS, GRACE_MS
from streams import keys as stream_keys
from tests.livecommerce.edge import EdgeWorker, edge_worker, until
from tests.livecommerce.test_http_api import open_deal


class WorkerDied(BaseException):
    """Nothing of this request happens after it."""


async def half_ended(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch, dies_at: tuple[Any, str]) -> tuple[str, str]:
    """A live stream with an open deal whose end stopped at this step; its id and the deal's path."""
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id)
    await edge.go_live(stream_id)

    async def dies(*_: Any) -> None:
        raise WorkerDied

    with monkeypatch.context() as patch:
        patch.setattr(*dies_at, dies)
        with pytest.raises(WorkerDied):
            await edge.app[ENDER].end(stream_id)
    return stream_id, path


@pytest.mark.parametrize("step", ["deals", "media", "last"])
async def test_another_worker_finishes_what_a_dead_one_began(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with edge_worker(redis) as dead, edge_worker(redis) as other:
        await dead.app[ENDER].aclose()
        steps = {
            "deals": (dead.context.deals, "stream_ended"),
            "media": (placement, "end_media"),
            "last": (redis, "zrem"),
        }
        stream_id, path = await half_ended(dead, monkeypatch, steps[step])
        assert (await other.ask("GET", f"/api/v1/streams/{stream_id}")).body["state"] == "ended"

        async def whole() -> bool:
            return await redis.zscore(keys.ENDING, stream_id) is None

        await until(whole)
        assert (await other.ask("GET", path)).body["state"] == "closed"
        assert stream_id in dead.relay.ended
        assert await redis.get(keys.home(stream_id)) is None


async def test_a_stream_whose_end_never_began_goes_on(
    edge: EdgeWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died before it ended anything, and the host was told nothing: the show must not stop by itself."""
    await edge.app[ENDER].aclose()
    stream_id, path = await half_ended(edge, monkeypatch, (edge.context.streams, "end"))
    now_ms = edge.context.clock.now_ms()
    await redis.zadd(keys.ENDING, {stream_id: now_ms - GRACE_MS - 1})
    await edge.app[ENDER].sweep()
    assert await redis.zscore(keys.ENDING, stream_id) is not None
    await redis.zadd(keys.ENDING, {stream_id: now_ms - GIVE_UP_MS - 1, "sforgotten": 1})
    await edge.app[ENDER].sweep()
    assert await redis.zscore(keys.ENDING, stream_id) is None
    assert await redis.zscore(keys.ENDING, "sforgotten") is None
    assert (await edge.ask("GET", path)).body["state"] == "open"
    assert (await edge.ask("GET", f"/api/v1/streams/{stream_id}")).body["state"] == "live"


async def test_an_end_under_way_is_left_to_its_worker_and_a_failing_one_holds_up_nobody(
    edge: EdgeWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await edge.app[ENDER].aclose()
    deals = (edge.context.deals, "stream_ended")
    (first, _), (second, path) = [await half_ended(edge, monkeypatch, deals) for _ in range(2)]
    await edge.app[ENDER].sweep()
    assert (await edge.ask("GET", path)).body["state"] == "open", "it is not old enough to be anybody else's"
    await redis.zadd(keys.ENDING, {first: 1, second: 2})
    ended = edge.context.deals.stream_ended

    async def fails_once(stream_id: str) -> None:
        if stream_id == first:
            raise RuntimeError("a defect")
        await ended(stream_id)

    monkeypatch.setattr(*deals, fails_once)
    await edge.app[ENDER].sweep()
    assert (await edge.ask("GET", path)).body["state"] == "closed"
    asked_ms = await redis.zscore(keys.ENDING, first)
    assert asked_ms is not None
    assert asked_ms > 1_000_000_000_000


async def test_an_end_whose_home_does_not_answer_is_tried_again(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as home:
        stream_id = await home.stream()
        await home.go_live(stream_id)
        await home.server.close()
        answer = await one.ask("DELETE", f"/api/v1/streams/{stream_id}", token=one.token("host", "host"))
        assert answer.status == 200
        assert await redis.zscore(keys.ENDING, stream_id) is not None
        await home.context.workers.aclose()
        monkeypatch.setattr("livecommerce.http.ending.GRACE_MS", -1000)
        await one.app[ENDER].sweep()
        assert await redis.zscore(keys.ENDING, stream_id) is None


async def test_a_stream_whose_host_does_not_come_back_ends_whole(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AWAY_SWEEP_S", 0.05)
    async with edge_worker(redis, end_after=1) as edge:
        away, live = await edge.stream(), await edge.stream()
        path = await open_deal(edge, away)
        session = await edge.go_live(away)
        await edge.go_live(live)
        await edge.context.streams.interrupted(away, session_id=session.rpartition("/")[2])
        await redis.hincrby(stream_keys.stream(away), "interrupted_ms", -900)

        async def whole() -> bool:
            return (await edge.ask("GET", path)).body["state"] == "closed" and away in edge.relay.ended

        await until(whole)
        states = {each: (await edge.ask("GET", f"/api/v1/streams/{each}")).body["state"] for each in (away, live)}
        assert states == {away: "ended", live: "live"}


async def test_a_host_may_stay_away_for_as_long_as_the_operator_says(redis: Redis) -> None:
    async with edge_worker(redis, end_after=0) as edge:
        assert not edge.app[ENDER]._looking.running
