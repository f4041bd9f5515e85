"""What goes back: JSON made from the very types the domains answer with, and RFC 9457 problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from redis.exceptions import RedisError

from livecommerce.http.quick import QuickAnswer
from livecommerce.problems import KINDS, Problem, kind_of

#: when a temporary refusal does not say itself when to come back
DEFAULT_RETRY_MS: Mapping[str, int] = {"not_live": 2_000, "full": 5_000, "unavailable": 1_000, "rate_limited": 1_000}

#: how aiohttp's own refusals are called here
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large", 415: "unsupported_media_type"}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kind": "type"}):
    """RFC 9457 problem details: every refusal over HTTP has this form."""

    title: str
    status: int
    code: str
    detail: str
    kind: str
    retry_after_ms: int | None = None


class Processing(msgspec.Struct, frozen=True):
    """The outcome is not known yet; asking again with the same Idempotency-Key finds it."""

    state: str = "processing"


def json_answer(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response of a Struct (or of lists and dicts of them)."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


def quick_json_answer(value: Any, status: int, headers: Mapping[str, str]) -> QuickAnswer:
    """The same for hot paths."""
    return QuickAnswer(msgspec.json.encode(value), status, {"Content-Type": "application/json", **headers})


def page_answer(items: list[Any], cursor: str | None) -> web.Response:
    """A list in the one form all lists have: ``{items, next}``."""
    return json_answer({"items": items, "next": cursor})


def problem_answer(problem: Problem) -> QuickAnswer:
    """The response to a refusal: problem details, ``Retry-After`` where waiting helps, the challenge for a 401."""
    kind = kind_of(problem.code)
    retry_after_ms = problem.retry_after_ms or DEFAULT_RETRY_MS.get(problem.code)
    details = ProblemDetails(
        kind=f"urn:livecommerce:problem:{problem.code}",
        title=kind.title,
        status=kind.status,
        code=problem.code,
        detail=problem.detail,
        retry_after_ms=retry_after_ms,
    )
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    if retry_after_ms is not None:
        headers["Retry-After"] = str(math.ceil(retry_after_ms / 1000))
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return QuickAnswer(msgspec.json.encode(details), kind.status, headers)


def problem_of(error: Exception) -> Problem | None:
    """The refusal an error stands for; ``None`` for an error nobody foresaw."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        called = _CODES.get(error.status, "malformed" if error.status < 500 else "internal")
        return Problem(called, f"{error.reason}.")
    if isinstance(error, web.RequestPayloadError):
        return Problem("malformed", "The request's body could not be read.")
    if isinstance(error, RedisError):
        return Problem("unavailable", "The server's memory does not answer for the moment.")
    # the domains' own refusals: each has these three
    code, detail = getattr(error, "code", None), getattr(error, "detail", None)
    if not (isinstance(code, str) and code in KINDS and isinstance(detail, str)):
        return None
    retry_after_ms = getattr(error, "retry_after_ms", None)
    return Problem(code, detail, retry_after_ms=retry_after_ms if isinstance(retry_after_ms, int) else None)
