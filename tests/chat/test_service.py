"""Chat against a real Valkey."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from chat import keys
from chat.errors import Banned, ChatError, Duplicate, MessageNotFound, RateLimited, TextRefused, Unavailable
from chat.models import Author, Sent
from chat.service import ChatService, Pace
from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.problems import KINDS
from livecommerce.scripting import ScriptRunner

ANN = Author("ann", "Ann")
FAST = Pace(interval_ms=1, burst=10_000)


@pytest.fixture
def chat(redis: Redis, run_script: ScriptRunner) -> ChatService:
    return ChatService(redis, run_script, new_id=new_id, pace=FAST, blocked_words=["scam"])


async def said(redis: Redis, stream_id: str) -> list[dict[str, Any]]:
    """The room's log."""
    return [json.loads(entry[1][b"e"]) for entry in await redis.xrange(keys.log(stream_id))]


async def test_a_message_is_in_the_log_at_the_offset_it_was_told(
    chat: ChatService, redis: Redis, stream_id: str
) -> None:
    host = Author("hal", "Hal", ["host"])
    first = await chat.send(stream_id, host, "hello")
    second = await chat.send(stream_id, ANN, "hi", reply_to=first.id)
    events = await said(redis, stream_id)
    assert [(e["offset"], e["data"]["id"]) for e in events] == [(1, first.id), (2, second.id)]
    assert events[0]["data"]["user"] == {"id": "hal", "name": "Hal", "roles": ["host"]}
    assert "reply_to" not in events[0]["data"]
    assert events[1]["data"]["reply_to"] == first.id


async def test_fifty_retries_with_one_key_say_it_once(chat: ChatService, redis: Redis, stream_id: str) -> None:
    answers = await asyncio.gather(*(chat.send(stream_id, ANN, "once", key="k 1") for _ in range(50)))
    assert len({(sent.id, sent.offset) for sent in answers}) == 1
    assert [sent.again for sent in answers].count(False) == 1
    assert [e["data"]["id"] for e in await said(redis, stream_id)] == [answers[0].id]
    other = await chat.send(stream_id, Author("bob", "Bob"), "mine", key="k 1")
    assert other.id != answers[0].id
    assert 0 < await redis.pttl(keys.sent(stream_id, "ann", "k 1")) <= keys.KEY_TTL_MS


