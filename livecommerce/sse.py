"""``GET /sse/{stream_id}?token=``: the events of a room, read-only, as server-sent events.

Numbered events have ``id: <epoch>:<offset>``; ``Last-Event-ID`` (or ``?last_event_id=``) resumes. Where resuming is
not possible ``event: reset`` comes first, and the newest history after it.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from livecommerce import room_metrics as metrics
from livecommerce.close_codes import CloseCode
from livecommerce.context import CONTEXT
from livecommerce.doors import DOORS
from livecommerce.frames import EVENT_STREAM
from livecommerce.member import Member
from livecommerce.problems import Problem
from livecommerce.welcome import STREAM_ID, admission, refuse_banned, refuse_full

#: how often a connection is looked at whose end nobody told us of
LOOK_S = 0.5
#: how long what waits may take to leave
CLOSE_GRACE_S = 5.0
#: the last is nginx's: it would keep events until it has some kilobytes of them
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENT_ID = re.compile(r"([0-9a-zA-Z.]{1,64}):([0-9]{1,15})")


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [web.get("/sse/{stream_id}", handle)]


async def handle(request: web.Request) -> web.StreamResponse:
    """One event stream, for as long as it lasts. Refusals are problems, which an EventSource does not retry."""
    with request.app[DOORS].enter(request):
        return await _follow(request)


async def _follow(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    stream_id = request.match_info["stream_id"]
    identity = context.tokens.verify(_token(request))
    if not STREAM_ID.fullmatch(stream_id):
        raise Problem("stream_not_found", "There is no such stream.")
    visit = await admission(context, stream_id, identity)
    refuse_full(visit)
    await refuse_banned(request, visit)
    epoch, offset = _position(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def shut(code: CloseCode) -> None:
        over.set()

    member = Member(
        transport,
        EVENT_STREAM,
        user_id=identity.user_id,
        roles=visit.roles,
        expires_s=identity.expires_s,
        single=identity.single,
        shut=shut,
        now_s=loop.time(),
    )
    arrival = await context.hub.arrive(stream_id, member, epoch=epoch, offset=offset)
    metrics.CONNECTIONS.labels("sse").inc()
    response = web.StreamResponse(headers=_HEADERS)
    try:
        # Again, now that a ban would reach us: one may have come in between.
        await refuse_banned(request, visit)
        response.enable_chunked_encoding()
        await response.prepare(request)
        lost = epoch is not None and not arrival.recovered
        reset = [EVENT_STREAM.encode({"epoch": arrival.epoch, "offset": arrival.offset})] if lost else []
        await context.hub.settle(arrival, member, *reset)
        await _until_over(transport, member, over)
    finally:
        member.leave()
        metrics.CONNECTIONS.labels("sse").dec()
    loop.call_later(CLOSE_GRACE_S, transport.abort)
    response.force_close()
    return response


async def _until_over(transport: asyncio.BaseTransport, member: Member, over: asyncio.Event) -> None:
    # aiohttp does not tell a handler that its client left; a viewer who only listens says nothing we could miss.
    while not over.is_set() and not transport.is_closing():
        member.last_heard_s = asyncio.get_running_loop().time()
        member.outbox.write(EVENT_STREAM.ping) if _due(member) else None
        try:
            async with asyncio.timeout(LOOK_S):
                await over.wait()
        except TimeoutError:
            continue


def _due(member: Member) -> bool:
    now_s = asyncio.get_running_loop().time()
    if now_s - member.pinged_s < 15:
        return False
    member.pinged_s = now_s
    return True


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else request.query.get("token", "")
    if not token:
        raise Problem("token_required", "Send a token: ?token=<token>.")
    return token


def _position(request: web.Request) -> tuple[str | None, int | None]:
    text = request.headers.get("Last-Event-ID") or request.query.get("last_event_id") or ""
    match = _EVENT_ID.fullmatch(text)
    if match is None:
        return ("", None) if text else (None, None)
    return match[1], int(match[2])
