"""The web application of one worker: every route, and what all requests have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from livecommerce import sse, ws
from livecommerce.bans import BanWatch
from livecommerce.context import CONTEXT, Context
from livecommerce.doors import DOORS, Doors
from livecommerce.http import health, media, media_stats, pages, pipes, schema, webhooks
from livecommerce.http.access import BANS, GATE, Gate
from livecommerce.http.api import (
    analytics,
    claims,
    deals,
    guest,
    orders,
    poster,
    price_rules,
    products,
    streams,
    waitlist,
)
from livecommerce.http.bodies import MAX_SDP_BYTES
from livecommerce.http.ending import ENDER, StreamEnder
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.http.hops import SignedHops
from livecommerce.http.media_seats import SEATS, MediaSeats
from livecommerce.http.middlewares import dress, edge
from livecommerce.http.patience import PATIENCE, Patience
from livecommerce.http.proxy import PROXY, WorkerProxy
from livecommerce.limits import RateLimiter, TrustedProxies
from livecommerce.posters import Posters

#: every operation of the public HTTP contract; the router tries them in this order, so those asked most come first
ENDPOINTS: Sequence[Endpoint] = (
    *claims.ENDPOINTS,
    *waitlist.ENDPOINTS,
    *streams.ENDPOINTS,
    *deals.ENDPOINTS,
    *products.ENDPOINTS,
    *price_rules.ENDPOINTS,
    *guest.ENDPOINTS,
    *orders.ENDPOINTS,
    *analytics.ENDPOINTS,
    *poster.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *media.ENDPOINTS,
    *health.ENDPOINTS,
)

#: the rooms' routes, for the document alone: ``ws`` and ``sse`` add them to the router themselves
ROOMS: Sequence[Endpoint] = (
    Endpoint(
        "GET",
        "/ws/{stream_id}",
        ws.handle,
        "Join a room by WebSocket; see /asyncapi.json",
        "rooms",
        {101: ()},
    ),
    Endpoint(
        "GET",
        "/sse/{stream_id}",
        sse.handle,
        "Follow a room as server-sent events, read-only; a token in the header or the query",
        "rooms",
        {200: (Body(None, "text/event-stream"),)},
        needs="watch",
        refusals=("stream_not_found", "banned"),
        parameters=(
            ("token", "query", False, {"type": "string"}, "For EventSource, which cannot send a header."),
            ("Last-Event-ID", "header", False, {"type": "string"}, "`<epoch>:<offset>` of the last numbered event."),
        ),
    ),
)


def build_app(context: Context) -> web.Application:
    """The application; serve it on the public port **and** on the worker's private address.

    It starts and closes only what it made itself (the connections to other workers, the watch over bans, the
    ends of streams); the context's parts belong to who built them.
    """
    app = web.Application(middlewares=[edge], client_max_size=MAX_SDP_BYTES)
    hops = SignedHops(context.tokens.derive("hop"), worker_id=context.worker_id, now_ms=context.clock.now_ms)
    app[CONTEXT] = context
    app[GATE] = Gate.of(context.settings.limit, TrustedProxies(context.settings.trusted_proxy), hops)
    app[DOORS] = Doors.of(context.settings)
    app[SEATS] = MediaSeats(context.relay, most=context.settings.limit.mediaaddress)
    app[PATIENCE] = Patience()
    app[PROXY] = WorkerProxy(hops)
    app[ENDER] = StreamEnder(context, app[PROXY])
    app[BANS] = BanWatch(context.chat, context.streams, context.hub, context.relay, now_ms=context.clock.now_ms)
    app[poster.POSTERS], app[poster.PACE] = Posters(context.redis), RateLimiter(poster.POSTER_RATE)
    app[health.DRAINING] = []
    app.on_response_prepare.append(dress)
    app.cleanup_ctx.append(_parts)
    app.add_routes([endpoint.route() for endpoint in ENDPOINTS])
    app.add_routes([*ws.routes(), *sse.routes(), *schema.routes([*ENDPOINTS, *ROOMS]), *pages.routes()])
    app.add_routes([web.post("/internal/streams/{stream_id}/end", media.end_here)])
    app.add_routes([web.get("/internal/streams/{stream_id}/stats", media_stats.local)])
    app.add_routes([web.post("/internal/streams/{stream_id}/pipes/{number}", pipes.serve)])
    context.relay.pull_by(pipes.PipeTickets(context, app[PROXY]))
    return app


async def _parts(app: web.Application) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for part in (app[PROXY], app[BANS], app[ENDER]):
            stack.push_async_callback(part.aclose)
            await part.start()
        yield
