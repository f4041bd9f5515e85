"""Alive is not ready: /readyz looks at what Valkey would really do with a write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from livecommerce.http.health import drain
from tests.livecommerce.edge import EdgeWorker, edge_worker
from tests.valkey import valkey_server


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[Redis]:
    """A Valkey of this test's own, to be misconfigured."""
    with valkey_server(tmp_path) as url:
        client = Redis.from_url(url, retry=Retry(NoBackoff(), 0))
        yield client
        await client.aclose()


async def test_a_worker_on_a_durable_valkey_is_ready_and_says_why(edge: EdgeWorker) -> None:
    ready = await edge.ask("GET", "/readyz")
    assert (ready.status, ready.body["state"], ready.body["durable"]) == (200, "ready", True)
    assert "appendfsync always" in ready.body["why"]
    alive = await edge.ask("GET", "/healthz")
    assert (alive.status, alive.body["worker"]) == (200, edge.context.worker_id)


async def test_it_says_when_a_yes_would_not_survive_a_crash(own_redis: Redis) -> None:
    async with edge_worker(own_redis) as edge:
        await own_redis.config_set("appendfsync", "everysec")
        everysec = await edge.ask("GET", "/readyz")
        assert (everysec.status, everysec.body["durable"]) == (200, False)
        assert "everysec" in everysec.body["why"]
        await own_redis.config_set("appendonly", "no")
        off = await edge.ask("GET", "/readyz")
        assert (off.status, off.body["durable"]) == (200, False)
        assert "appendonly is off" in off.body["why"]


async def test_a_valkey_that_may_evict_orders_is_not_ready(own_redis: Redis) -> None:
    async with edge_worker(own_redis) as edge:
        await own_redis.config_set("maxmemory-policy", "allkeys-lru")
        answer = await edge.ask("GET", "/readyz")
        assert (answer.status, answer.code) == (503, "unavailable")
        assert "allkeys-lru" in answer.body["detail"]
        assert (await edge.ask("GET", "/healthz")).status == 200


async def test_a_valkey_that_takes_no_writes_is_not_ready(own_redis: Redis) -> None:
    async with edge_worker(own_redis) as edge:
        await own_redis.config_set("maxmemory", "1")
        full = await edge.ask("GET", "/readyz")
        assert (full.status, full.code) == (503, "unavailable")
        assert "OOM" in full.body["detail"] or "takes no writes" in full.body["detail"]
        await own_redis.config_set("maxmemory", "0")
        await own_redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        replica = await edge.ask("GET", "/readyz")
        assert (replica.status, replica.code) == (503, "unavailable")
        await own_redis.execute_command("REPLICAOF", "NO", "ONE")
        assert (await edge.ask("GET", "/readyz")).status == 200


async def test_without_valkey_it_is_alive_but_not_ready_and_refuses_in_words(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as url:
        client = Redis.from_url(url, retry=Retry(NoBackoff(), 0))
        async with edge_worker(client) as edge:
            await client.execute_command("CONFIG", "SET", "appendonly", "no")
            await client.shutdown(nosave=True)
            with pytest.raises(RedisError):
                await client.ping()
            ready = await edge.ask("GET", "/readyz")
            assert (ready.status, ready.code) == (503, "unavailable")
            assert (await edge.ask("GET", "/healthz")).status == 200
            token = edge.token("h", "host")
            for answer in (
                await edge.ask("GET", "/api/v1/streams"),
                await edge.ask("POST", "/api/v1/streams", token=token, json={"title": "x"}),
                await edge.offer("/whip/s1", token),
                await edge.ask("GET", "/api/v1/streams/s1/deals/d1"),
            ):
                assert (answer.status, answer.code) == (503, "unavailable"), answer
                assert answer.headers["Retry-After"] == "1"
        await client.aclose()


async def test_a_stopping_worker_sends_traffic_elsewhere(edge: EdgeWorker) -> None:
    drain(edge.app)
    answer = await edge.ask("GET", "/readyz")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert (await edge.ask("GET", "/healthz")).status == 200
