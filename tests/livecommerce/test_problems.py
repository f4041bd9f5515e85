"""Every bad input over HTTP has its documented code, as a whole problem document, and harms nobody."""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

import chat
import deals
import livecommerce
import streams
from livecommerce.http.answers import DEFAULT_RETRY_MS
from livecommerce.problems import KINDS
from tests.api import DEAL
from tests.livecommerce.edge import SECRET, EdgeWorker
from tests.livecommerce.test_http_api import PRODUCT, open_deal

JSON = {"Content-Type": "application/json"}


def domain_errors() -> Iterator[type[Exception]]:
    for package in (chat, deals, streams, livecommerce):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "error" not in module.name or module.name.startswith("livecommerce.client"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    isinstance(value, type)
                    and issubclass(value, Exception)
                    and isinstance(getattr(value, "code", None), str)
                ):
                    yield value


def test_every_domain_error_has_its_row() -> None:
    found = list(domain_errors())
    assert len(found) > 20
    assert {e.code for e in found if e.code not in KINDS} == set()  # type: ignore[attr-defined]


def test_every_row_is_a_refusal_and_temporary_ones_say_when_to_come_back() -> None:
    assert all(400 <= kind.status < 600 for kind in KINDS.values())
    assert set(DEFAULT_RETRY_MS) <= set(KINDS)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"title":"\xff"}', 400, "malformed"),
        (b'{"title":"\\ud800"}', 400, "malformed"),
        (b"[" * 60_000, 422, "invalid"),
        (b'{"title":' + b"[" * 60_000, 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"title":1}', 422, "invalid"),
        (b'{"title":""}', 422, "invalid"),
        (b'{"title":"\\u0007 \\u202e"}', 422, "invalid"),
        (b'{"title":"x","host":{"id":"me"}}', 422, "invalid"),
        (json.dumps({"title": "x" * 121}).encode(), 422, "invalid"),
        (b'{"title":"' + b"x" * 64 * 1024 + b'"}', 413, "too_large"),
        (b" " * (1024 * 1024), 413, "too_large"),
    ],
)
async def test_a_bad_body_has_its_code(edge: EdgeWorker, body: bytes, status: int, code: str) -> None:
    answer = await edge.ask("POST", "/api/v1/streams", token=edge.token("h", "host"), data=body, headers=JSON)
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_body_without_a_length_is_bounded_too(edge: EdgeWorker) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 16_384

    answer = await edge.ask("POST", "/api/v1/streams", token=edge.token("h", "host"), data=endless(), headers=JSON)
    assert (answer.status, answer.code) == (413, "too_large")


async def test_another_media_type_is_refused(edge: EdgeWorker) -> None:
    answer = await edge.ask(
        "POST",
        "/api/v1/streams",
        token=edge.token("h", "host"),
        data=b"title=x",
        headers={"Content-Type": "text/plain"},
    )
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def tokens() -> dict[str, tuple[str, str]]:
    def made(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
        claims: dict[str, Any] = {
            "sub": "h",
            "can": ["host"],
            "stream": "*",
            "aud": "livecommerce",
            "exp": 4_000_000_000,
        }
        claims.update(changes)
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm=algorithm)

    return {
        "expired": (made(exp=1_000_000_000), "token_expired"),
        "forged": (made("another-secret-of-at-least-32-bytes!!"), "token_invalid"),
        "unsigned": (jwt.encode({"sub": "h", "aud": "livecommerce"}, "", algorithm="none"), "token_invalid"),
        "another algorithm": (made("x" * 64, algorithm="HS512"), "token_invalid"),
        "without expiry": (made(exp=None), "token_invalid"),
        "for another audience": (made(aud="shop"), "token_invalid"),
        "without subject": (made(sub=None), "token_invalid"),
        "with grants of a wrong form": (made(can="host"), "token_invalid"),
        "with an empty subject": (made(sub=""), "token_invalid"),
        "rubbish": ("rubbish", "token_invalid"),
        "nothing": ("", "token_required"),
    }


@pytest.mark.parametrize("name", list(tokens()))
async def test_a_bad_token_has_its_code_and_is_not_repeated(edge: EdgeWorker, name: str) -> None:
    token, code = tokens()[name]
    answer = await edge.ask("POST", "/api/v1/streams", token=token, json={"title": "x"})
    assert (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, code, "Bearer")
    assert not token or token not in answer.text


