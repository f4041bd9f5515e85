"""Refusals of the streams domain: each has a stable ``code``, a sentence for people and, where it helps, a wait."""

from __future__ import annotations

from typing import ClassVar


class StreamsError(Exception):
    """Base of all; the application maps ``code`` to the wire."""

    code: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class StreamNotFound(StreamsError):
    """There never was such a stream, or it has been erased."""

    code = "stream_not_found"


class StreamEnded(StreamsError):
    """The stream is over; it never comes back."""

    code = "stream_ended"


class StreamRefused(StreamsError):
    """A title, host or cursor that no stream can have: the caller's fault."""

    code = "invalid"
