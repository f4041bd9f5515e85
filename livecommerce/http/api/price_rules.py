"""What a host says of prices and stock: discount codes, stock items for bundles, shipping."""

from __future__ import annotations

from aiohttp import web

from deals.terms import Code, CodeSpec, Item, ItemSpec, Shipping
from livecommerce.context import CONTEXT
from livecommerce.http.access import controlled_stream, find_stream, refuse_ended
from livecommerce.http.answers import json_answer, page_answer
from livecommerce.http.bodies import path_id, read_json
from livecommerce.http.endpoints import Body, Endpoint, Handler, Listing

_STREAM = "/api/v1/streams/{stream_id}"
#: codes are the host's alone, and stay out of caches
_PRIVATE = {"Cache-Control": "no-store"}


async def put_code(request: web.Request) -> web.Response:
    """``PUT …/codes/{code}``; the code is the host's own text."""
    stream = await controlled_stream(request)
    spec = await read_json(request, CodeSpec)
    refuse_ended(stream)
    code = await request.app[CONTEXT].deals.rules.put_code(stream.id, request.match_info["code"], spec)
    return json_answer(code, headers=_PRIVATE)


async def codes(request: web.Request) -> web.Response:
    """``GET …/codes``."""
    stream = await controlled_stream(request)
    answer = page_answer(await request.app[CONTEXT].deals.rules.codes(stream.id), None)
    answer.headers.update(_PRIVATE)
    return answer


async def delete_code(request: web.Request) -> web.Response:
    """``DELETE …/codes/{code}``."""
    stream = await controlled_stream(request)
    await request.app[CONTEXT].deals.rules.delete_code(stream.id, path_id(request, "code"))
    return web.Response(status=204)


async def put_item(request: web.Request) -> web.Response:
    """``PUT …/items/{item_id}``; the id is the shop's own."""
    stream = await controlled_stream(request)
    spec = await read_json(request, ItemSpec)
    refuse_ended(stream)
    return json_answer(await request.app[CONTEXT].deals.rules.put_item(stream.id, request.match_info["item_id"], spec))


async def items(request: web.Request) -> web.Response:
    """``GET …/items``."""
    stream = await controlled_stream(request)
    return page_answer(await request.app[CONTEXT].deals.rules.items(stream.id), None)


async def delete_item(request: web.Request) -> web.Response:
    """``DELETE …/items/{item_id}``."""
    stream = await controlled_stream(request)
    await request.app[CONTEXT].deals.rules.delete_item(stream.id, path_id(request, "item_id"))
    return web.Response(status=204)


async def put_shipping(request: web.Request) -> web.Response:
    """``PUT …/shipping``."""
    stream = await controlled_stream(request)
    shipping = await read_json(request, Shipping)
    refuse_ended(stream)
    await request.app[CONTEXT].deals.rules.put_shipping(stream.id, shipping)
    return json_answer(shipping)


async def shipping(request: web.Request) -> web.Response:
    """``GET …/shipping``: everybody's, who buys has to know it."""
    stream = await find_stream(request)
    return json_answer(await request.app[CONTEXT].deals.rules.shipping(stream.id))


async def delete_shipping(request: web.Request) -> web.Response:
    """``DELETE …/shipping``: orders cost none from now on."""
    stream = await controlled_stream(request)
    await request.app[CONTEXT].deals.rules.put_shipping(stream.id, None)
    return web.Response(status=204)


def _put(path: str, handler: Handler, summary: str, body: Body, answer: Body, *refusals: str) -> Endpoint:
    return Endpoint(
        *("PUT", _STREAM + path, handler, summary, "prices", {200: (answer,)}),
        body=body,
        needs="host",
        refusals=("stream_not_found", *refusals, "stream_ended"),
    )


def _get(path: str, handler: Handler, summary: str, answer: Body, needs: str) -> Endpoint:
    return Endpoint(
        *("GET", _STREAM + path, handler, summary, "prices", {200: (answer,)}),
        needs=needs,
        refusals=("stream_not_found",),
    )


def _delete(path: str, handler: Handler, summary: str, *refusals: str) -> Endpoint:
    return Endpoint(
        *("DELETE", _STREAM + path, handler, summary, "prices", {204: ()}),
        needs="host",
        refusals=("stream_not_found", *refusals),
    )


_CODE, _ITEM, _SHIPPING = "/codes/{code}", "/items/{item_id}", "/shipping"

ENDPOINTS = (
    _put(_CODE, put_code, "Make a discount code, or change it", Body(CodeSpec), Body(Code), "deal_not_found"),
    _get("/codes", codes, "The stream's discount codes", Body(Listing(Code)), "host"),
    _delete(_CODE, delete_code, "Take a discount code away; orders keep it", "code_not_found"),
    _put(_ITEM, put_item, "Make a stock item, or change it", Body(ItemSpec), Body(Item), "illegal_state"),
    _get("/items", items, "The stock items that bundles are made of", Body(Listing(Item)), "host"),
    _delete(_ITEM, delete_item, "Take away an item that no deal was made of", "item_not_found", "illegal_state"),
    _put(_SHIPPING, put_shipping, "Say what shipping costs from now on", Body(Shipping), Body(Shipping)),
    _get(_SHIPPING, shipping, "What shipping costs, or null", Body(Shipping | None), ""),
    _delete(_SHIPPING, delete_shipping, "Charge no shipping from now on"),
)