@pytest.mark.parametrize("header", ["Basic aGk6aGk=", "Bearer", "bearer  ", "Token x"])
async def test_another_authorization_is_no_token(edge: EdgeWorker, header: str) -> None:
    answer = await edge.ask("POST", "/api/v1/streams", headers={"Authorization": header}, json={"title": "x"})
    assert (answer.status, answer.code) == (401, "token_required")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stock": -1}, "invalid"),
        ({"stock": 0}, "invalid"),
        ({"stock": 10**30}, "invalid"),
        ({"stock": 1.5}, "invalid"),
        ({"stock": "3"}, "invalid"),
        ({"stock": True}, "invalid"),
        ({"price": {"amount": -1, "currency": "EUR"}}, "invalid"),
        ({"price": {"amount": 2**63, "currency": "EUR"}}, "invalid"),
        ({"price": {"amount": 1, "currency": "eur"}}, "invalid"),
        ({"price": {"amount": 1, "currency": "EUR", "vat": 21}}, "invalid"),
        ({"compare_at": {"amount": 1, "currency": "USD"}}, "invalid"),
        ({"image_url": "javascript:alert(1)"}, "invalid"),
        ({"duration_s": 10**9}, "invalid"),
        ({"hold_s": -5}, "invalid"),
        ({"per_buyer_limit": 0}, "invalid"),
        ({"opens_at_ms": 2**62}, "invalid"),
        ({"title": "x" * 500}, "invalid"),
        ({"left": 3}, "invalid"),
    ],
)
async def test_a_bad_deal_has_its_code(edge: EdgeWorker, changes: dict[str, Any], code: str) -> None:
    path = f"/api/v1/streams/{await edge.stream()}/deals"
    answer = await edge.ask("POST", path, token=edge.token("host", "host"), json=DEAL | changes)
    assert (answer.status, answer.code) == (422, code)
    assert (await edge.ask("GET", path)).body["items"] == []


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        ({"units": 1}, None, 400, "key_required"),
        ({"units": 1}, "", 400, "key_required"),
        ({"units": 1}, "k" * 129, 422, "invalid"),
        ({"units": 1}, "ké", 422, "invalid"),
        ({"units": 1}, "a\tb", 422, "invalid"),
        ({"units": 0}, "k", 422, "invalid"),
        ({"units": -3}, "k", 422, "invalid"),
        ({"units": 10**25}, "k", 422, "invalid"),
        ({"units": "1"}, "k", 422, "invalid"),
        ({"units": 1, "price": 0}, "k", 422, "invalid"),
        ({}, "k", 422, "invalid"),
        ({"units": 2}, "k", 403, "limit_reached"),
    ],
)
async def test_a_bad_claim_has_its_code_and_takes_nothing(
    edge: EdgeWorker, body: dict[str, Any], key: str | None, status: int, code: str
) -> None:
    path = await open_deal(edge, await edge.stream())
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await edge.ask("POST", f"{path}/claims", token=edge.token("b", "buy"), json=body, headers=headers)
    assert (answer.status, answer.code) == (status, code), answer
    deal = (await edge.ask("GET", path)).body
    assert (deal["left"], deal["held"]) == (3, 0)


async def test_a_reused_key_and_a_sold_out_and_an_unopened_deal_have_their_codes(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id, stock=2, per_buyer_limit=2)

    async def claim(user: str, units: int, key: str, where: str = path) -> Any:
        return await edge.ask(
            "POST",
            f"{where}/claims",
            token=edge.token(user, "buy"),
            json={"units": units},
            headers={"Idempotency-Key": key},
        )

    assert (await claim("a", 1, "k")).status == 201
    reused = await claim("a", 2, "k")
    assert (reused.status, reused.code) == (422, "key_reused")
    assert (await claim("b", 1, "k")).status == 201
    sold_out = await claim("c", 1, "k")
    assert (sold_out.status, sold_out.code) == (409, "sold_out")
    host = edge.token("host", "host")
    waiting = await edge.ask("POST", f"/api/v1/streams/{stream_id}/deals", token=host, json=DEAL)
    not_open = await claim("a", 1, "n", f"/api/v1/streams/{stream_id}/deals/{waiting.body['id']}")
    assert (not_open.status, not_open.code) == (409, "not_open")


async def test_what_is_missing_comes_before_what_is_forbidden_and_that_before_what_is_wrong(edge: EdgeWorker) -> None:
    """401, 404, 403, 400/422, 409: one request with everything wrong, mended step by step."""
    stream_id = await edge.stream()
    path = await open_deal(edge, stream_id)
    unknown = f"/api/v1/streams/{stream_id}/deals/dunknown"
    watcher, buyer = edge.token("b", "watch"), edge.token("b", "buy")

    async def code(where: str, **how: Any) -> str:
        return (await edge.ask("POST", f"{where}/claims", data=b"{", **how)).code

    key = {"Idempotency-Key": "k", **JSON}
    assert await code(unknown, headers=JSON) == "token_required"
    assert await code(unknown, token=watcher, headers=JSON) == "deal_not_found"
    assert await code(path, token=watcher, headers=JSON) == "forbidden"
    assert await code(path, token=buyer, headers=JSON) == "key_required"
    assert await code(path, token=buyer, headers=key) == "malformed"
    await edge.context.chat.ban(stream_id, "b", seconds=60, by="host")
    assert await code(path, token=buyer, headers=JSON) == "banned"


