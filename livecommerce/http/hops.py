"""Requests from one worker to another, signed, so that nobody outside can pretend to be a worker.

The signature covers sender, time, the client's address, method and path. A request that carries a valid one is
served where it arrives and never passed on again: that is the loop guard.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp import web

HEADER: Final = "Livecommerce-Hop"
#: how old a signature may be: workers agree on Valkey's clock to a few ms; the rest is the request's travel
MAX_AGE_MS: Final = 30_000


class Hop(NamedTuple):
    """Where a request came through: the worker, and the address of the client behind it."""

    worker_id: str
    client: str


#: where a request's verified hop is found; ``None`` (rather than nothing, which is slow to look for) without one
HOP: web.RequestKey[Hop | None] = web.RequestKey("hop", Hop)


class SignedHops:
    """Makes and checks the hop header."""

    def __init__(self, key: bytes, *, worker_id: str, now_ms: Callable[[], int]) -> None:
        self._key = key
        self._worker_id = worker_id
        self._now_ms = now_ms

    def header(self, method: str, path: str, client: str) -> str:
        """The header for a request that this worker sends on behalf of a client."""
        fields = f"{self._worker_id} {self._now_ms()} {client or '-'}"
        return f"{fields} {self._sign(fields, method, path)}"

    def verify(self, request: web.Request) -> Hop | None:
        """The hop of a request; ``None`` when there is none, or none of ours."""
        header = request.headers.get(HEADER)
        if header is None:
            return None
        fields, _, signature = header.rpartition(" ")
        parts = fields.split(" ")
        if len(parts) != 3 or not header.isascii():
            return None
        if not hmac.compare_digest(signature, self._sign(fields, request.method, request.raw_path)):
            return None
        worker_id, sent_ms, client = parts
        if abs(self._now_ms() - int(sent_ms)) > MAX_AGE_MS:
            return None
        return Hop(worker_id, "" if client == "-" else client)

    def _sign(self, fields: str, method: str, path: str) -> str:
        return hmac.digest(self._key, f"{fields}\n{method}\n{path}".encode(), "sha256").hex()
