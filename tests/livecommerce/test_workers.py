"""The worker directory: who lives, who is gone, and where they are."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce import keys, workers
from livecommerce.ids import new_id
from livecommerce.workers import TTL_MS, WorkerDirectory
from tests.livecommerce.edge import until


async def is_gone(redis: Redis, worker_id: str) -> bool:
    return not await redis.exists(keys.worker(worker_id))


async def test_a_worker_is_found_by_the_others_while_it_lives(redis: Redis) -> None:
    one_id, two_id = new_id("w"), new_id("w")
    one = WorkerDirectory(redis, worker_id=one_id, address="http://127.0.0.1:1")
    two = WorkerDirectory(redis, worker_id=two_id, address="http://127.0.0.1:2")
    await one.start()
    await two.start()
    try:
        assert await one.address_of(two_id) == "http://127.0.0.1:2"
        assert await one.address_of(one_id) == "http://127.0.0.1:1"
        assert {one_id, two_id} <= await one.live()
        assert 0 < await redis.pttl(keys.worker(two_id)) <= TTL_MS
        await two.aclose()
        await two.aclose()
        assert await one.address_of(two_id) is None
        assert two_id not in await one.live()
    finally:
        await one.aclose()
        await two.aclose()


async def test_a_worker_that_died_without_a_word_is_taken_off_the_list(redis: Redis) -> None:
    dead, alive = new_id("w"), new_id("w")
    await WorkerDirectory(redis, worker_id=dead, address="http://127.0.0.1:1").announce()
    directory = WorkerDirectory(redis, worker_id=alive, address="http://127.0.0.1:2")
    await directory.announce()
    await redis.pexpire(keys.worker(dead), 1)
    await until(lambda: is_gone(redis, dead))
    live = await directory.live()
    assert (dead in live, alive in live) == (False, True)
    assert not await redis.sismember(keys.WORKERS, dead)


async def test_it_announces_itself_again_after_valkey_was_away(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "REFRESH_S", 0.01)
    worker_id = new_id("w")
    directory = WorkerDirectory(redis, worker_id=worker_id, address="http://127.0.0.1:1")
    await directory.start()
    try:
        failures = 0
        set_key = redis.set

        async def failing(*_: object, **__: object) -> None:
            nonlocal failures
            failures += 1
            raise RedisConnectionError("away")

        monkeypatch.setattr(redis, "set", failing)

        async def failed_often() -> bool:
            return failures >= 3

        await until(failed_often)
        await redis.delete(keys.worker(worker_id))
        monkeypatch.setattr(redis, "set", set_key)

        async def is_back() -> bool:
            return not await is_gone(redis, worker_id)

        await until(is_back)
    finally:
        await directory.aclose()
