"""What the relay answers to those who open and change media sessions. Pure."""

from __future__ import annotations

from typing import NamedTuple


class MediaSession(NamedTuple):
    """A new session: id (``<worker id>.<random>``), SDP answer, and the strong entity tag of its ICE session."""

    id: str
    answer: str
    etag: str


class PatchAnswer(NamedTuple):
    """What a PATCH is answered with: 204 without a body, or 200 with a fragment after an ICE restart."""

    status: int
    body: str
    etag: str
