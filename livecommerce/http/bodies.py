"""What comes in: bodies of bounded size and time, parameters of documented form; all of it is hostile."""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar

import msgspec
from aiohttp import web

from livecommerce.problems import Problem

#: a JSON body, at most
MAX_JSON_BYTES = 64 * 1024
#: a session description, at most
MAX_SDP_BYTES = 256 * 1024
#: a body has this long to arrive: 64 KiB in 10 s is 52 kbit/s
BODY_TIMEOUT_S = 10.0
#: lists: items a page
DEFAULT_LIMIT, MAX_LIMIT = 50, 500

#: ids go into keys between braces, so a brace in an id would move the key to another cluster slot
_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_CURSOR = re.compile(r"[\x21-\x7e]{1,256}")
_KEY = re.compile(r"[\x20-\x7e]{1,128}")

T = TypeVar("T")


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The whole body; raises ``too_large`` or ``timeout``."""
    _refuse_larger(request.content_length or 0, max_bytes)
    try:
        if request.content.is_eof():  # it came with the headers, as small ones do
            body = await request.read()
        else:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
    except TimeoutError:
        raise Problem("timeout", f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s.") from None
    _refuse_larger(len(body), max_bytes)
    return body


def _refuse_larger(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Problem("too_large", f"The body may have at most {max_bytes} bytes.")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The JSON body as this type.

    Raises ``unsupported_media_type``, ``too_large``, ``malformed`` (not JSON) or ``invalid`` (not of this form).
    """
    if request.content_type != "application/json" and request.can_read_body:
        raise Problem("unsupported_media_type", "The body must be application/json.")
    content = request.content
    if content.is_eof() and not content.at_eof():
        body = content.read_nowait()  # it came with the headers, as small ones do: 7 µs less than asking aiohttp
        _refuse_larger(len(body), MAX_JSON_BYTES)
    else:
        body = await read_body(request, MAX_JSON_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem("invalid", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem("malformed", "The body is not JSON.") from None


async def read_text(request: web.Request, media_type: str, max_bytes: int = MAX_SDP_BYTES) -> str:
    """The body as text of exactly this media type; raises ``unsupported_media_type``, ``too_large``, ``malformed``."""
    if request.content_type != media_type:
        raise Problem("unsupported_media_type", f"The body must be {media_type}.")
    body = await read_body(request, max_bytes)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "The body is not UTF-8 text.") from None


def path_id(request: web.Request, name: str) -> str:
    """An id from the path; one that no server of ours made is a 404 like any unknown one."""
    value = request.match_info[name]
    if not _ID.fullmatch(value):
        kind = name.removesuffix("_id")
        raise Problem(f"{kind}_not_found", f"There is no such {kind}.")
    return value


def page_of(request: web.Request) -> tuple[str | None, int]:
    """``?after=&limit=`` of a list; raises ``invalid``."""
    after = request.query.get("after") or None
    if after is not None and not _CURSOR.fullmatch(after):
        raise Problem("invalid", "`after` is not a cursor of ours.")
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise Problem("invalid", f"`limit` must be a whole number from 1 to {MAX_LIMIT}.")
    return after, int(text)


def idempotency_key(request: web.Request) -> str:
    """The ``Idempotency-Key`` of a claim; raises ``key_required`` or ``invalid``."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise Problem("key_required", "Send an Idempotency-Key, the same for every attempt at this claim.")
    if not _KEY.fullmatch(key):
        raise Problem("invalid", "The Idempotency-Key must be 1 to 128 printable ASCII characters.")
    return key
