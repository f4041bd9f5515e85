"""What joining means, for the WebSocket and for the event stream: who may, and what they are told first."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from deals.models import Deal, Order, OrderState, Product
from livecommerce.auth import Grant, Identity
from livecommerce.commands import Visit
from livecommerce.context import Context
from livecommerce.http.resources import PublicStream, public_stream
from livecommerce.hub import Arrival
from livecommerce.problems import Problem

#: ids go into keys between braces, so a brace in an id would move the key to another cluster slot
STREAM_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
#: orders a viewer still has to do something about
_OPEN_ORDERS = frozenset({OrderState.HELD, OrderState.PAYING})
#: orders looked at when joining: the newest
_ORDERS = 50


class User(msgspec.Struct, frozen=True):
    """Who the viewer is in this room, and what they may do here."""

    id: str
    name: str
    roles: list[str]
    can: list[str]


class Welcome(msgspec.Struct, frozen=True):
    """The answer to ``join``."""

    user: User
    epoch: str
    offset: int
    recovered: bool
    server_ms: int
    stream: PublicStream
    deals: list[Deal]
    products: list[Product]
    orders: list[Order]


async def admission(context: Context, stream_id: str, identity: Identity) -> Visit:
    """The visit of a bearer to a stream; raises ``stream_not_found``, ``forbidden``, ``stream_ended``."""
    stream = await context.streams.get(stream_id)
    visit = Visit(context, stream_id, stream.host.id, identity)
    if not visit.may(Grant.WATCH) and not visit.may(Grant.HOST):
        raise Problem("forbidden", "Your token does not allow watching this stream.")
    if stream.state == "ended":
        raise Problem("stream_ended", "The stream has ended.")
    return visit


async def refuse_banned(visit: Visit) -> None:
    """Raise ``banned``. Asked *after* arriving in the room: a ban from then on closes the connection by itself."""
    if await visit.context.chat.ban_until(visit.stream_id, visit.identity.user_id) is not None:
        raise Problem("banned", "You are banned from this stream.")


async def welcome(request: web.Request, visit: Visit, arrival: Arrival) -> Any:
    """The state of everything, read after the arrival: the events that follow it bring it up to date."""
    await refuse_banned(visit)
    context, identity = visit.context, visit.identity
    stream = await context.streams.get(visit.stream_id)
    if stream.state == "ended":
        raise Problem("stream_ended", "The stream has ended.")
    can = [g.value for g in (Grant.WATCH, Grant.CHAT, Grant.BUY, Grant.HOST, Grant.MODERATE) if visit.may(g)]
    return Welcome(
        user=User(identity.user_id, identity.name, visit.roles, can),
        epoch=arrival.epoch,
        offset=arrival.offset,
        recovered=arrival.recovered,
        server_ms=context.clock.now_ms(),
        stream=await public_stream(request, stream),
        deals=await context.deals.deals(visit.stream_id),
        products=await context.deals.products(visit.stream_id),
        orders=await _open_orders(visit),
    )


async def _open_orders(visit: Visit) -> list[Order]:
    if not visit.may(Grant.BUY):
        return []
    orders, _ = await visit.context.deals.orders_of(
        visit.identity.user_id, stream_id=visit.stream_id, after=None, limit=_ORDERS
    )
    return [order for order in orders if order.state in _OPEN_ORDERS]
