"""A ban ends what its user has open, on whichever worker, and keeps them out; whether or not its event arrives."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce.http.access import BANS
from livecommerce.problems import Problem
from tests.livecommerce.edge import EdgeWorker, edge_worker, until
from tests.livecommerce.test_http_api import open_deal


def viewers(edge: EdgeWorker) -> int:
    return sum(kind == "view" for kind, _ in edge.relay.sessions.values())


async def watching(edge: EdgeWorker, stream_id: str, *user_ids: str) -> list[str]:
    answers = [await edge.offer(f"/whep/{stream_id}", edge.token(user_id, "watch")) for user_id in user_ids]
    assert {a.status for a in answers} == {201}
    return [str(a.headers["Location"]) for a in answers]


async def test_a_ban_ends_the_media_of_that_user_alone_on_the_worker_that_carries_it(redis: Redis) -> None:
    """Nobody has a WebSocket anywhere; the ban is spoken on another worker than the media's."""
    async with edge_worker(redis) as home, edge_worker(redis) as other:
        stream_id = await home.stream()
        await home.go_live(stream_id)
        one, two = await watching(other, stream_id, "bad", "good")
        await watching(home, stream_id, "bad")
        assert viewers(home) == 3
        loop = asyncio.get_running_loop()
        banned_s = loop.time()
        await other.context.chat.ban(stream_id, "bad", seconds=60, by="host")
        await until(lambda: _is(viewers(home) == 1))
        assert loop.time() - banned_s < 0.5, "the event, not the next reading of the list, ended them"
        assert (await other.ask("DELETE", one, token=home.token("bad", "watch"))).code == "session_not_found"
        assert (await other.ask("DELETE", two, token=home.token("good", "watch"))).status == 200
        again = await other.offer(f"/whep/{stream_id}", home.token("bad", "watch"))
        assert (again.status, again.code) == (403, "banned")


async def _is(value: bool) -> bool:
    return value


async def test_a_ban_whose_event_was_lost_ends_the_media_all_the_same(edge: EdgeWorker, redis: Redis) -> None:
    stream_id = await edge.stream()
    await edge.go_live(stream_id)
    await watching(edge, stream_id, "bad", "good")
    await redis.hset(f"lc:{{{stream_id}}}:chat:bans", "bad", 4_000_000_000_000)
    await until(lambda: _is(viewers(edge) == 1))


async def test_a_ban_that_comes_while_the_offer_is_answered_still_counts(
    edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_id = await edge.stream()
    await edge.go_live(stream_id)
    view = edge.relay.view

    async def slow(stream: str, offer: str, *, pull: bool = False) -> object:
        session = await view(stream, offer, pull=pull)
        await edge.context.chat.ban(stream_id, "bad", seconds=60, by="host")
        heard = edge.app[BANS]._watched[stream_id]
        await until(lambda: _is(heard.until_ms("bad") > 0))
        return session

    monkeypatch.setattr(edge.relay, "view", slow)
    answer = await edge.offer(f"/whep/{stream_id}", edge.token("bad", "watch"))
    assert (answer.status, answer.code) == (403, "banned")
    assert viewers(edge) == 0


async def test_the_banned_may_not_claim_until_the_ban_is_lifted_or_over(edge: EdgeWorker, redis: Redis) -> None:
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id)

    async def claim() -> str:
        headers = {"Idempotency-Key": "k"}
        answer = await edge.ask(
            "POST", f"{path}/claims", token=edge.token("b", "buy"), json={"units": 1}, headers=headers
        )
        return "ok" if answer.status == 201 else answer.code

    assert await claim() == "ok"
    chat = edge.context.chat
    await chat.ban(stream_id, "b", seconds=None, by="host")
    await until(lambda: _claims(claim, "banned"))
    await chat.unban(stream_id, "b", by="host")
    await until(lambda: _claims(claim, "ok"))
    await redis.hset(f"lc:{{{stream_id}}}:chat:bans", "b", 1)
    await edge.app[BANS]._refresh(asyncio.get_running_loop().time())
    assert await claim() == "ok"


async def _claims(claim: object, wanted: str) -> bool:
    return bool(await claim() == wanted)  # type: ignore[operator]


async def test_a_stream_nobody_made_opens_no_room_and_idle_ones_are_let_go(
    edge: EdgeWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    bans, hub = edge.app[BANS], edge.context.hub
    with pytest.raises(Exception, match="no such stream"):
        await bans.refuse("sinvented", "u")
    assert await redis.exists("lc:{sinvented}:room") == 0
    monkeypatch.setattr("livecommerce.bans.MOST_WATCHED", 2)
    ids = [await edge.stream() for _ in range(3)]
    for stream_id in ids:
        await bans.refuse(stream_id, "u")
    assert list(bans._watched) == ids[1:]
    rooms = [room for s in ids if (room := hub.room(s)) is not None]
    assert [room.unused for room in rooms] == [True, False, False]
    bans._tidy(asyncio.get_running_loop().time() + 61)
    assert [room.unused for room in rooms] == [True, True, True]


async def test_a_list_that_grew_old_or_too_long_is_not_trusted(
    edge: EdgeWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    bans, stream_id = edge.app[BANS], await edge.stream()
    await bans.refuse(stream_id, "u")
    monkeypatch.setattr("livecommerce.bans.STALE", 0)
    await redis.hset(f"lc:{{{stream_id}}}:chat:bans", "u", 4_000_000_000_000)
    with pytest.raises(Problem) as refused:
        await bans.refuse(stream_id, "u")
    assert refused.value.code == "banned"
    monkeypatch.setattr("livecommerce.bans.STALE", 1000)
    monkeypatch.setattr("livecommerce.bans.MOST_BANS", 1)
    await redis.hset(f"lc:{{{stream_id}}}:chat:bans", "v", 4_000_000_000_000)
    await bans._refresh(asyncio.get_running_loop().time())
    assert bans._watched[stream_id].bans is None
    with pytest.raises(Problem):
        await bans.refuse(stream_id, "v")
    await bans.refuse(stream_id, "w")


async def test_a_ban_that_is_in_no_list_still_ends_the_media(
    edge: EdgeWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is heard while the list is too long, or cannot be read, before anybody could act on it."""
    bans, stream_id = edge.app[BANS], await edge.stream()
    ended: list[str] = []

    class Media:
        def session_kind(self, session_id: str) -> tuple[str, str]:
            return "view", stream_id

        async def end_session(self, session_id: str) -> None:
            ended.append(session_id)

    monkeypatch.setattr(bans, "_media", Media())
    monkeypatch.setattr("livecommerce.bans.MOST_BANS", 0)
    await redis.hset(f"lc:{{{stream_id}}}:chat:bans", "v", 4_000_000_000_000)
    await bans.attach(stream_id, "ann", "session-1")
    watched, now_s = bans._watched[stream_id], asyncio.get_running_loop().time()
    assert watched.sessions == {"ann": {"session-1"}}
    watched._hear("ann", None)
    watched._hear("nobody-here", None)
    await bans._refresh(now_s)
    assert set(watched.heard) == {"ann"}

    async def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(bans._chat, "bans", away)
    await bans._refresh(now_s)
    await bans._end_banned()
    assert ended == ["session-1"]


async def test_what_was_just_opened_is_not_forgotten_before_it_is_asked(edge: EdgeWorker) -> None:
    bans, stream_id = edge.app[BANS], await edge.stream()
    await bans._open(stream_id)
    bans._tidy(asyncio.get_running_loop().time())
    assert stream_id in bans._watched
