"""The emit prelude and the script runner, on a real Valkey."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from livecommerce import keys
from livecommerce.scripting import ScriptRunner
from tests.livecommerce.rooms import eventually

SPEAK = "return emit(KEYS[1], KEYS[2], now_ms(), 'announcement', ARGV[1])"


async def test_events_are_numbered_from_one_and_logged_under_their_offset(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    names = [keys.room(stream_id), keys.log(stream_id)]
    offsets = [await run_script(SPEAK, names, [b'{"text":"%d"}' % i]) for i in range(3)]
    assert offsets == [1, 2, 3]
    entries = await redis.xrange(names[1])
    assert [entry_id for entry_id, _ in entries] == [b"1-0", b"2-0", b"3-0"]
    event = orjson.loads(entries[2][1][b"e"])
    assert event["offset"] == 3
    assert event["data"] == {"text": "2"}


async def test_a_script_valkey_forgot_is_sent_again(redis: Redis, run_script: ScriptRunner, stream_id: str) -> None:
    names = [keys.room(stream_id), keys.log(stream_id)]
    await run_script(SPEAK, names, ["{}"])
    await redis.script_flush()
    assert await run_script(SPEAK, names, ["{}"]) == 2


async def test_what_goes_before_a_script_is_there_when_it_runs_and_a_refusal_leaves_it_unknown(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    first, second = f"test:{stream_id}:1", f"test:{stream_id}:2"
    look = "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}"
    for value in (b"1", b"2"):
        before = [("SET", first, value), ("SET", second, value)]
        assert await run_script(look, [first, second], [], before) == [value, value]
        await redis.script_flush()  # then the text is sent, and what went before it is not sent again
    for refused in (("INCR", first), ("LPUSH", second, "x")):
        await redis.set(first, "none")
        with pytest.raises(RedisConnectionError):
            await run_script(look, [first, second], [], [refused])
    with pytest.raises(ResponseError, match="no"):
        await run_script("return redis.error_reply('no')", [first], [], [("SET", first, "3")])
    assert await redis.get(first) == b"3"


async def test_a_script_is_begun_without_waiting_and_sent_again_where_valkey_forgot_it(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    names = [keys.room(stream_id), keys.log(stream_id)]
    told: list[Any] = []
    await run_script(SPEAK, names, ["{}"])
    assert run_script.begin(SPEAK, names, ["{}"], told.append)
    await run_script(SPEAK, names, ["{}"])
    assert told == [2]
    await redis.script_flush()
    for _ in range(2):
        assert run_script.begin(SPEAK, names, ["{}"], told.append)
    await eventually(lambda: told == [2, 4, 5])
    assert run_script.begin("return redis.error_reply('no')", names, [], told.append)
    await eventually(lambda: isinstance(told[-1], ResponseError))


async def test_concurrent_speakers_leave_no_hole_and_no_double(run_script: ScriptRunner, stream_id: str) -> None:
    names = [keys.room(stream_id), keys.log(stream_id)]
    offsets = await asyncio.gather(*(run_script(SPEAK, names, ["{}"]) for _ in range(50)))
    assert sorted(offsets) == list(range(1, 51))
