"""Clients that ask once, and outside servers that will not do."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from livecommerce import redis_client
from livecommerce.redis_client import ServerRefused
from tests.running import free_port
from tests.valkey import valkey_server


async def test_a_client_works_and_more_callers_than_connections_wait_their_turn(valkey_url: str) -> None:
    redis = redis_client.make(valkey_url, max_connections=2)
    assert await asyncio.gather(*(redis.ping() for _ in range(50))) == [True] * 50
    await redis.aclose()


async def test_a_lost_server_is_an_error_at_once_and_not_asked_again(tmp_path: Path) -> None:
    asked = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / "s")
    redis = redis_client.make(f"unix://{tmp_path}/s")
    with pytest.raises(RedisConnectionError):
        await redis.get("x")
    assert asked == 1
    await redis.aclose()
    server.close()
    await server.wait_closed()


async def test_a_silent_server_is_an_error_in_time(tmp_path: Path) -> None:
    hold = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_unix_server(say_nothing, tmp_path / "s")
    redis = redis_client.make(f"unix://{tmp_path}/s", command_s=0.2)
    started_s = time.monotonic()
    with pytest.raises(RedisError):
        await redis.get("x")
    assert time.monotonic() - started_s < 5
    await redis.aclose()
    hold.set()
    server.close()
    await server.wait_closed()


async def test_the_servers_of_tests_are_durable_valkeys(redis: Redis, valkey_url: str) -> None:
    report = await redis_client.check(redis, valkey_url)
    assert (report.product, report.writable, report.durable, report.why) == ("valkey", True, True, "")


async def test_a_server_that_syncs_each_second_is_used_and_said_to_be_less_than_durable(tmp_path: Path) -> None:
    with valkey_server(tmp_path, appendfsync="everysec") as url:
        redis = redis_client.make(url)
        report = await redis_client.check(redis, url)
        assert not report.durable
        assert "everysec" in report.why
        await redis.config_set("appendonly", "no")
        assert "appendonly is off" in (await redis_client.check(redis, url)).why
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ServerRefused, match="noeviction"):
            await redis_client.check(redis, url)
        await redis.replicaof("127.0.0.1", free_port())
        with pytest.raises(ServerRefused, match="read-only replica"):
            await redis_client.check(redis, url)
        await redis.aclose()


class Claims(Redis):
    """A server that claims to be another (an old one cannot be installed for a test)."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._server = server

    async def info(self, section: str | None = None, *_args: str, **_options: Any) -> Any:
        return self._server if section == "server" else {"role": "master"}

    async def config_get(self, *_args: Any, **_options: Any) -> Any:
        raise ResponseError("unknown command 'CONFIG'")

    def __del__(self) -> None:
        """Nothing was opened."""


@pytest.mark.parametrize(
    ("server", "accepted"),
    [
        ({"redis_version": "6.2.14"}, False),
        ({"redis_version": "7.0.0"}, True),
        ({"redis_version": "10.1.0"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.1"}, True),
    ],
)
async def test_old_servers_are_refused_by_their_own_version(server: dict[str, Any], accepted: bool) -> None:
    if accepted:
        report = await redis_client.check(Claims(server), "redis://shop")
        assert not report.durable, "a server that hides its settings promises nothing"
    else:
        with pytest.raises(ServerRefused, match="oldest that will do"):
            await redis_client.check(Claims(server), "redis://shop")


async def test_a_refusal_does_not_repeat_the_password() -> None:
    url = f"redis://shop:hunter2@127.0.0.1:{free_port()}/0"
    redis = redis_client.make(url)
    with pytest.raises(ServerRefused) as refused:
        await redis_client.check(redis, url)
    assert "hunter2" not in str(refused.value)
    assert "does not answer" in str(refused.value)
    await redis.aclose()


async def test_a_cancelled_task_that_loops_over_commands_always_ends(valkey_url: str) -> None:
    """redis-py's own write timeout swallows about every second of these cancellations on Python 3.11."""
    redis = redis_client.make(valkey_url)

    async def ask_for_ever() -> None:
        while True:
            await redis.ping()

    try:
        for round_ in range(60):
            asking = asyncio.create_task(ask_for_ever())
            for _ in range(20 + round_):
                await asyncio.sleep(0)
            asking.cancel()
            done, _ = await asyncio.wait([asking], timeout=2)
            if not done:
                asking.cancel()
                await asyncio.wait([asking], timeout=2)
            assert done, f"round {round_}: the cancellation was swallowed"
    finally:
        await redis.aclose()
