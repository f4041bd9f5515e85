"""WHIP on one worker and across two: takeover, sessions, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re

import pytest
from redis.asyncio import Redis

from livecommerce import keys
from livecommerce.http import placement
from livecommerce.http.turn import ice_server_links
from streams.errors import StreamsError
from streams.relay_errors import BadFragment, PreconditionFailed, PreconditionRequired, SessionNotFound
from tests.livecommerce.edge import OFFER, EdgeWorker, edge_worker

FRAGMENT = "application/trickle-ice-sdpfrag"


async def test_an_offer_is_answered_with_a_session(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    answer = await edge.offer(f"/whip/{stream_id}", edge.token("host", "host"))
    assert (answer.status, answer.headers["Content-Type"]) == (201, "application/sdp")
    assert answer.text.startswith("v=0")
    assert re.fullmatch(rf"/whip/{stream_id}/{edge.context.worker_id}\.\w+", answer.headers["Location"])
    assert re.fullmatch(r'"[^"]+"', answer.headers["ETag"]), "a strong entity tag"
    assert "Link" not in answer.headers


async def test_candidates_trickle_and_a_restart_answers_with_the_new_tag(edge: EdgeWorker) -> None:
    host = edge.token("host", "host")
    session = await edge.go_live(await edge.stream())
    kind = {"Content-Type": FRAGMENT}
    trickled = await edge.ask("PATCH", session, token=host, data="a=end-of-candidates\r\n", headers=kind)
    assert (trickled.status, trickled.text) == (204, "")
    restarted = await edge.ask(
        "PATCH", session, token=host, data="a=ice-ufrag:x\r\n", headers={**kind, "If-Match": "*"}
    )
    assert (restarted.status, restarted.headers["ETag"], restarted.headers["Content-Type"].partition(";")[0]) == (
        200,
        '"second"',
        FRAGMENT,
    )
    assert [(body, tag) for _, body, tag in edge.relay.patched] == [
        ("a=end-of-candidates\r\n", None),
        ("a=ice-ufrag:x\r\n", "*"),
    ]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (PreconditionRequired("Which one?"), 428),
        (PreconditionFailed("Another one now."), 412),
        (BadFragment("No fragment."), 422),
        (SessionNotFound("Gone meanwhile."), 404),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_what_a_patch_is_refused_with(
    edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch, refusal: StreamsError, status: int
) -> None:
    host, session = edge.token("host", "host"), await edge.go_live(await edge.stream())

    async def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(edge.relay, "patch", refuse)
    answer = await edge.ask("PATCH", session, token=host, data="a=ice-ufrag:x\r\n", headers={"Content-Type": FRAGMENT})
    assert (answer.status, answer.code) == (status, refusal.code)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    for kind, code in (("application/sdp", 415), (FRAGMENT, status)):
        headers = {"Content-Type": kind}
        assert (await edge.ask("PATCH", session, token=host, data="a=x\r\n", headers=headers)).status == code


async def test_a_session_is_ended_once(edge: EdgeWorker) -> None:
    host = edge.token("host", "host")
    session = await edge.go_live(await edge.stream())
    assert (await edge.ask("DELETE", session, token=host)).status == 200
    assert (await edge.ask("DELETE", session, token=host)).code == "session_not_found"


@pytest.mark.parametrize(
    ("offer", "kind", "status", "code"),
    [
        (OFFER, "text/plain", 415, "unsupported_media_type"),
        ("", "application/sdp", 400, "bad_sdp"),
        ("rubbish", "application/sdp", 400, "bad_sdp"),
        (b"\xff\xfe\x00", "application/sdp", 400, "malformed"),
        ("v" * (256 * 1024 + 1), "application/sdp", 413, "too_large"),
        ("explode", "application/sdp", 500, "internal"),
    ],
)
async def test_a_bad_offer_has_its_code_and_harms_nobody(
    edge: EdgeWorker, offer: str, kind: str, status: int, code: str
) -> None:
    stream_id = await edge.stream()
    host = edge.token("host", "host")
    answer = await edge.offer(f"/whip/{stream_id}", host, offer, kind)
    assert (answer.status, answer.code) == (status, code)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert (await edge.offer(f"/whip/{stream_id}", host)).status == 201


async def test_the_largest_allowed_offer_reaches_the_relay(edge: EdgeWorker) -> None:
    answer = await edge.offer(f"/whip/{await edge.stream()}", edge.token("host", "host"), "v" * 256 * 1024)
    assert (answer.status, answer.code) == (400, "bad_sdp")


async def test_only_the_host_goes_live(edge: EdgeWorker) -> None:
    stream_id = await edge.stream("host")
    path = f"/whip/{stream_id}"
    assert (await edge.offer(path, None)).code == "token_required"
    assert (await edge.offer(path, edge.token("somebody", "host", "watch"))).code == "forbidden"
    assert (await edge.offer(path, edge.token("host", "watch"))).code == "forbidden"
    assert (await edge.offer("/whip/sunknown", edge.token("host", "host"))).code == "stream_not_found"
    for trusted in (edge.token("boss", "admin"), edge.token("obs", "host", stream=stream_id)):
        assert (await edge.offer(path, trusted)).status == 201
    session = await edge.go_live(stream_id)
    assert (await edge.ask("DELETE", session, token=edge.token("somebody", "host"))).code == "forbidden"
    assert (await edge.ask("DELETE", session)).code == "token_required"


async def test_an_ended_stream_takes_no_publisher(edge: EdgeWorker) -> None:
    stream_id, host = await edge.stream(), edge.token("host", "host")
    await edge.ask("DELETE", f"/api/v1/streams/{stream_id}", token=host)
    answer = await edge.offer(f"/whip/{stream_id}", host)
    assert (answer.status, answer.code) == (409, "stream_ended")


async def test_a_session_is_found_only_in_its_own_stream_and_kind(edge: EdgeWorker) -> None:
    host = edge.token("host", "host", "watch")
    one, other = await edge.stream(), await edge.stream()
    session_id = (await edge.go_live(one)).rpartition("/")[2]
    for path in (f"/whip/{other}/{session_id}", f"/whep/{one}/{session_id}", f"/whip/{one}/w9.unknown"):
        assert (await edge.ask("DELETE", path, token=host)).code == "session_not_found"
    assert session_id in edge.relay.sessions


async def test_turn_servers_are_told_with_credentials_that_expire(redis: Redis) -> None:
    async with edge_worker(redis, turn_url="turn:turn.example.org:3478", turn_secret="shared") as edge:
        answer = await edge.offer(f"/whip/{await edge.stream()}", edge.token("host", "host"))
        links = answer.headers.getall("Link")
        assert [link.partition(">")[0] for link in links] == [
            "<turn:turn.example.org:3478?transport=udp",
            "<turn:turn.example.org:3478?transport=tcp",
        ]
        named = dict(re.findall(r'([\w-]+)="([^"]*)"', links[0]))
        assert (named["rel"], named["credential-type"]) == ("ice-server", "password")
        expires_s, _, user = named["username"].partition(":")
        assert user == "host"
        assert 0 < int(expires_s) - edge.context.clock.now_ms() // 1000 <= 12 * 3600
        expected = base64.b64encode(hmac.digest(b"shared", named["username"].encode(), "sha1")).decode()
        assert named["credential"] == expected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("turn:t:3478", ["turn:t:3478?transport=udp", "turn:t:3478?transport=tcp"]),
        ("turns:t:5349", ["turns:t:5349?transport=tcp"]),
        ("turn:t:3478?transport=tcp", ["turn:t:3478?transport=tcp"]),
        ("", []),
    ],
)
def test_each_way_to_a_turn_server_is_told(url: str, told: list[str]) -> None:
    links = ice_server_links(url, "shared", user_id='a"\r\n;b', now_s=0)
    assert [link[1:].partition(">")[0] for link in links] == told
    assert all(link.isprintable() and link.count('"') == 8 for link in links), "a user's id cannot break the header"


async def test_a_preflight_says_what_a_player_needs(edge: EdgeWorker) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    for path in ("/whip/sx", "/whep/sx", "/whep/sx/w1.abc", "/api/v1/streams"):
        answer = await edge.ask("OPTIONS", path, headers=asked)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert {"POST", "PATCH", "DELETE", "OPTIONS"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert {"Content-Type", "Authorization", "If-Match", "ETag", "Idempotency-Key"} <= set(
            answer.headers["Access-Control-Allow-Headers"].split(", ")
        )
        assert ("Accept-Post" in answer.headers) == path.startswith("/wh")
    assert (await edge.ask("OPTIONS", "/whip/sx")).headers["Accept-Post"] == "application/sdp"


async def test_a_host_that_reconnects_through_another_worker_keeps_its_home(redis: Redis) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        host = one.token("host", "host")
        stream_id = await one.stream()
        assert (await one.offer(f"/whip/{stream_id}", host)).status == 201
        again = await two.offer(f"/whip/{stream_id}", host)
        assert again.status == 201
        assert again.headers["Location"].startswith(f"/whip/{stream_id}/{one.context.worker_id}.")
        assert len(one.relay.sessions) == 2
        assert two.relay.sessions == {}


async def test_sessions_are_patched_and_ended_through_any_worker(redis: Redis) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        host = one.token("host", "host")
        session = await one.go_live(await one.stream())
        kind = {"Content-Type": FRAGMENT, "If-Match": '"first"'}
        patched = await two.ask("PATCH", session, token=host, data="a=ice-ufrag:x\r\n", headers=kind)
        assert (patched.status, patched.headers["ETag"]) == (200, '"second"')
        assert one.relay.patched[0][1:] == ("a=ice-ufrag:x\r\n", '"first"')
        assert (await two.ask("DELETE", session, token=two.token("x", "host"))).code == "forbidden"
        assert (await two.ask("DELETE", session, token=host)).status == 200
        gone = await two.ask("DELETE", session, token=host)
        assert (gone.status, gone.code) == (404, "session_not_found")


async def test_a_dead_home_is_replaced_and_its_sessions_are_unknown(redis: Redis) -> None:
    async with edge_worker(redis) as two:
        async with edge_worker(redis) as one:
            session = await one.go_live(await one.stream())
            stream_id = session.split("/")[2]
        host = two.token("host", "host")
        assert (await two.ask("DELETE", session, token=host)).code == "session_not_found"
        again = await two.offer(f"/whip/{stream_id}", host)
        assert again.headers["Location"].startswith(f"/whip/{stream_id}/{two.context.worker_id}.")


async def test_a_worker_that_was_taken_for_dead_is_home_again_of_the_media_that_arrives_there(redis: Redis) -> None:
    """Valkey did not hear of it for some seconds, and somebody was asked meanwhile."""
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        session = await one.go_live(await one.stream())
        stream_id = session.split("/")[2]
        await redis.delete(keys.worker(one.context.worker_id))
        viewer = two.token("v", "watch")
        assert (await two.offer(f"/whep/{stream_id}", viewer)).status == 201
        assert await redis.get(keys.home(stream_id)) == two.context.worker_id.encode()
        await one.context.workers.announce()
        for _ in range(2):
            await placement.keep_home(one.context, stream_id)
            assert await redis.get(keys.home(stream_id)) == one.context.worker_id.encode()
        answer = await two.offer(f"/whep/{stream_id}", viewer)
        assert answer.headers["Location"].startswith(f"/whep/{stream_id}/{one.context.worker_id}.")


async def test_a_home_that_was_killed_a_moment_ago_is_replaced_at_once(redis: Redis) -> None:
    async with edge_worker(redis) as two, edge_worker(redis) as one:
        session = await one.go_live(await one.stream())
        stream_id = session.split("/")[2]
        await one.server.close()  # its address is still in the directory, as after a kill -9
        assert await redis.get(keys.worker(one.context.worker_id)) is not None
        again = await two.offer(f"/whip/{stream_id}", two.token("host", "host"))
        assert again.headers["Location"].startswith(f"/whip/{stream_id}/{two.context.worker_id}.")
        gone = await two.ask("DELETE", session, token=two.token("host", "host"))
        assert (gone.status, gone.code) == (404, "session_not_found")


async def test_ending_a_stream_through_another_worker_ends_its_media_at_home(redis: Redis) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        session = await one.go_live(await one.stream())
        stream_id = session.split("/")[2]
        ended = await two.ask("DELETE", f"/api/v1/streams/{stream_id}", token=two.token("host", "host"))
        assert ended.status == 200
        assert (one.relay.ended, one.relay.sessions) == ([stream_id], {})
        assert await redis.get(keys.home(stream_id)) is None


async def test_the_first_offers_on_two_workers_at_once_settle_on_one(redis: Redis) -> None:
    async with edge_worker(redis) as one, edge_worker(redis) as two:
        host = one.token("host", "host")
        for _ in range(10):
            path = f"/whip/{await one.stream()}"
            answers = await asyncio.gather(one.offer(path, host), two.offer(path, host))
            assert len({a.headers["Location"].rpartition("/")[2].partition(".")[0] for a in answers}) == 1
