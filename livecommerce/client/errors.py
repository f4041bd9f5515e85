"""What can go wrong for a client: the server said no, the server could not be reached, the room is closed for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base of everything the client raises."""


class ServerError(ClientError):
    """The server refused: ``code`` is stable (``sold_out``, ``rate_limited``…), ``detail`` is a sentence for people."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        temporary: bool = False,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        #: the HTTP status; ``None`` for an answer over WebSocket
        self.status = status
        #: whether asking again later can help
        self.temporary = temporary
        self.retry_after_ms = retry_after_ms

    @classmethod
    def of_problem(cls, status: int, body: Any) -> ServerError:
        """From an HTTP answer: ``application/problem+json`` (RFC 9457), or whatever a proxy put in its place."""
        problem: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        return cls(
            str(problem.get("code", f"http_{status}")),
            str(problem.get("detail") or problem.get("title") or f"The server answered {status}."),
            status=status,
            temporary=status in (429, 502, 503, 504),
            retry_after_ms=problem.get("retry_after_ms"),
        )

    @classmethod
    def of_reply(cls, error: Mapping[str, Any]) -> ServerError:
        """From the ``err`` of a WebSocket reply."""
        return cls(
            str(error.get("code", "internal")),
            str(error.get("message", "")),
            temporary=bool(error.get("temporary", False)),
            retry_after_ms=error.get("retry_after_ms"),
        )


class Unreachable(ClientError):
    """No answer came (in time), so the outcome is unknown: ask again with the same key."""


class RoomClosed(ClientError):
    """The room's connection is over and must not be retried (``code`` 3500–3999), or the room was closed here."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed {code}: {reason}")
        self.code = code
        self.reason = reason
