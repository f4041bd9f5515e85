"""The showcase: what a host shows beside the video."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from deals.models import Product, ProductSpec
from deals.showcase import MOST_PRODUCTS
from livecommerce.context import CONTEXT
from livecommerce.http.access import controlled_stream, find_stream, refuse_ended
from livecommerce.http.answers import json_answer, page_answer
from livecommerce.http.bodies import path_id, read_json
from livecommerce.http.endpoints import Body, Endpoint, Listing

_PATH = "/api/v1/streams/{stream_id}/products"


class OrderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Products in the order in which they shall stand; those left out follow as they were."""

    product_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_PRODUCTS)]


async def index(request: web.Request) -> web.Response:
    """``GET …/products``."""
    stream = await find_stream(request)
    return page_answer(await request.app[CONTEXT].deals.products(stream.id), None)


async def put(request: web.Request) -> web.Response:
    """``PUT …/products/{product_id}``; the id is the shop's own."""
    stream = await controlled_stream(request)
    product_id = request.match_info["product_id"]
    spec = await read_json(request, ProductSpec)
    refuse_ended(stream)
    return json_answer(await request.app[CONTEXT].deals.put_product(stream.id, product_id, spec))


async def remove(request: web.Request) -> web.Response:
    """``DELETE …/products/{product_id}``."""
    stream = await controlled_stream(request)
    await request.app[CONTEXT].deals.remove_product(stream.id, path_id(request, "product_id"))
    return web.Response(status=204)


async def order(request: web.Request) -> web.Response:
    """``PUT …/products/order``: those named come first."""
    stream = await controlled_stream(request)
    wanted = await read_json(request, OrderRequest)
    refuse_ended(stream)
    await request.app[CONTEXT].deals.order_products(stream.id, wanted.product_ids)
    return web.Response(status=204)


async def pin(request: web.Request) -> web.Response:
    """``POST …/products/{product_id}/pin``."""
    stream = await controlled_stream(request)
    product_id = path_id(request, "product_id")
    refuse_ended(stream)
    await request.app[CONTEXT].deals.pin_product(stream.id, product_id)
    return web.Response(status=204)


async def unpin(request: web.Request) -> web.Response:
    """``DELETE …/products/{product_id}/pin``; a product that is not the pinned one is left alone."""
    stream = await controlled_stream(request)
    product_id = path_id(request, "product_id")
    deals = request.app[CONTEXT].deals
    if await deals.pinned(stream.id) == product_id:
        await deals.pin_product(stream.id, None)
    return web.Response(status=204)


ENDPOINTS = (
    Endpoint(
        "GET",
        _PATH,
        index,
        "The products shown",
        "products",
        {200: (Body(Listing(Product)),)},
        refusals=("stream_not_found",),
    ),
    # before the next: no product can be called "order"
    Endpoint(
        "PUT",
        _PATH + "/order",
        order,
        "Put the products in another order",
        "products",
        {204: ()},
        body=Body(OrderRequest),
        needs="host",
        refusals=("stream_not_found", "product_not_found", "stream_ended"),
    ),
    Endpoint(
        "PUT",
        _PATH + "/{product_id}",
        put,
        "Show a product, or change one",
        "products",
        {200: (Body(Product),)},
        body=Body(ProductSpec),
        needs="host",
        refusals=("stream_not_found", "stream_ended"),
    ),
    Endpoint(
        "DELETE",
        _PATH + "/{product_id}",
        remove,
        "Take a product out of the showcase",
        "products",
        {204: ()},
        needs="host",
        refusals=("stream_not_found", "product_not_found"),
    ),
    Endpoint(
        "POST",
        _PATH + "/{product_id}/pin",
        pin,
        "Pin a product over the video",
        "products",
        {204: ()},
        needs="host",
        refusals=("stream_not_found", "product_not_found", "stream_ended"),
    ),
    Endpoint(
        "DELETE",
        _PATH + "/{product_id}/pin",
        unpin,
        "Unpin a product",
        "products",
        {204: ()},
        needs="host",
        refusals=("stream_not_found", "product_not_found"),
    ),
)
