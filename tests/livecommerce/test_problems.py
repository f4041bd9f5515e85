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
from tests.livecommerce.edge import SECRET, EdgeWorker
from tests.livecommerce.test_http_api import PRODUCT

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
        assert not answer or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        writer.close()
    assert (await edge.ask("GET", "/healthz")).status == 200
