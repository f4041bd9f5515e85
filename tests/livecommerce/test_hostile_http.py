"""Whatever comes in, by any operation of the table: an answer of ours, never a 500, and the worker goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from livecommerce.http.app import ENDPOINTS
from livecommerce.http.endpoints import Endpoint
from livecommerce.problems import KINDS
from tests.livecommerce.edge import EdgeWorker, edge_worker
from tests.livecommerce.test_http_api import open_deal

_text = st.text(max_size=40)
_number = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, 10**30, 1e308])
_value = st.recursive(
    st.none() | st.booleans() | _number | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
#: members that some operation knows, so that more than the first check is met
_FIELDS = [
    *("name", "title", "price", "amount", "currency", "stock", "per_buyer_limit", "duration_s", "hold_s", "units"),
    *("opens_at_ms", "product_id", "image_url", "description", "compare_at", "seconds", "payment_token"),
]
_price = st.fixed_dictionaries({"amount": st.just(5) | _number, "currency": st.just("EUR") | _text})
_likely = {
    "name": st.just("Ann") | _text,
    "title": st.just("Mug") | _text,
    "price": _price | _value,
    "stock": st.just(3) | _number,
    "per_buyer_limit": st.just(1) | _number,
    "duration_s": st.just(60) | _number,
    "hold_s": st.just(60) | _number,
    "units": st.just(1) | _number,
    "seconds": st.just(5) | _number,
    "opens_at_ms": _number | st.none(),
    "payment_token": st.sampled_from(["pm_ok", "pm_declined", "pm_none"]) | _text,
}
_object = st.fixed_dictionaries({}, optional=_likely) | st.dictionaries(st.sampled_from(_FIELDS) | _text, _value)


def _of(endpoint: Endpoint) -> st.SearchStrategy[Any]:
    """Bodies near the one that the operation takes: its own members, well formed or not."""
    fields = getattr(endpoint.body.kind, "__struct_fields__", ()) if endpoint.body else ()
    near = st.fixed_dictionaries({name: _likely.get(name, _value) for name in fields})
    return near | _object | _value


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return repr(value).encode("utf-8", "replace")


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, str], bytes]:
    """A method, a path with ``<name>`` where a real id may go, headers, and a body."""
    endpoint = draw(st.sampled_from([e for e in ENDPOINTS if e.path not in ("/metrics", "/readyz")]))
    path = endpoint.path
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        real = st.just(f"<{name}>")
        path = before + draw(real | real | real | _text.map(_quoted)) + after
    if draw(st.booleans()):
        names = st.sampled_from(["after", "limit", "stream", "token"]) | _text.map(_quoted)
        path += "?" + "&".join(f"{draw(names)}={draw(_text.map(_quoted))}" for _ in range(draw(st.integers(1, 3))))
    method = draw(st.just(endpoint.method) | st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]))
    media_type = endpoint.body.media_type if endpoint.body else "application/json"
    headers = {"Content-Type": draw(st.just(media_type) | _header)}
    for name in draw(st.lists(st.sampled_from(_HEADERS), max_size=4, unique=True)):
        headers[name] = draw(_header)
    body = draw(_of(endpoint).map(_json) | st.binary(max_size=200) | st.just(b"v=0\r\n(an offer)\r\n"))
    return method, path, headers, body


_HEADERS = [
    *("Idempotency-Key", "If-Match", "If-None-Match", "Accept", "Accept-Encoding", "Range", "Expect-Not", "Origin"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Livecommerce-Hop", "Last-Event-ID", "Cookie"),
    *("Access-Control-Request-Method", "If-Modified-Since", "Content-Encoding", "Upgrade", "Authorization"),
]
_header = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")) or "-"


class Target:
    """A running worker with one of everything, asked over a bare socket: no client tidies the request up."""

    def __init__(self, edge: EdgeWorker, token: str, ids: dict[str, str]) -> None:
        self._edge = edge
        self._token = token
        self._ids = ids

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """The whole answer."""
        if method == "DELETE" and path.endswith("streams/<stream_id>"):
            path = path.replace("<stream_id>", "<spare>")  # else everything after it would meet an ended stream
        for name, value in self._ids.items():
            path = path.replace(f"<{name}>", value)
        sent = {"Authorization": f"Bearer {self._token}"} | headers
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in sent.items()]
        host, _, port = self._edge.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


@pytest.mark.parametrize("who", ["host", "buyer"])
def test_no_request_is_answered_with_500(who: str, valkey_url: str) -> None:
    with asyncio.Runner() as runner:
        redis = Redis.from_url(valkey_url)
        opened = runner.run(_open(redis, who))
        target, close = opened

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(request=requests())
        def hostile(request: tuple[str, str, dict[str, str], bytes]) -> None:
            answer = runner.run(target.ask(*request))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), answer
            status = int(head[9:12])
            # 503 is an answer of ours only for what may be full or away, and nothing here is.
            assert status < 500, answer
            if status >= 400 and b"application/problem+json" in head:
                assert KINDS[msgspec.json.decode(body)["code"]].status == status
                assert b"Access-Control-Allow-Origin: *" in head
            elif status >= 400:
                assert status == 400, "only what is no HTTP at all is answered by the parser itself"

        try:
            hostile()
        finally:
            runner.run(close())


async def _open(redis: Redis, who: str) -> tuple[Target, Any]:
    context = edge_worker(redis)
    edge = await context.__aenter__()
    stream_id, spare = await edge.stream(), await edge.stream()
    path = await open_deal(edge, stream_id, stock=500, per_buyer_limit=500)
    await edge.go_live(stream_id)
    token = edge.token(who, "watch", "chat", "buy", "host", ttl_s=3600)
    headers = {"Idempotency-Key": "first"}
    order = await edge.ask("POST", f"{path}/claims", token=token, json={"units": 1}, headers=headers)
    assert order.status == 201, order
    ids = {
        "stream_id": stream_id,
        "spare": spare,
        "deal_id": path.rpartition("/")[2],
        "order_id": str(order.body["id"]),
        "product_id": "p1",
        "session_id": next(iter(edge.relay.sessions)),
    }

    async def close() -> None:
        await context.__aexit__(None, None, None)
        await redis.aclose()

    return Target(edge, token, ids), close