async def test_who_talks_too_fast_is_told_when_to_come_back(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    chat = ChatService(redis, run_script, new_id=new_id, pace=Pace(interval_ms=60_000, burst=3))
    answers = await asyncio.gather(*(chat.send(stream_id, ANN, "hi") for _ in range(10)), return_exceptions=True)
    refused = [a for a in answers if isinstance(a, RateLimited)]
    assert len(refused) == 7
    assert all(r.retry_after_ms and 55_000 < r.retry_after_ms <= 60_000 for r in refused)
    await chat.send(stream_id, Author("bob", "Bob"), "I may")
    assert (await chat.send(stream_id, Author("hal", "Hal", ["host"]), "so may the host")).offset == 5


async def test_a_pace_recovers_with_time(redis: Redis, run_script: ScriptRunner, stream_id: str) -> None:
    chat = ChatService(redis, run_script, new_id=new_id, pace=Pace(interval_ms=30, burst=1))
    await chat.send(stream_id, ANN, "one")
    with pytest.raises(RateLimited) as refused:
        await chat.send(stream_id, ANN, "two")
    await asyncio.sleep((refused.value.retry_after_ms or 0) / 1000 + 0.005)
    await chat.send(stream_id, ANN, "two")


async def test_a_retry_after_the_limit_still_finds_its_message(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    chat = ChatService(redis, run_script, new_id=new_id, pace=Pace(interval_ms=60_000, burst=1))
    sent = await chat.send(stream_id, ANN, "one", key="k")
    assert await chat.send(stream_id, ANN, "one", key="k") == Sent(sent.id, sent.offset, again=True)


async def test_the_banned_are_silent_until_the_ban_ends_or_is_lifted(
    chat: ChatService, redis: Redis, stream_id: str
) -> None:
    until_ms = await chat.ban(stream_id, "ann", seconds=60, by="hal")
    assert await chat.ban_until(stream_id, "ann") == until_ms
    with pytest.raises(Banned):
        await chat.send(stream_id, ANN, "let me")
    await chat.unban(stream_id, "ann", by="hal")
    assert await chat.ban_until(stream_id, "ann") is None
    await chat.send(stream_id, ANN, "thanks")
    await chat.ban(stream_id, "ann", seconds=None, by="hal")
    assert await chat.ban_until(stream_id, "ann") == keys.FOREVER_MS
    await redis.hset(keys.bans(stream_id), "ann", 1)
    assert await chat.ban_until(stream_id, "ann") is None
    await chat.send(stream_id, ANN, "time heals")
    assert await redis.hlen(keys.bans(stream_id)) == 0


async def test_a_message_is_deleted_once(chat: ChatService, redis: Redis, stream_id: str) -> None:
    sent = await chat.send(stream_id, ANN, "oops")
    assert await chat.delete(stream_id, sent.id, by="hal") == 2
    assert (await said(redis, stream_id))[-1]["data"] == {"id": sent.id}
    for missing in (sent.id, "never"):
        with pytest.raises(MessageNotFound):
            await chat.delete(stream_id, missing, by="hal")
    with pytest.raises(MessageNotFound):
        await chat.send(stream_id, ANN, "about that", reply_to=sent.id)


async def test_only_the_newest_messages_stay_known(
    chat: ChatService, redis: Redis, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MESSAGES_CAP", 3)
    sent = [await chat.send(stream_id, ANN, f"line {n}") for n in range(5)]
    assert await redis.zrange(keys.messages(stream_id), 0, -1) == [s.id.encode() for s in sent[2:]]


async def test_unwelcome_words_and_empty_text_are_refused(chat: ChatService, redis: Redis, stream_id: str) -> None:
    for text in ("a 5cam", "", "x" * 301):
        with pytest.raises(TextRefused):
            await chat.send(stream_id, ANN, text)
    with pytest.raises(TextRefused):
        await chat.announce(stream_id, "", by="hal")
    assert await said(redis, stream_id) == []


async def test_an_announcement_is_for_all(chat: ChatService, redis: Redis, stream_id: str) -> None:
    assert await chat.announce(stream_id, "Welcome!", by="hal") == 1
    assert (await said(redis, stream_id))[0]["type"] == "announcement"


@pytest.mark.parametrize("user_id", ["ann}", "{x}", 'a"b\\c', "role:host", "é🎉", "a b"])
async def test_any_user_id_may_speak_and_be_banned(chat: ChatService, stream_id: str, user_id: str) -> None:
    await chat.send(stream_id, Author(user_id, 'N"\\'), 'a "quoted" \\ text', key="k")
    await chat.ban(stream_id, user_id, seconds=1000, by="hal")
    with pytest.raises(Banned):
        await chat.send(stream_id, Author(user_id, "N"), "again")


async def test_a_valkey_that_is_away_is_our_side_s_fault(stream_id: str) -> None:
    away = Redis.from_url("unix:///nonexistent/valkey.sock")
    chat = ChatService(away, ScriptRunner(away), new_id=new_id)
    with pytest.raises(Unavailable) as refused:
        await chat.send(stream_id, ANN, "anybody?")
    assert refused.value.retry_after_ms


async def test_what_is_begun_is_said_as_if_it_were_waited_for(chat: ChatService, redis: Redis, stream_id: str) -> None:
    told: list[Any] = []
    await redis.ping()
    assert chat.begin_send(stream_id, ANN, "  hello  you ", told.append, key="k", mentions=["bob", "bob"])
    assert chat.begin_send(stream_id, ANN, "again", told.append, key="k")
    assert chat.begin_send(stream_id, ANN, "hello you", told.append)
    assert chat.begin_send(stream_id, ANN, "to nobody", told.append, reply_to="m_unknown")
    with pytest.raises(TextRefused):
        chat.begin_send(stream_id, ANN, "a scam", told.append)
    first = await chat.send(stream_id, Author("bob", "Bob"), "after them")
    assert isinstance(told[0], Sent)
    assert (told[0].offset, told[1]) == (1, Sent(told[0].id, 1, again=True))
    assert [type(outcome) for outcome in told[2:]] == [Duplicate, MessageNotFound]
    assert first.offset == 2
    assert (await said(redis, stream_id))[0]["data"]["mentions"] == ["bob"]


async def test_what_is_begun_when_valkey_goes_away_is_our_side_s_fault(valkey_url: str, stream_id: str) -> None:
    client = redis_client.make(valkey_url)
    chat = ChatService(client, ScriptRunner(client), new_id=new_id)
    told: list[Any] = []
    assert not chat.begin_send(stream_id, ANN, "too early", told.append), "there is no connection yet"
    await client.ping()
    assert chat.begin_send(stream_id, ANN, "too late", told.append)
    await client.aclose()
    assert [type(outcome) for outcome in told] == [Unavailable]


def test_every_refusal_has_a_kind() -> None:
    refusals = ChatError.__subclasses__()
    assert len(refusals) >= 5
    assert all(r.code in KINDS for r in refusals)


async def test_all_of_an_address_share_a_limit_and_staff_has_none(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    chat = ChatService(redis, run_script, new_id=new_id, pace=FAST, address_pace=Pace(interval_ms=60_000, burst=3))
    for n in range(3):
        await chat.send(stream_id, Author(f"u{n}", "U"), "hello there", address="192.0.2.7")
    with pytest.raises(RateLimited) as refused:
        await chat.send(stream_id, Author("u9", "U"), "hello there", address="192.0.2.7")
    assert 50_000 < (refused.value.retry_after_ms or 0) <= 60_000
    await chat.send(stream_id, Author("u9", "U"), "hello there", address="192.0.2.8")
    await chat.send(stream_id, Author("u8", "U"), "hello there")
    await chat.send(stream_id, Author("hal", "Hal", ["host"]), "hello there", address="192.0.2.7")


async def test_a_room_has_a_limit_and_a_refused_message_uses_up_none(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    chat = ChatService(redis, run_script, new_id=new_id, pace=Pace(60_000, 2), room_pace=Pace(300, 1))
    await chat.send(stream_id, Author("u1", "U"), "hello there")
    # Were the refused ones counted, u2 would soon be told to wait for minutes.
    waits: list[int] = []
    sent = None
    async with asyncio.timeout(10):
        while sent is None:
            try:
                sent = await chat.send(stream_id, Author("u2", "U"), "hello there")
            except RateLimited as refused:
                waits.append(refused.retry_after_ms or 0)
                await asyncio.sleep(0.02)
    assert all(0 < wait_ms <= 300 for wait_ms in waits)


async def test_the_authors_of_forgotten_messages_are_forgotten(
    chat: ChatService, redis: Redis, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MESSAGES_CAP", 3)
    for n in range(8):
        await chat.send(stream_id, ANN, f"message {n}")
    assert await redis.hlen(keys.authors(stream_id)) == await redis.zcard(keys.messages(stream_id)) == 3
    assert set(await redis.hkeys(keys.authors(stream_id))) == set(await redis.zrange(keys.messages(stream_id), 0, -1))
