"""A show's figures, for its host."""

from __future__ import annotations

from aiohttp import web

from livecommerce.analytics import Report
from livecommerce.context import CONTEXT
from livecommerce.http.access import controlled_stream
from livecommerce.http.answers import json_answer
from livecommerce.http.endpoints import Body, Endpoint


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/streams/{stream_id}/analytics``."""
    stream = await controlled_stream(request)
    # An ended show is not stretched to the present: its last count is its end.
    until_ms = stream.created_ms if stream.state == "ended" else None
    return json_answer(await request.app[CONTEXT].analytics.report(stream.id, until_ms=until_ms))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/streams/{stream_id}/analytics",
        show,
        "How the show goes: viewers, messages, product views, claims and sales over time",
        "streams",
        {200: (Body(Report),)},
        needs="host",
        refusals=("stream_not_found", "unavailable"),
    ),
)