async def test_somebody_elses_order_is_no_order(edge: EdgeWorker) -> None:
    path = await open_deal(edge, await edge.stream())
    claimed = await edge.ask(
        "POST", f"{path}/claims", token=edge.token("a", "buy"), json={"units": 1}, headers={"Idempotency-Key": "k"}
    )
    order, other = f"/api/v1/orders/{claimed.body['id']}", edge.token("b", "buy", "host")
    assert (await edge.ask("GET", order, token=other)).code == "order_not_found"
    assert (await edge.ask("POST", f"{order}/cancel", token=other)).code == "order_not_found"
    assert (await edge.ask("POST", f"{order}/refund", token=other)).code == "order_not_found"
    paid = await edge.ask("POST", f"{order}/pay", token=other, json={"payment_token": "pm_ok"})
    assert (paid.status, paid.code) == (404, "order_not_found")
    assert (await edge.ask("POST", f"{order}/refund", token=edge.token("a", "buy"))).code == "forbidden"
    assert (await edge.ask("GET", order, token=edge.token("a", "buy"))).body["state"] == "held"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/streams/snone", 404, "stream_not_found"),
        ("DELETE", "/api/v1/streams/snone", 404, "stream_not_found"),
        ("GET", "/api/v1/streams/s%7Bx%7D", 404, "not_found"),
        ("GET", "/api/v1/streams/%00", 404, "stream_not_found"),
        ("GET", "/api/v1/streams/" + "s" * 3000, 404, "stream_not_found"),
        ("GET", "/api/v1/streams/snone/deals", 404, "stream_not_found"),
        ("GET", "/api/v1/streams/snone/deals/d1", 404, "deal_not_found"),
        ("GET", "/api/v1/streams/s%0Ax/deals/d%2F1", 404, "stream_not_found"),
        ("POST", "/api/v1/streams/snone/deals/d1/open", 404, "stream_not_found"),
        ("PUT", "/api/v1/streams/snone/products/p", 404, "stream_not_found"),
        ("GET", "/api/v1/streams/snone/orders", 404, "stream_not_found"),
        ("GET", "/api/v1/orders/rubbish", 404, "order_not_found"),
        ("GET", "/api/v1/orders/s1.d1.r1", 404, "order_not_found"),
        ("GET", "/api/v1/orders/%7B%7D.%7B%7D.x", 404, "not_found"),
        ("POST", "/api/v1/orders/s1.d1.r1/cancel", 404, "order_not_found"),
        ("POST", "/api/v1/orders/s1.d1.r1/refund", 404, "order_not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("PATCH", "/api/v1/streams", 405, "method_not_allowed"),
        ("PROPFIND", "/api/v1/streams", 405, "method_not_allowed"),
        ("GET", "/api/v1/streams?limit=0", 422, "invalid"),
        ("GET", "/api/v1/streams?limit=501", 422, "invalid"),
        ("GET", "/api/v1/streams?limit=-1", 422, "invalid"),
        ("GET", "/api/v1/streams?limit=%C2%B2", 422, "invalid"),
        ("GET", "/api/v1/streams?after=%20", 422, "invalid"),
        ("GET", "/api/v1/streams?after=rubbish", 422, "invalid"),
        ("GET", "/api/v1/orders?after=rubbish", 422, "invalid"),
    ],
)
async def test_an_unknown_thing_has_its_code(edge: EdgeWorker, method: str, path: str, status: int, code: str) -> None:
    answer = await edge.ask(method, path, token=edge.token("host", "host", "buy", "watch"))
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("product_id", ["x%00", "x" * 200, "a%20b"])
async def test_a_product_id_that_cannot_be_is_refused(edge: EdgeWorker, product_id: str) -> None:
    path = f"/api/v1/streams/{await edge.stream()}/products/{product_id}"
    answer = await edge.ask("PUT", path, token=edge.token("host", "host"), json=PRODUCT)
    assert (answer.status, answer.code) == (422, "invalid")


async def test_guests_may_be_turned_away_and_need_a_visible_name(edge: EdgeWorker) -> None:
    for body in (
        {},
        {"name": ""},
        {"name": "x" * 41},
        {"name": 7},
        {"name": "\u200b\u202e"},
        {"name": "x", "can": ["admin"]},
    ):
        answer = await edge.ask("POST", "/api/v1/guest", json=body)
        assert (answer.status, answer.code) == (422, "invalid"), body


async def test_a_request_that_is_no_http_ends_only_its_own_connection(edge: EdgeWorker) -> None:
    host, _, port = edge.url.removeprefix("http://").partition(":")
    for rubbish in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: \x00\r\n\r\n", b"A" * 20_000 + b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(rubbish)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b"Traceback" not in answer
        assert not answer or answer.startswith(b"HTTP/1.1 400")
        writer.close()
    assert (await edge.ask("GET", "/healthz")).status == 200
