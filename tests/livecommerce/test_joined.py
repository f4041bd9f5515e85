"""One connection for everybody: each gets their own replies, whatever becomes of the others or of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, MaxConnectionsError, NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.joined import JoinedRedis, _Wire, pack


@pytest.fixture
async def joined(valkey_url: str) -> AsyncIterator[JoinedRedis]:
    client = cast(JoinedRedis, redis_client.make(valkey_url, command_s=0.5))
    yield client
    await client.aclose()


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


def fake_wire() -> tuple[_Wire, FakeTransport]:
    transport = FakeTransport()
    return _Wire(cast(Any, transport), None, None), transport


def asked(wire: _Wire, packed: bytes, commands: int) -> asyncio.Future[list[Any]]:
    """What these commands are answered with."""
    future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def told(outcome: list[Any] | Exception) -> None:
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    wire.send(packed, commands, told)
    return future


async def test_the_commands_of_one_turn_leave_in_one_write_and_each_gets_its_own_reply() -> None:
    wire, transport = fake_wire()
    futures = [asked(wire, pack(("GET", f"k{n}")), 1) for n in range(3)]
    pair = asked(wire, pack(("GET", "a")) + pack(("GET", "b")), 2)
    await asyncio.sleep(0)
    assert len(transport.written) == 1
    assert transport.written[0].count(b"$3\r\nGET\r\n") == 5
    for byte in b"+zero\r\n:1\r\n$3\r\ntwo\r\n*1\r\n:7\r\n_\r\n":
        wire.data_received(bytes([byte]))
    assert [f.result() for f in futures] == [[b"zero"], [1], [b"two"]]
    assert pair.result() == [[7], None]
    asked(wire, pack(("GET", "later")), 1)
    await asyncio.sleep(0)
    assert len(transport.written) == 2


@pytest.mark.parametrize("rubbish", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+nobody asked\r\n", b"\x00" * 50])
async def test_what_is_no_reply_ends_the_connection_and_is_nobodys_answer(rubbish: bytes) -> None:
    wire, transport = fake_wire()
    first, second = asked(wire, pack(("PING",)), 1), asked(wire, pack(("A",)) + pack(("B",)), 2)
    wire.data_received(rubbish)
    wire.data_received(b"+x\r\n+y\r\n")
    assert second.done()
    assert isinstance(second.exception(), RedisConnectionError) or second.result() == [b"nobody asked", b"x"]
    assert first.exception() is not None or first.result() == [b"OK"]
    assert wire.lost
    assert transport.aborted


async def test_beyond_the_bound_a_command_is_refused_and_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.joined.MOST_WAITING", 2)
    wire, transport = fake_wire()
    kept = [asked(wire, b"x", 1) for _ in range(2)]
    with pytest.raises(MaxConnectionsError):
        asked(wire, b"y", 1)
    await asyncio.sleep(0)
    assert transport.written == [b"xx"]
    wire.close(RedisConnectionError("over"))
    assert all(isinstance(f.exception(), RedisConnectionError) for f in kept)


def test_what_cannot_be_sent_is_refused_before_it_disturbs_anybody() -> None:
    assert pack(("CONFIG GET", "a", 1, b"\xff", 1.5)).count(b"\r\n") == 13
    for value in (None, ["list"], {}):
        with pytest.raises(DataError):
            pack(("SET", "k", value))


async def test_hundreds_of_callers_are_told_what_they_asked(joined: Redis) -> None:
    key = new_id("t")
    await asyncio.gather(*(joined.hset(key, f"f{n}", n) for n in range(300)))
    assert await asyncio.gather(*(joined.hget(key, f"f{n}") for n in range(300))) == [b"%d" % n for n in range(300)]
    assert await joined.hgetall(key) == {b"f%d" % n: b"%d" % n for n in range(300)}
    assert (await joined.config_get("appendfsync"))["appendfsync"] == "always"
    await joined.delete(key)


async def test_a_cancelled_callers_reply_is_not_given_to_the_next(joined: Redis) -> None:
    key = new_id("t")
    await joined.set(key, "mine")
    for turns in range(6):
        other = asyncio.create_task(joined.get("somebody else's"))
        for _ in range(turns):
            await asyncio.sleep(0)
        other.cancel()
        assert await joined.get(key) == b"mine"
    await joined.delete(key)


async def test_an_error_is_one_callers_own(joined: Redis) -> None:
    key = new_id("t")
    await joined.set(key, "text")
    found = await asyncio.gather(
        joined.hget(key, "f"), joined.get(key), joined.evalsha("0" * 40, 0), return_exceptions=True
    )
    assert isinstance(found[0], ResponseError)
    assert found[1] == b"text"
    assert isinstance(found[2], NoScriptError)
    pipe = joined.pipeline(transaction=False)
    assert await pipe.execute() == []
    pipe.hget(key, "f")
    pipe.set(key, "after")
    with pytest.raises(ResponseError):
        await pipe.execute()
    pipe.hget(key, "f").get(key)
    found = await pipe.execute(raise_on_error=False)
    assert isinstance(found[0], ResponseError)
    assert found[1] == b"after", "what followed the error was done, as on any connection"
    await joined.delete(key)


async def test_a_transaction_is_still_one(joined: Redis) -> None:
    key = new_id("t")
    async with joined.pipeline(transaction=True) as pipe:
        pipe.incr(key)
        pipe.incr(key)
        assert await pipe.execute() == [1, 2]
    await joined.delete(key)


async def test_a_connection_that_is_cut_fails_who_waits_and_the_next_command_makes_another(
    joined: Redis, redis: Redis
) -> None:
    number = await joined.client_id()
    await redis.client_pause(5_000, all=False)
    try:
        waiting = [asyncio.create_task(joined.incr("lc:test:cut")) for _ in range(5)]
        await asyncio.sleep(0)
        await redis.client_kill_filter(_id=str(number))
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in found} == {RedisConnectionError}
    finally:
        await redis.client_unpause()
    assert await joined.client_id() != number
    assert await joined.ping()


async def test_a_silent_server_is_given_up_in_time(joined: Redis, redis: Redis) -> None:
    assert await joined.ping()
    await redis.client_pause(10_000, all=False)
    try:
        started_s = asyncio.get_running_loop().time()
        with pytest.raises(RedisTimeoutError):
            await joined.set("lc:test:silent", 1)
        assert 0.5 <= asyncio.get_running_loop().time() - started_s < 2
    finally:
        await redis.client_unpause()
    assert await joined.ping()


async def test_closing_twice_is_fine_and_fails_who_waits(valkey_url: str) -> None:
    client = redis_client.make(valkey_url)
    assert await client.ping()
    waiting = asyncio.create_task(client.get("x"))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(RedisConnectionError):
        await waiting
    await client.aclose()
    early = redis_client.make(valkey_url)
    asking = asyncio.create_task(early.get("x"))
    await asyncio.sleep(0)
    await early.aclose()
    with pytest.raises((RedisConnectionError, asyncio.CancelledError)):
        await asking


async def test_what_is_begun_is_answered_in_order_and_nobodys_trouble_is_anothers(joined: JoinedRedis) -> None:
    key = new_id("t")
    told: list[Any] = []

    def broken(reply: Any) -> None:
        raise IndexError("this caller's own")

    assert not joined.begin(told.append, "PING"), "there is no connection yet"
    await joined.set(key, "text")
    assert joined.begin(told.append, "APPEND", key, "1")
    assert joined.begin(broken, "APPEND", key, "2")
    assert joined.begin(told.append, "HGET", key, "f")
    assert joined.begin(told.append, "GET", key)
    assert await joined.get(key) == b"text12"
    assert (told[0], told[2]) == (5, b"text12")
    assert isinstance(told[1], ResponseError)
    await joined.delete(key)


async def test_what_was_begun_on_a_connection_that_ends_hears_so_once(joined: JoinedRedis) -> None:
    told: list[Any] = []
    await joined.ping()
    assert joined.begin(told.append, "BLPOP", new_id("t"), 0)
    await joined.aclose()
    assert [type(outcome) for outcome in told] == [RedisConnectionError]
    assert not joined.begin(told.append, "PING")
    assert len(told) == 1
