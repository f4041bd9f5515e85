"""Media sessions by address: one that opens them without end must not fill the worker for all others.

A session is counted from its offer on: one whose peer never comes holds its place until the relay gives it up.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from aiohttp import web

from livecommerce.http.access import limited_address
from livecommerce.problems import Problem
from streams.relay_errors import SessionNotFound

#: sessions noted between two looks at which of them have ended
_LOOK_EVERY = 1000


class Sessions(Protocol):
    """Who carries media."""

    def session_kind(self, session_id: str) -> tuple[str, str]:
        """Raises SessionNotFound when there is no such session."""


class MediaSeats:
    """The media sessions of one worker by address. Loopback is never limited."""

    def __init__(self, media: Sessions, *, most: int) -> None:
        self._media = media
        self._most = most
        self._taken: dict[str, str] = {}
        self._each: Counter[str] = Counter()
        self._noted = 0

    def admit(self, request: web.Request) -> None:
        """Raise ``full`` when the asker's address has as many sessions as it may."""
        bucket = limited_address(request)
        if bucket and self._each[bucket] >= self._most:
            self._forget_ended()
            if self._each[bucket] >= self._most:
                raise Problem("full", "This address has as many media sessions here as it may.")

    def note(self, request: web.Request, session_id: str) -> None:
        """A session was opened for the asker."""
        bucket = limited_address(request)
        if not bucket:
            return
        self._taken[session_id] = bucket
        self._each[bucket] += 1
        self._noted += 1
        if self._noted >= _LOOK_EVERY:
            self._forget_ended()

    def _forget_ended(self) -> None:
        self._noted = 0
        self._taken = {each: bucket for each, bucket in self._taken.items() if self._lives(each)}
        self._each = Counter(self._taken.values())

    def _lives(self, session_id: str) -> bool:
        try:
            self._media.session_kind(session_id)
        except SessionNotFound:
            return False
        return True


SEATS: web.AppKey[MediaSeats] = web.AppKey("media_seats", MediaSeats)
