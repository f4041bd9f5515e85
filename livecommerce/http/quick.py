"""Answers of hot paths: a head of prepared bytes, and head and body in one write.

``web.Response`` makes a dozen headers anew for each answer, one by one, and asks its signals: 45 of the 100 µs that
aiohttp spends on a small request (load_tests flash-sale --over http). Where anything is unusual (HTTP/1.0, HEAD, a
connection that is to close) aiohttp answers, with the same headers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

#: tokens travel in a header, never in cookies, so any origin may ask
CORS: Final[dict[str, str]] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: (
        "Location, ETag, Link, Accept-Post, Retry-After, X-Request-Id, Access-Control-Allow-Methods"
    ),
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
}
SECURITY: Final[dict[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # what is not a page never runs or embeds anything
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
#: the headers of every response
ALWAYS: Final[dict[str, str]] = CORS | SECURITY | {hdrs.SERVER: "livecommerce"}
#: names a request in its answer, and in our log
REQUEST_ID = web.RequestKey("request_id", str)
#: above this many waiting bytes an answer waits, as aiohttp's do: who pipelines must read
WAIT_BYTES: Final = 64 * 1024

_ALWAYS: Final = "".join(f"{name}: {value}\r\n" for name, value in ALWAYS.items())


class QuickAnswer(web.StreamResponse):
    """A whole answer."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status)
        self._bytes = body
        self._own = headers
        self._sent = False

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays."""
        return True if self._sent else super().keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send head and body, where nothing is unusual."""
        transport, own = request.transport, self._own
        usual = (
            request.version == HttpVersion11
            and request.keep_alive
            and request.method != hdrs.METH_HEAD
            and not self.headers  # somebody added one
            and "".join(own.values()).isprintable()
        )
        if not usual or transport is None:
            return await self._unusual(request)
        self._sent = True
        lines = "".join([f"{name}: {value}\r\n" for name, value in own.items()])
        head = (
            f"{_status_line(self.status)}{lines}Content-Length: {len(self._bytes)}\r\n"
            f"X-Request-Id: {request.get(REQUEST_ID, '')}\r\n{_date_line(int(time.time()))}{_ALWAYS}\r\n"
        )
        transport.write(head.encode() + self._bytes)
        if transport.get_write_buffer_size() > WAIT_BYTES:
            await request.writer.drain()
        return None

    async def _unusual(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        for name, value in self._own.items():
            self.headers.setdefault(name, value)
        self.content_length = len(self._bytes)
        if request.method == hdrs.METH_HEAD:
            self._bytes = b""
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send what was not sent."""
        if not self._sent:
            await super().write_eof(self._bytes)


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


@lru_cache(maxsize=1)
def _date_line(now_s: int) -> str:
    """The moment, as RFC 9110 §5.6.7 writes it."""
    return f"Date: {formatdate(now_s, usegmt=True)}\r\n"
