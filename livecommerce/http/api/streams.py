"""Streams: create, list, look, end."""

from __future__ import annotations

import msgspec
from aiohttp import web

from livecommerce.auth import EVERY_STREAM, Grant
from livecommerce.context import CONTEXT
from livecommerce.http.access import authenticate, controlled_stream, find_stream, require
from livecommerce.http.answers import json_answer, page_answer
from livecommerce.http.bodies import page_of, read_json
from livecommerce.http.ending import ENDER
from livecommerce.http.endpoints import PAGE_PARAMETERS, Body, Endpoint, Listing
from livecommerce.http.resources import PublicStream, public_stream, public_streams
from streams.models import Host


class StreamRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new stream's title; 1 to 120 characters after cleaning."""

    title: str


async def create(request: web.Request) -> web.Response:
    """``POST /api/v1/streams``."""
    identity = authenticate(request)
    may = (Grant.HOST in identity.can or Grant.ADMIN in identity.can) and identity.stream == EVERY_STREAM
    require(may, "This token may not create streams.")
    wanted = await read_json(request, StreamRequest)
    stream = await request.app[CONTEXT].streams.create(wanted.title, Host(identity.user_id, identity.name))
    location = {"Location": f"/api/v1/streams/{stream.id}"}
    return json_answer(await public_stream(request, stream), 201, headers=location)


async def index(request: web.Request) -> web.Response:
    """``GET /api/v1/streams``."""
    after, limit = page_of(request)
    streams, cursor = await request.app[CONTEXT].streams.list(after=after, limit=limit)
    return page_answer(await public_streams(request, streams), cursor)


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/streams/{stream_id}``."""
    return json_answer(await public_stream(request, await find_stream(request)))


async def end(request: web.Request) -> web.Response:
    """``DELETE /api/v1/streams/{stream_id}``; asking again repeats what a crash may have left undone."""
    stream = await controlled_stream(request)
    return json_answer(await public_stream(request, await request.app[ENDER].end(stream.id)))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/streams",
        create,
        "Create a stream",
        "streams",
        {201: (Body(PublicStream, headers={"Location": "The stream."}),)},
        body=Body(StreamRequest),
        needs="host",
    ),
    Endpoint(
        "GET",
        "/api/v1/streams",
        index,
        "List streams: live ones first, then the newest",
        "streams",
        {200: (Body(Listing(PublicStream)),)},
        parameters=PAGE_PARAMETERS,
        refusals=("invalid",),
    ),
    Endpoint(
        "GET",
        "/api/v1/streams/{stream_id}",
        show,
        "One stream",
        "streams",
        {200: (Body(PublicStream),)},
        refusals=("stream_not_found",),
    ),
    Endpoint(
        "DELETE",
        "/api/v1/streams/{stream_id}",
        end,
        "End a stream for good: closes its deals and its media; holds stay payable",
        "streams",
        {200: (Body(PublicStream),)},
        needs="host",
        refusals=("stream_not_found",),
    ),
)
