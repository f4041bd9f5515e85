"""Flash deals: their hosts create and steer them, everybody may look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from deals.models import Deal, DealSpec, Summary
from livecommerce.context import CONTEXT, Context
from livecommerce.http.access import controlled_stream, find_stream, refuse_ended
from livecommerce.http.answers import json_answer, page_answer
from livecommerce.http.bodies import path_id, read_json
from livecommerce.http.endpoints import Body, Endpoint, Handler, Listing

_DEALS = "/api/v1/streams/{stream_id}/deals"
_DEAL = _DEALS + "/{deal_id}"
_REFUSALS = ("stream_not_found", "deal_not_found", "illegal_state")


class ExtendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much the deal's end moves."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)]


async def create(request: web.Request) -> web.Response:
    """``POST …/deals``."""
    stream = await controlled_stream(request)
    spec = await read_json(request, DealSpec)
    refuse_ended(stream)
    deal = await request.app[CONTEXT].deals.create(stream.id, spec)
    return json_answer(deal, 201, headers={"Location": f"/api/v1/streams/{stream.id}/deals/{deal.id}"})


async def index(request: web.Request) -> web.Response:
    """``GET …/deals``."""
    stream = await find_stream(request)
    return page_answer(await request.app[CONTEXT].deals.deals(stream.id), None)


async def show(request: web.Request) -> web.Response:
    """``GET …/deals/{deal_id}``."""
    stream_id, deal_id = path_id(request, "stream_id"), path_id(request, "deal_id")
    return json_answer(await request.app[CONTEXT].deals.deal(stream_id, deal_id))


async def summary(request: web.Request) -> web.Response:
    """``GET …/deals/{deal_id}/summary``: the host's."""
    stream = await controlled_stream(request)
    return json_answer(await request.app[CONTEXT].deals.summary(stream.id, path_id(request, "deal_id")))


async def extend(request: web.Request) -> web.Response:
    """``POST …/deals/{deal_id}/extend``."""
    deals = request.app[CONTEXT].deals
    stream = await controlled_stream(request)
    deal_id = path_id(request, "deal_id")
    await deals.deal(stream.id, deal_id)  # 404 before the body's 400 and 422
    wanted = await read_json(request, ExtendRequest)
    return json_answer(await deals.extend(stream.id, deal_id, wanted.seconds))


def _step(take: Callable[[Context, str, str], Awaitable[Deal]]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        stream = await controlled_stream(request)
        return json_answer(await take(request.app[CONTEXT], stream.id, path_id(request, "deal_id")))

    return handler


def _step_endpoint(name: str, summary: str, take: Callable[[Context, str, str], Awaitable[Deal]]) -> Endpoint:
    return Endpoint(
        "POST",
        f"{_DEAL}/{name}",
        _step(take),
        summary,
        "deals",
        {200: (Body(Deal),)},
        needs="host",
        refusals=_REFUSALS,
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        _DEALS,
        create,
        "Create a deal; without opens_at_ms it waits for `open`",
        "deals",
        {201: (Body(Deal, headers={"Location": "The deal."}),)},
        body=Body(DealSpec),
        needs="host",
        refusals=("stream_not_found", "product_not_found", "item_not_found", "stream_ended"),
    ),
    Endpoint(
        "GET",
        _DEALS,
        index,
        "The stream's deals",
        "deals",
        {200: (Body(Listing(Deal)),)},
        refusals=("stream_not_found",),
    ),
    Endpoint(
        "GET",
        _DEAL,
        show,
        "One deal now",
        "deals",
        {200: (Body(Deal),)},
        refusals=("stream_not_found", "deal_not_found"),
    ),
    _step_endpoint("open", "Open a deal at once", lambda c, s, d: c.deals.open(s, d)),
    Endpoint(
        "POST",
        _DEAL + "/extend",
        extend,
        "Move a deal's end",
        "deals",
        {200: (Body(Deal),)},
        body=Body(ExtendRequest),
        needs="host",
        refusals=_REFUSALS,
    ),
    Endpoint(
        "GET",
        _DEAL + "/summary",
        summary,
        "How a deal went: units, revenue, when and how fast it sold out",
        "deals",
        {200: (Body(Summary),)},
        needs="host",
        refusals=("stream_not_found", "deal_not_found"),
    ),
    _step_endpoint("close", "Close a deal; what is held stays payable", lambda c, s, d: c.deals.close(s, d)),
    _step_endpoint(
        "cancel",
        "Cancel a deal: holds are released, paid orders refunded",
        lambda c, s, d: c.deals.cancel(s, d),
    ),
)
