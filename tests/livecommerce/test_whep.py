"""WHEP: what each state of a stream answers, who may watch, and that any worker will do."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from streams.relay_errors import Full
from tests.livecommerce.edge import GENEROUS, OFFER, Answer, EdgeWorker, edge_worker


async def test_before_the_start_a_viewer_is_told_to_come_back(edge: EdgeWorker) -> None:
    answer = await edge.offer(f"/whep/{await edge.stream()}", edge.token("v", "watch"))
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (409, "not_live", "2")
    assert answer.body["retry_after_ms"] == 2000


async def test_a_live_and_an_interrupted_stream_are_watched_an_ended_one_is_gone(edge: EdgeWorker) -> None:
    stream_id, viewer = await edge.stream(), edge.token("v", "watch")
    session = await edge.go_live(stream_id)
    live = await edge.offer(f"/whep/{stream_id}", viewer)
    assert live.status == 201
    assert live.headers["Location"].startswith(f"/whep/{stream_id}/")
    await edge.context.streams.interrupted(stream_id, session_id=session.rpartition("/")[2])
    assert (await edge.offer(f"/whep/{stream_id}", viewer)).status == 201
    await edge.ask("DELETE", f"/api/v1/streams/{stream_id}", token=edge.token("host", "host"))
    ended = await edge.offer(f"/whep/{stream_id}", viewer)
    assert (ended.status, ended.code) == (404, "stream_not_found")


async def test_watching_needs_the_grant_for_this_stream_and_no_ban(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    await edge.go_live(stream_id)
    path = f"/whep/{stream_id}"
    assert (await edge.offer(path, None)).code == "token_required"
    assert (await edge.offer(path, edge.token("v", "chat"))).code == "forbidden"
    assert (await edge.offer(path, edge.token("v", "watch", stream="sother"))).code == "forbidden"
    await edge.context.chat.ban(stream_id, "v", seconds=60, by="host")
    banned = await edge.offer(path, edge.token("v", "watch"))
    assert (banned.status, banned.code) == (403, "banned")
    assert (await edge.offer(path, edge.token("w", "watch", stream=stream_id))).status == 201


async def test_a_viewer_leaves_through_the_location(edge: EdgeWorker) -> None:
    stream_id, viewer = await edge.stream(), edge.token("v", "watch")
    await edge.go_live(stream_id)
    location = (await edge.offer(f"/whep/{stream_id}", viewer)).headers["Location"]
    assert len(edge.relay.sessions) == 2
    assert (await edge.ask("DELETE", location, token=viewer)).status == 200
    assert len(edge.relay.sessions) == 1


async def test_any_worker_answers_a_viewer_of_a_stream_that_lives_elsewhere(redis: Redis) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        stream_id, viewer = await one.stream(), one.token("v", "watch")
        await one.go_live(stream_id)
        answer = await two.offer(f"/whep/{stream_id}", viewer)
        assert (answer.status, answer.headers["Content-Type"]) == (201, "application/sdp")
        assert answer.headers["Location"].startswith(f"/whep/{stream_id}/{one.context.worker_id}.")
        assert (answer.headers["ETag"], answer.headers["Access-Control-Allow-Origin"]) == ('"first"', "*")
        refused = await two.offer(f"/whep/{stream_id}", viewer, "rubbish")
        assert (refused.status, refused.code) == (400, "bad_sdp")
        assert refused.headers.getall("Access-Control-Allow-Origin") == ["*"]
        assert (await two.ask("DELETE", answer.headers["Location"], token=viewer)).status == 200
        assert {kind for kind, _ in one.relay.sessions.values()} == {"publish"}


async def test_a_full_worker_says_when_to_come_back(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    stream_id = await edge.stream()
    await edge.go_live(stream_id)

    async def full(*_: object, **__: object) -> None:
        raise Full("No more.", retry_after_ms=2000)

    monkeypatch.setattr(edge.relay, "view", full)
    monkeypatch.setattr(edge.relay, "publish", full)
    for path, token in (
        (f"/whep/{stream_id}", edge.token("v", "watch")),
        (f"/whip/{stream_id}", edge.token("host", "host")),
    ):
        answer = await edge.offer(path, token)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "full", "2")


async def test_one_address_cannot_fill_a_worker_with_sessions(redis: Redis) -> None:
    """Counted from the offer on, for none of its peers need ever come; who leaves makes room."""
    limits = msgspec.structs.replace(GENEROUS, mediaaddress=3)
    async with edge_worker(redis, trusted_proxy=("127.0.0.0/8",), limits=limits) as edge:
        stream_id, viewer = await edge.stream(), edge.token("v", "watch")
        await edge.go_live(stream_id)

        async def watch(address: str) -> Answer:
            headers = {"Content-Type": "application/sdp", "X-Forwarded-For": address}
            return await edge.ask("POST", f"/whep/{stream_id}", token=viewer, data=OFFER, headers=headers)

        watching = [await watch(f"2001:db8::{each}") for each in (1, 2, 3)]
        assert [each.status for each in watching] == [201] * 3
        refused = await watch("2001:db8::4")
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "full", "5")
        assert [(await watch(each)).status for each in ("2001:db8:0:1::1", "127.0.0.1")] == [201, 201]
        await edge.ask("DELETE", watching[0].headers["Location"], token=viewer)
        assert [(await watch("2001:db8::4")).status for _ in range(2)] == [201, 503]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_other_methods_are_refused_with_what_is_allowed(edge: EdgeWorker, method: str) -> None:
    answer = await edge.ask(method, f"/whep/{await edge.stream()}")
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", "POST")


async def test_nobody_outside_can_pretend_to_be_a_worker(edge: EdgeWorker) -> None:
    """The internal instruction, and the hop header, need the group's signature for exactly this request."""
    stream_id = await edge.stream()
    await edge.go_live(stream_id)
    path = f"/internal/streams/{stream_id}/end"
    hops = edge.app_hops()
    good = hops.header("POST", path, "")
    forged = [
        "",
        "w1 1 - 00",
        "w1 notanumber - " + good.rpartition(" ")[2],
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        hops.header("GET", path, ""),
        hops.header("POST", "/internal/streams/sother/end", ""),
        "é" * 4,
    ]
    for header in forged:
        answer = await edge.ask("POST", path, headers={"Livecommerce-Hop": header})
        assert (answer.status, answer.code) == (404, "not_found"), header
    assert edge.relay.ended == []
    assert (await edge.ask("POST", path, headers={"Livecommerce-Hop": good})).status == 204
    assert edge.relay.ended == [stream_id]
