"""A show's poster: the host (or the studio for them) sends a picture now and then; everybody may look at it."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import hdrs, web

from livecommerce.http.access import controlled_stream, refuse_ended
from livecommerce.http.bodies import path_id, read_body
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.limits import Rate, RateLimiter
from livecommerce.posters import MAX_POSTER_BYTES, MAX_POSTER_SIDE, Posters, is_poster
from livecommerce.problems import Problem

JPEG: Final = "image/jpeg"
#: posters of one stream, on each worker: a second, and at once
POSTER_RATE: Final = Rate(0.1, 3)
_PATH: Final = "/api/v1/streams/{stream_id}/poster"
#: asked by its tag, it never changes
_KEEP: Final = "public, max-age=86400, immutable"
_ASK: Final = "no-cache"

POSTERS: web.AppKey[Posters] = web.AppKey("posters", Posters)
PACE: web.AppKey[RateLimiter] = web.AppKey("poster-pace", RateLimiter)


async def put(request: web.Request) -> web.Response:
    """``PUT …/poster``; its type is what the bytes say."""
    stream = await controlled_stream(request)
    if request.content_type != JPEG:
        raise Problem("unsupported_media_type", f"A poster must be {JPEG}.")
    body = await read_body(request, MAX_POSTER_BYTES)
    if not is_poster(body):
        raise Problem("invalid", f"Not a baseline JPEG picture of at most {MAX_POSTER_SIDE} pixels a side.")
    refuse_ended(stream)
    wait_ms = request.app[PACE].take(stream.id, time.monotonic())
    if wait_ms is not None:
        raise Problem("rate_limited", "Too many posters of this stream.", retry_after_ms=wait_ms)
    await request.app[POSTERS].put(stream.id, body)
    return web.Response(status=204)


async def show(request: web.Request) -> web.Response:
    """``GET …/poster``; ``?v=`` is the tag in the stream's ``poster_url``."""
    wanted = request.query.get("v")
    poster = await request.app[POSTERS].get(path_id(request, "stream_id"), wanted)
    if poster is None:
        raise Problem("not_found", "This stream has no poster.")
    headers = {hdrs.CACHE_CONTROL: _KEEP if wanted == poster.tag else _ASK, hdrs.ETAG: f'"{poster.tag}"'}
    if poster.tag in {known.value for known in request.if_none_match or ()}:
        return web.Response(status=304, headers=headers)
    return web.Response(body=poster.jpeg, content_type=JPEG, headers=headers)


ENDPOINTS = (
    Endpoint(
        "PUT",
        _PATH,
        put,
        "Replace the stream's poster: a baseline JPEG of at most 64 KiB and 1280 pixels a side, kept for an hour",
        "streams",
        {204: ()},
        body=Body(None, JPEG),
        needs="host",
        refusals=("stream_not_found", "stream_ended"),
    ),
    Endpoint(
        "GET",
        _PATH,
        show,
        "The stream's poster",
        "streams",
        {200: (Body(None, JPEG, headers={"ETag": "The picture's tag.", "Cache-Control": "How long to keep it."}),)},
        refusals=("stream_not_found", "not_found"),
        parameters=(("v", "query", False, {"type": "string"}, "The tag in `poster_url`: then it may be kept."),),
    ),
)
