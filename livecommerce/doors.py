"""Who may open a connection to a room at all: pages of which origins, and how many from one address."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from livecommerce.http.access import client_address
from livecommerce.http.resources import base_url
from livecommerce.limits import bucket_of, is_loopback
from livecommerce.problems import Problem

if TYPE_CHECKING:
    from livecommerce.settings import Settings


class Doors:
    """The connections of one worker by address. Loopback is never limited, and its pages are not foreign."""

    def __init__(self, origins: Iterable[str], *, most: int) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._most = most
        self._inside: Counter[str] = Counter()

    @classmethod
    def of(cls, settings: Settings) -> Doors:
        """As the settings say."""
        return cls(settings.allow_origin, most=settings.limit.connections)

    @contextlib.contextmanager
    def enter(self, request: web.Request) -> Iterator[None]:
        """Count a connection for as long as it lasts; raises ``forbidden`` and ``rate_limited``."""
        origin = request.headers.get(hdrs.ORIGIN)
        # Programs send none, and could send any: this protects people from pages, not us from programs.
        if self._origins and origin is not None and origin.lower() not in self._origins | {base_url(request).lower()}:
            raise Problem("forbidden", "Pages of this origin may not connect here.")
        address = client_address(request)
        if is_loopback(address):
            yield
            return
        bucket = bucket_of(address)
        if self._inside[bucket] >= self._most:
            raise Problem("rate_limited", "Too many connections from this address.", retry_after_ms=10_000)
        self._inside[bucket] += 1
        try:
            yield
        finally:
            self._inside[bucket] -= 1
            if not self._inside[bucket]:
                del self._inside[bucket]


DOORS: web.AppKey[Doors] = web.AppKey("doors", Doors)
