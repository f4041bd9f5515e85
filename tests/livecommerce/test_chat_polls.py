"""Polls through a real WebSocket."""

from __future__ import annotations

from typing import Any

import pytest

from chat import keys
from livecommerce import poll_clock
from tests.livecommerce.rooms import RoomWorker, eventually, room_worker
from tests.livecommerce.test_chat_commands import ok, refused, worker

__all__ = ["worker"]


def _is_count(event: dict[str, Any], votes: int) -> bool:
    return bool(event["type"] == "poll.counts" and event["data"]["votes"] == votes)


async def is_over(worker: RoomWorker, stream_id: str) -> None:
    """The time of the stream's poll has come."""
    await worker.context.redis.hset(keys.poll(stream_id), "closes_at_ms", worker.context.clock.now_ms())


async def test_a_poll_counts_one_vote_a_user_and_closes_by_itself(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_clock, "INTERVAL_S", 0.05)
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        stream_id = await one.stream()
        host = await one.host(stream_id)
        viewers = [await worker.join(stream_id, f"u{n}") for n, worker in enumerate((one, two) * 4)]
        poll = await one.context.chat.polls.open(stream_id, "Which colour?", ["red", "blue", "green"], seconds=60)
        opened = (await viewers[1].event("poll.opened"))["data"]["poll"]
        assert (opened["id"], opened["counts"], opened["state"]) == (poll.id, [0, 0, 0], "open")
        assert await refused(host, "poll.open", question="More?", answers=["yes", "no"]) == "illegal_state"
        for n, viewer in enumerate(viewers):
            await ok(viewer, "poll.vote", poll_id=poll.id, answer=n % 2)
        assert await refused(viewers[0], "poll.vote", poll_id=poll.id, answer=2) == "illegal_state"
        assert await refused(host, "poll.vote", poll_id=poll.id, answer=3) == "poll_not_found"
        assert await refused(host, "poll.vote", poll_id="poll1", answer=0) == "poll_not_found"
        watcher = viewers[3]
        await watcher.until(lambda: any(_is_count(e, 8) for e in watcher.events), "all counted and shown")
        late = await two.join(stream_id, "late")
        assert late.joined["chat"]["poll"]["votes"] == 8
        await is_over(one, stream_id)
        closed = (await watcher.event("poll.closed"))["data"]["poll"]
        assert (closed["counts"], closed["votes"], closed["state"]) == ([4, 4, 0], 8, "closed")
        assert await refused(late, "poll.vote", poll_id=poll.id, answer=0) == "illegal_state"
        assert (await ok(host, "poll.close", poll_id=poll.id))["poll"]["state"] == "closed"
        for worker in (one, two):
            await worker.context.chat.polls.tick(stream_id)  # whoever looks again: it closed once
        await ok(host, "chat.send", text="thanks")
        await watcher.until(lambda: "thanks" in watcher.texts)
        assert [e["type"] for e in watcher.numbered].count("poll.closed") == 1


async def test_a_poll_is_closed_by_its_host_and_a_new_one_may_follow(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host = await worker.host(stream_id)
    assert await refused(host, "poll.open", question="Same?", answers=["a", " a"]) == "invalid"
    assert await refused(host, "poll.open", question=" ", answers=["a", "b"]) == "invalid"
    assert await refused(host, "poll.open", question="One?", answers=["a"]) == "invalid"
    assert await refused(host, "poll.close", poll_id="poll1") == "poll_not_found"
    first = (await ok(host, "poll.open", question="First?", answers=["a", "b"]))["poll"]
    closed = (await ok(host, "poll.close", poll_id=first["id"]))["poll"]
    assert closed["state"] == "closed"
    # who comes now is shown the result, and how old it is
    late = await worker.join(stream_id, "late")
    assert late.joined["chat"]["poll"] == closed
    assert closed["closes_at_ms"] <= late.joined["server_ms"] < first["closes_at_ms"]
    second = (await ok(host, "poll.open", question="Second?", answers=["a", "b"]))["poll"]
    assert second["id"] != first["id"]
    assert await refused(host, "poll.vote", poll_id=first["id"], answer=0) == "poll_not_found"


async def test_a_poll_is_closed_by_whoever_is_left_and_by_who_came_after_it_opened(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_clock, "INTERVAL_S", 0.05)
    async with room_worker(valkey_url) as there:
        async with room_worker(valkey_url) as gone:
            stream_id = await gone.stream()
            ann = await there.join(stream_id, "ann")
            await gone.host(stream_id)
            await gone.context.chat.polls.open(stream_id, "Who closes?", ["a", "b"], seconds=60)
            await ann.event("poll.opened")
        async with room_worker(valkey_url) as late:
            bob = await late.join(stream_id, "bob")
            rooms = [worker.context.hub.room(stream_id) for worker in (there, late)]
            assert [room is not None and room.poll_open for room in rooms] == [True, True]
            await is_over(late, stream_id)
            for viewer in (ann, bob):
                assert (await viewer.event("poll.closed"))["data"]["poll"]["state"] == "closed"
            await eventually(lambda: not any(room is not None and room.poll_open for room in rooms))
