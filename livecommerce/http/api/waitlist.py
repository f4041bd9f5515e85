"""The waiting list of a sold-out deal: a unit that comes back is offered to the first in line."""

from __future__ import annotations

from aiohttp import web

from deals.models import Buyer, Place
from livecommerce.auth import Grant, Identity
from livecommerce.context import CONTEXT
from livecommerce.http.access import authenticate, refuse_banned, require
from livecommerce.http.answers import json_answer
from livecommerce.http.bodies import path_id
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.problems import Problem

_PATH = "/api/v1/streams/{stream_id}/deals/{deal_id}/waitlist"
_REFUSALS = ("stream_not_found", "deal_not_found", "banned")


async def join(request: web.Request) -> web.Response:
    """``POST …/waitlist``."""
    identity, stream_id, deal_id = await _buyer(request)
    buyer = Buyer(identity.user_id, identity.name)
    return json_answer(await request.app[CONTEXT].deals.join_waitlist(stream_id, deal_id, buyer=buyer), 201)


async def show(request: web.Request) -> web.Response:
    """``GET …/waitlist``."""
    identity, stream_id, deal_id = await _buyer(request)
    deals = request.app[CONTEXT].deals
    await deals.deal(stream_id, deal_id)
    return json_answer(await deals.place_in_waitlist(stream_id, deal_id, buyer_id=identity.user_id))


async def leave(request: web.Request) -> web.Response:
    """``DELETE …/waitlist``."""
    identity, stream_id, deal_id = await _buyer(request)
    await request.app[CONTEXT].deals.leave_waitlist(stream_id, deal_id, buyer_id=identity.user_id)
    return web.Response(status=204)


async def _buyer(request: web.Request) -> tuple[Identity, str, str]:
    identity = authenticate(request)
    stream_id, deal_id = path_id(request, "stream_id"), path_id(request, "deal_id")
    try:
        require(identity.may(Grant.BUY, stream_id), "This token may not buy in this stream.")
        await refuse_banned(request, stream_id, identity.user_id)
    except Problem:
        await request.app[CONTEXT].deals.deal(stream_id, deal_id)  # 404 comes before these
        raise
    return identity, stream_id, deal_id


ENDPOINTS = (
    Endpoint(
        "POST",
        _PATH,
        join,
        "Wait for a unit of a sold-out deal; who waits already keeps the place",
        "deals",
        {201: (Body(Place),)},
        needs="buy",
        refusals=(*_REFUSALS, "not_open", "closed", "illegal_state", "limit_reached", "unavailable"),
    ),
    Endpoint(
        "GET",
        _PATH,
        show,
        "Your place in the waiting list",
        "deals",
        {200: (Body(Place),)},
        needs="buy",
        refusals=_REFUSALS,
    ),
    Endpoint(
        "DELETE",
        _PATH,
        leave,
        "Wait no more",
        "deals",
        {204: ()},
        needs="buy",
        refusals=_REFUSALS,
    ),
)
