"""What joining means, for the WebSocket and for the event stream: who may, and what they are told first."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from aiohttp import web

from chat.models import ChatState, Message, Poll, Rules
from deals.models import Deal, Order, OrderState, Product
from livecommerce.auth import Grant, Identity
from livecommerce.context import Context
from livecommerce.http.access import BANS
from livecommerce.http.resources import PublicStream, base_url, poster_url, urls_of
from livecommerce.hub import Arrival
from livecommerce.posters import poster_tag
from livecommerce.problems import Problem
from livecommerce.room import Room
from livecommerce.snapshot import RoomState
from livecommerce.visit import Visit
from streams.models import Stream

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


class ChatView(msgspec.Struct, frozen=True):
    """The chat beside its messages; what follows ``poll`` is shown to hosts and moderators only."""

    rules: Rules
    pinned: Message | None
    #: the newest, open or closed
    poll: Poll | None
    questions: list[Message]
    #: blocked words as they were given, and whom the host made moderators
    words: list[str]
    moderators: list[str]


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
    chat: ChatView


async def admission(context: Context, stream_id: str, identity: Identity) -> Visit:
    """The visit of a bearer to a stream; raises ``stream_not_found``, ``forbidden``, ``stream_ended``."""
    room = context.hub.room(stream_id)
    state = None if room is None else room.snapshot.current()
    stream = await context.streams.get(stream_id) if state is None else state.stream
    visit = Visit(context, stream_id, stream.host.id, identity)
    if not visit.may(Grant.WATCH) and not visit.may(Grant.HOST):
        raise Problem("forbidden", "Your token does not allow watching this stream.")
    _refuse_ended(stream)
    return visit


def refuse_full(visit: Visit) -> None:
    """Raise ``full`` when this worker's part of the room has no seat left."""
    room = visit.context.hub.room(visit.stream_id)
    if room is not None and room.viewers >= visit.context.settings.limit.seats:
        raise Problem("full", "This room is full for the moment.", retry_after_ms=5000)


async def refuse_banned(request: web.Request, visit: Visit) -> None:
    """Raise ``banned``. Asked *after* arriving in the room: a ban from then on closes the connection by itself."""
    await request.app[BANS].refuse(visit.stream_id, visit.identity.user_id)


async def welcome(request: web.Request, visit: Visit, arrival: Arrival) -> Any:
    """The state of everything, read after the arrival: the events that follow it bring it up to date."""
    await refuse_banned(request, visit)
    context, identity = visit.context, visit.identity
    state = await arrival.room.snapshot.get(lambda: _read_state(context, arrival.room))
    stream = state.stream
    _refuse_ended(stream)
    chat, roles = state.chat, visit.roles
    if not roles:
        context.analytics.visited(stream.id, identity.user_id)
    # Viewers come and go without an event that would make the shared reading anew.
    shown = context.presence.shown(stream.id)
    base = base_url(request)
    can = [g.value for g in (Grant.WATCH, Grant.CHAT, Grant.BUY, Grant.HOST, Grant.MODERATE) if visit.may(g)]
    if visit.appointed and Grant.MODERATE.value not in can:
        can.append(Grant.MODERATE.value)
    return Welcome(
        user=User(identity.user_id, identity.name, roles, can),
        epoch=arrival.epoch,
        offset=arrival.offset,
        recovered=arrival.recovered,
        server_ms=context.clock.now_ms(),
        stream=PublicStream(
            id=stream.id,
            title=stream.title,
            state=stream.state,
            host=stream.host,
            created_ms=stream.created_ms,
            viewers=state.viewers if shown is None else shown,
            pinned=state.pinned,
            urls=urls_of(stream.id, base),
            poster_url=poster_url(stream.id, state.poster, base),
        ),
        deals=state.deals,
        products=state.products,
        orders=await _open_orders(visit),
        chat=_chat_view(chat, staff=bool(roles)),
    )


def _chat_view(chat: ChatState, *, staff: bool) -> ChatView:
    for_staff = (chat.questions, chat.words, chat.moderators) if staff else ([], [], [])
    return ChatView(chat.rules, chat.pinned, chat.poll, *for_staff)


async def _read_state(context: Context, room: Room) -> RoomState:
    stream_id, version = room.stream_id, room.snapshot.version
    stream, viewers, (pinned, poster), deals, products, chat = await asyncio.gather(
        context.streams.get(stream_id),
        context.presence.count(stream_id),
        asyncio.gather(context.deals.pinned(stream_id), poster_tag(context.redis, stream_id)),
        context.deals.deals(stream_id),
        context.deals.products(stream_id),
        context.chat.state(stream_id),
    )
    # Where an event was missed, or this worker came later than it. What was heard meanwhile is newer.
    if room.snapshot.version == version:
        room.moderators = frozenset(chat.moderators)
        room.poll_open = chat.poll is not None and chat.poll.state == "open"
    return RoomState(stream, viewers, pinned, poster, deals, products, chat)


def _refuse_ended(stream: Stream) -> None:
    if stream.state == "ended":
        raise Problem("stream_ended", "The stream has ended.")


async def _open_orders(visit: Visit) -> list[Order]:
    if not visit.may(Grant.BUY):
        return []
    orders, _ = await visit.context.deals.orders_of(
        visit.identity.user_id, stream_id=visit.stream_id, after=None, limit=_ORDERS
    )
    return [order for order in orders if order.state in _OPEN_ORDERS]
