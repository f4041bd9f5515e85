"""What every request has in common: ids, addresses, headers, and errors that tell strangers nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from redis.asyncio import Redis

from deals.errors import OutcomeUnknown
from tests.livecommerce.edge import EdgeWorker, edge_worker
from tests.livecommerce.test_http_api import open_deal


async def test_an_unforeseen_error_is_a_problem_with_a_number_for_the_log(
    edge: EdgeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await edge.offer(f"/whip/{await edge.stream()}", edge.token("host", "host"), "explode")
    assert (answer.status, answer.code) == (500, "internal")
    number = answer.headers["X-Request-Id"]
    assert number in answer.body["detail"]
    assert "RuntimeError" not in answer.text
    logged = [r for r in caplog.records if number in r.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


async def test_every_answer_has_its_headers_errors_too(edge: EdgeWorker) -> None:
    numbers = set()
    for method, path in (("GET", "/healthz"), ("GET", "/none"), ("POST", "/api/v1/streams"), ("PATCH", "/studio")):
        answer = await edge.ask(method, path, headers={"Origin": "https://shop.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Location", "ETag", "Link", "Access-Control-Allow-Methods"} <= set(exposed)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Python" not in answer.headers["Server"]
        numbers.add(answer.headers["X-Request-Id"])
    assert len(numbers) == 4


async def urls(edge: EdgeWorker, **headers: str) -> dict[str, Any]:
    stream_id = await edge.stream()
    answer = await edge.ask(
        "GET", f"/api/v1/streams/{stream_id}", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return {name: url.removesuffix(stream_id) for name, url in answer.body["urls"].items()}


async def test_addresses_are_those_the_client_used(edge: EdgeWorker) -> None:
    found = await urls(edge, Host="shop.example:8080")
    assert (found["watch"], found["ws"]) == ("http://shop.example:8080/watch/", "ws://shop.example:8080/ws/")
    assert (await urls(edge, Host="[2001:db8::1]:80"))["whip"] == "http://[2001:db8::1]:80/whip/"


@pytest.mark.parametrize("host", ["evil.example/x", "evil.example#", 'a"><script>', "user@evil.example", "a b"])
async def test_a_host_that_is_none_is_not_repeated(edge: EdgeWorker, host: str) -> None:
    assert (await urls(edge, Host=host))["watch"] == f"{edge.url}/watch/"


async def test_forwarded_addresses_count_only_from_a_trusted_proxy(redis: Redis) -> None:
    forwarded = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "live.example"}
    async with edge_worker(redis, trusted_proxy=("127.0.0.0/8",)) as edge:
        found = await urls(edge, **forwarded)
        assert (found["ws"], found["whep"]) == ("wss://live.example/ws/", "https://live.example/whep/")
    async with edge_worker(redis) as edge:
        assert (await urls(edge, **forwarded))["whep"] == f"{edge.url}/whep/"


async def test_the_public_address_wins(redis: Redis) -> None:
    async with edge_worker(redis, public_url="https://live.example/") as edge:
        found = await urls(edge, Host="10.0.0.3")
        assert found == {
            "whip": "https://live.example/whip/",
            "whep": "https://live.example/whep/",
            "ws": "wss://live.example/ws/",
            "watch": "https://live.example/watch/",
        }


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 201),
        ({"guests": "off"}, 403),
        ({"host": "0.0.0.0"}, 403),
        ({"host": "0.0.0.0", "demo": True}, 201),
        ({"host": "0.0.0.0", "guests": "on"}, 201),
    ],
)
async def test_guests_are_welcome_where_they_are_on(redis: Redis, settings: dict[str, Any], status: int) -> None:
    async with edge_worker(redis, **settings) as edge:
        answer = await edge.ask("POST", "/api/v1/guest", json={"name": "Ann"})
        assert answer.status == status
        if status == 403:
            assert answer.code == "guests_off"


async def test_a_token_for_one_stream_reaches_no_other(edge: EdgeWorker) -> None:
    mine, other = await edge.stream("h"), await edge.stream("h")
    named = edge.token("assistant", "host", stream=mine)
    assert (await edge.ask("GET", f"/api/v1/streams/{mine}/orders", token=named)).status == 200
    assert (await edge.ask("GET", f"/api/v1/streams/{other}/orders", token=named)).code == "forbidden"
    assert (await edge.ask("POST", "/api/v1/streams", token=named, json={"title": "x"})).code == "forbidden"
    path = await open_deal(edge, await edge.stream())
    foreign = edge.token("b", "buy", stream=mine)
    answer = await edge.ask(
        "POST", f"{path}/claims", token=foreign, json={"units": 1}, headers={"Idempotency-Key": "k"}
    )
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_an_unknown_outcome_is_202_and_the_same_key_finds_it(
    edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await open_deal(edge, await edge.stream())
    deals = edge.context.deals
    claim = deals.claim

    async def loses_the_answer(*args: Any, **how: Any) -> Any:
        await claim(*args, **how)
        raise OutcomeUnknown("The answer was lost.")

    async def ask() -> Any:
        return await edge.ask(
            "POST", f"{path}/claims", token=edge.token("b", "buy"), json={"units": 1}, headers={"Idempotency-Key": "k"}
        )

    monkeypatch.setattr(deals, "claim", loses_the_answer)
    unknown = await ask()
    assert (unknown.status, unknown.body, unknown.headers["Retry-After"]) == (202, {"state": "processing"}, "1")
    monkeypatch.setattr(deals, "claim", claim)
    assert (await ask()).status == 201
    assert (await edge.ask("GET", path)).body["held"] == 1


async def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(edge: EdgeWorker) -> None:
    host, _, port = edge.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    token = edge.token("h", "host")
    writer.write(
        f"POST /api/v1/streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    await writer.drain()
    writer.transport.abort()
    assert (await edge.ask("GET", "/healthz")).status == 200


async def test_a_body_that_never_arrives_is_not_waited_for(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.http.bodies.BODY_TIMEOUT_S", 0.05)
    host, _, port = edge.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/guest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    writer.close()
