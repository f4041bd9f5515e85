"""Answers that are written past aiohttp's own way say the same as those that are not."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from livecommerce.http.bodies import MAX_JSON_BYTES
from tests.livecommerce.edge import EdgeWorker

#: what differs from answer to answer, or says how the connection goes on
_OWN = {"x-request-id", "date", "connection"}


async def _asked(edge: EdgeWorker, *requests: bytes) -> list[tuple[str, dict[str, str], bytes]]:
    """Status line, headers and body of each answer to requests sent at once."""
    reader, writer = await asyncio.open_connection(edge.server.host, edge.server.port)
    writer.write(b"".join(requests))
    answers = []
    for request in requests:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "no header twice"
        size = 0 if request.startswith(b"HEAD") else int(headers["content-length"])
        answers.append((first, headers, await reader.readexactly(size)))
    writer.close()
    return answers


def _request(method: str = "GET", version: str = "1.1", more: str = "") -> bytes:
    return f"{method} /api/v1/streams/none HTTP/{version}\r\nHost: h\r\n{more}\r\n".encode()


async def test_every_way_gives_the_same_answer(edge: EdgeWorker) -> None:
    [(first, quick, body)] = await _asked(edge, _request())
    assert first == "HTTP/1.1 404 Not Found"
    assert b'"code":"stream_not_found"' in body
    assert quick["content-type"] == "application/problem+json"
    assert (quick["server"], quick["x-request-id"][0]) == ("livecommerce", "r")
    for other in (_request(version="1.0"), _request(more="Connection: close\r\n"), _request("HEAD")):
        [(_, headers, text)] = await _asked(edge, other)
        assert {k: v for k, v in headers.items() if k not in _OWN} == {k: v for k, v in quick.items() if k not in _OWN}
        assert text == (b"" if other.startswith(b"HEAD") else body)


async def test_requests_sent_ahead_are_answered_in_their_order(edge: EdgeWorker) -> None:
    ways = [_request(), _request("DELETE"), _request("HEAD"), _request()]
    answers = await _asked(edge, *ways)
    assert [first.split(" ")[1] for first, _, _ in answers] == ["404", "401", "404", "404"]
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == len(ways)


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(edge: EdgeWorker) -> None:
    """Its length is small, and all of it comes with the head."""
    for size, status in ((1000, "422"), (MAX_JSON_BYTES + 1000, "413")):
        body = zlib.compress(b'{"name":"' + b"n" * size + b'","more":1}')
        more = f"Content-Type: application/json\r\nContent-Encoding: deflate\r\nContent-Length: {len(body)}\r\n"
        head = f"POST /api/v1/guest HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode()
        [(first, _, _)] = await _asked(edge, head + body)
        assert first.split(" ")[1] == status


@pytest.mark.parametrize("how", ["1.0", "close"])
async def test_a_connection_that_is_to_close_closes(edge: EdgeWorker, how: str) -> None:
    reader, writer = await asyncio.open_connection(edge.server.host, edge.server.port)
    writer.write(_request(version="1.0") if how == "1.0" else _request(more="Connection: close\r\n"))
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.")
    writer.close()
