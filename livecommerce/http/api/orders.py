"""Orders: a buyer's own, and the host's journal."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from deals.models import JournalEntry, Order
from livecommerce.auth import Grant, Identity
from livecommerce.context import CONTEXT
from livecommerce.http.access import authenticate, controlled_stream, limited_address, require
from livecommerce.http.answers import json_answer, page_answer
from livecommerce.http.api.journal_csv import CSV, export
from livecommerce.http.bodies import page_of, path_id, read_json
from livecommerce.http.endpoints import PAGE_PARAMETERS, Body, Endpoint, Listing
from livecommerce.problems import Problem

_ORDER = "/api/v1/orders/{order_id}"


class PayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payment provider's token for this payment."""

    payment_token: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


async def index(request: web.Request) -> web.Response:
    """``GET /api/v1/orders``."""
    identity = authenticate(request)
    after, limit = page_of(request)
    stream_id = request.query.get("stream") or None
    if identity.stream != "*":
        stream_id = identity.stream  # a token for one stream shows that stream's orders
    orders, cursor = await request.app[CONTEXT].deals.orders_of(
        identity.user_id, stream_id=stream_id, after=after, limit=limit
    )
    return page_answer(orders, cursor)


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/orders/{order_id}``."""
    identity = authenticate(request)
    order = await _visible_order(request, identity)
    return json_answer(order)


async def pay(request: web.Request) -> web.Response:
    """``POST /api/v1/orders/{order_id}/pay``."""
    identity = authenticate(request)
    order_id = await _own_order(request, identity)
    wanted = await read_json(request, PayRequest)
    deals = request.app[CONTEXT].deals
    return json_answer(await deals.pay(order_id, buyer_id=identity.user_id, payment_token=wanted.payment_token))


async def cancel(request: web.Request) -> web.Response:
    """``POST /api/v1/orders/{order_id}/cancel``."""
    identity = authenticate(request)
    order_id = await _own_order(request, identity)
    deals = request.app[CONTEXT].deals
    return json_answer(await deals.cancel_order(order_id, buyer_id=identity.user_id, address=limited_address(request)))


async def refund(request: web.Request) -> web.Response:
    """``POST /api/v1/orders/{order_id}/refund``: the host's."""
    identity = authenticate(request)
    order = await _visible_order(request, identity)
    require(await _runs(request, identity, order.stream_id), "Only the host of this stream may refund.")
    return json_answer(await request.app[CONTEXT].deals.refund(order.id))


async def journal(request: web.Request) -> web.StreamResponse:
    """``GET /api/v1/streams/{stream_id}/orders``: the host's."""
    stream = await controlled_stream(request)
    after, limit = page_of(request)
    deals = request.app[CONTEXT].deals
    if CSV in request.headers.get("Accept", ""):
        return await export(request, stream.id, after)
    entries, cursor = await deals.journal(stream.id, after=after, limit=limit)
    return page_answer(entries, cursor)


async def _own_order(request: web.Request, identity: Identity) -> str:
    """The id of the bearer's own order: 404 for any other, then 403 without the grant."""
    order_id = path_id(request, "order_id")
    order = await request.app[CONTEXT].deals.order(order_id, buyer_id=identity.user_id)
    require(identity.may(Grant.BUY, order.stream_id), "This token may not buy in this stream.")
    return order_id


async def _visible_order(request: web.Request, identity: Identity) -> Order:
    """An order for its buyer or for the host of its stream; anybody else is told that there is none."""
    order = await request.app[CONTEXT].deals.order(path_id(request, "order_id"), buyer_id=None)
    if order.buyer.id != identity.user_id and not await _runs(request, identity, order.stream_id):
        raise Problem("order_not_found", "There is no such order.")
    return order


async def _runs(request: web.Request, identity: Identity, stream_id: str) -> bool:
    stream = await request.app[CONTEXT].streams.get(stream_id)
    return identity.controls(stream.id, stream.host.id)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/orders",
        index,
        "Your own orders, newest first, over all streams",
        "orders",
        {200: (Body(Listing(Order)),)},
        needs="any",
        parameters=(("stream", "query", False, {"type": "string"}, "Only orders in this stream."), *PAGE_PARAMETERS),
        refusals=("invalid",),
    ),
    Endpoint(
        "GET",
        _ORDER,
        show,
        "One order, for its buyer or the stream's host",
        "orders",
        {200: (Body(Order),)},
        needs="any",
        refusals=("order_not_found",),
    ),
    Endpoint(
        "POST",
        _ORDER + "/pay",
        pay,
        "Pay a held order",
        "orders",
        {200: (Body(Order),)},
        body=Body(PayRequest),
        needs="buy",
        refusals=("order_not_found", "payment_declined", "illegal_state", "outcome_unknown", "unavailable"),
    ),
    Endpoint(
        "POST",
        _ORDER + "/cancel",
        cancel,
        "Give a held order's units back",
        "orders",
        {200: (Body(Order),)},
        needs="buy",
        refusals=("order_not_found", "illegal_state"),
    ),
    Endpoint(
        "POST",
        _ORDER + "/refund",
        refund,
        "Refund a paid order",
        "orders",
        {200: (Body(Order),)},
        needs="host",
        refusals=("order_not_found", "illegal_state"),
    ),
    Endpoint(
        "GET",
        "/api/v1/streams/{stream_id}/orders",
        journal,
        "The journal of every step of every order; as CSV it is the whole journal after the cursor",
        "orders",
        {200: (Body(Listing(JournalEntry)), Body(None, CSV))},
        needs="host",
        parameters=PAGE_PARAMETERS,
        refusals=("stream_not_found", "invalid"),
    ),
)
