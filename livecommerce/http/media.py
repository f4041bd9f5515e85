"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): video in, video out, on whichever worker it concerns."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from livecommerce.auth import Grant, Identity
from livecommerce.context import CONTEXT
from livecommerce.http import media_stats, placement
from livecommerce.http.access import (
    BANS,
    authenticate,
    controlled_stream,
    find_stream,
    refuse_banned,
    refuse_ended,
    require,
)
from livecommerce.http.bodies import MAX_SDP_BYTES, path_id, read_body, read_text
from livecommerce.http.endpoints import SDP, Body, Endpoint
from livecommerce.http.hops import HOP
from livecommerce.http.media_seats import SEATS
from livecommerce.http.proxy import PROXY, OwnerUnreachable
from livecommerce.http.turn import ice_server_links
from livecommerce.problems import Problem
from streams.relay_errors import NotHere

log = logging.getLogger(__name__)

FRAGMENT = "application/trickle-ice-sdpfrag"
#: which sessions a path may name
_KINDS = {"whip": "publish", "whep": "view"}


async def publish(request: web.Request) -> web.Response:
    """``POST /whip/{stream_id}``: the newest publisher of a stream takes over."""
    identity = authenticate(request)
    stream = await find_stream(request)
    require(identity.controls(stream.id, stream.host.id), "Only the host of this stream may go live in it.")
    offer = await _offer(request)
    refuse_ended(stream)
    return await _at_home(request, stream.id, lambda: _answer(request, identity, offer))


async def view(request: web.Request) -> web.Response:
    """``POST /whep/{stream_id}``."""
    identity = authenticate(request)
    stream = await find_stream(request)
    if stream.state == "ended":
        raise Problem("stream_not_found", "The stream has ended.")
    require(identity.may(Grant.WATCH, stream.id), "This token may not watch this stream.")
    await refuse_banned(request, stream.id, identity.user_id)
    offer = await _offer(request)
    if stream.state == "created":
        # Never a 400: players in the field change their mode on one (webrtc-player).
        raise Problem("not_live", "The stream has not started yet.")
    return await _at_home(
        request,
        stream.id,
        lambda: _answer(request, identity, offer),
        lambda: _answer(request, identity, offer, pull=True),
    )


async def patch(request: web.Request) -> web.Response:
    """``PATCH`` a session: trickled candidates (204) or an ICE restart (200)."""
    session_id = await _session(request)
    # Passed on before it is read as text: the owner judges, and says so.
    passed_on = await _at_owner(request, session_id)
    if passed_on is not None:
        return passed_on
    _refuse_other_kind(request, session_id)
    body = await read_text(request, FRAGMENT)
    answer = await request.app[CONTEXT].relay.patch(session_id, body, request.headers.get("If-Match"))
    headers = {"ETag": answer.etag} if answer.etag else {}
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(status=answer.status, body=answer.body.encode(), content_type=FRAGMENT, headers=headers)


async def leave(request: web.Request) -> web.Response:
    """``DELETE`` a session."""
    session_id = await _session(request)
    passed_on = await _at_owner(request, session_id)
    if passed_on is not None:
        return passed_on
    _refuse_other_kind(request, session_id)
    await request.app[CONTEXT].relay.end_session(session_id)
    return web.Response()


async def end_here(request: web.Request) -> web.Response:
    """``POST /internal/streams/{stream_id}/end``: another worker says that the stream has ended."""
    if request.get(HOP) is None:
        raise Problem("not_found", "Not Found.")
    await request.app[CONTEXT].relay.end_stream(path_id(request, "stream_id"))
    return web.Response(status=204)


async def _offer(request: web.Request) -> str:
    offer = await read_text(request, SDP)
    if not offer.strip():
        raise Problem("bad_sdp", "The offer is empty.")
    return offer


async def _answer(request: web.Request, identity: Identity, offer: str, *, pull: bool = False) -> web.Response:
    """Answer the offer here; with ``pull`` the media comes from the stream's home."""
    context = request.app[CONTEXT]
    mode, stream_id = _mode(request), request.match_info["stream_id"]
    relay, seats = context.relay, request.app[SEATS]
    seats.admit(request)
    session = await (relay.publish(stream_id, offer) if mode == "whip" else relay.view(stream_id, offer, pull=pull))
    seats.note(request, session.id)
    if mode == "whep":
        # The token may expire while its bearer watches; a ban ends the session wherever it is.
        await request.app[BANS].attach(stream_id, identity.user_id, session.id)
    headers = CIMultiDict({"Location": f"/{mode}/{stream_id}/{session.id}", "ETag": session.etag})
    headers["Accept-Patch"] = FRAGMENT
    settings, now_s = context.settings, context.clock.now_ms() // 1000
    for link in ice_server_links(settings.turn_url, settings.turn_secret, user_id=identity.user_id, now_s=now_s):
        headers.add("Link", link)
    # As bytes: from a str aiohttp would add a charset, which application/sdp does not have.
    return web.Response(status=201, body=session.answer.encode(), content_type=SDP, headers=headers)


async def _at_home(
    request: web.Request,
    stream_id: str,
    here: Callable[[], Awaitable[web.Response]],
    pulled: Callable[[], Awaitable[web.Response]] | None = None,
) -> web.Response:
    """Answer at the stream's home: here; where its media can be pulled from there; or by passing the request on."""
    context = request.app[CONTEXT]
    if request.get(HOP) is not None:
        return await here()  # a sibling settled it: never pass on twice
    home, address = await placement.home_of(context, stream_id)
    if home == context.worker_id:
        return await here()
    if pulled is not None:
        with contextlib.suppress(NotHere):
            return await pulled()
    try:
        return await request.app[PROXY].forward(request, address, await read_body(request, MAX_SDP_BYTES))
    except OwnerUnreachable as error:
        log.warning("the home of %s, %s, is unreachable: %s", stream_id, home, error)
        if not error.refused or await placement.settle(context, stream_id, gone=home) != context.worker_id:
            raise Problem("unavailable", "The stream is moving to another server; try again.") from error
    # Nobody listens there any more: its viewers are gone with it, so the stream may as well live here.
    return await here()


async def _session(request: web.Request) -> str:
    """The session the path names, for who may touch it: 401, then 404, then 403."""
    identity = authenticate(request)
    session_id = path_id(request, "session_id")
    stream = await find_stream(request)
    if _mode(request) == "whip":
        require(identity.controls(stream.id, stream.host.id), "Only the host of this stream may do this.")
    else:
        require(identity.may(Grant.WATCH, stream.id), "This token may not watch this stream.")
    return session_id


async def _at_owner(request: web.Request, session_id: str) -> web.Response | None:
    """The answer of the worker that owns the session; ``None`` when it is this one."""
    context = request.app[CONTEXT]
    owner = session_id.rpartition(".")[0]
    if owner == context.worker_id:
        return None
    address = None if request.get(HOP) is not None else await context.workers.address_of(owner)
    gone = Problem("session_not_found", "There is no such session; it may have ended with its server.")
    if address is None:
        raise gone
    try:
        return await request.app[PROXY].forward(request, address, await read_body(request, MAX_SDP_BYTES))
    except OwnerUnreachable as error:
        if error.refused:
            raise gone from error
        raise Problem("unavailable", "The session's server does not answer; try again.") from error


def _refuse_other_kind(request: web.Request, session_id: str) -> None:
    """Raise ``session_not_found`` unless the path names the session's own stream and kind."""
    kind, stream_id = request.app[CONTEXT].relay.session_kind(session_id)
    if (kind, stream_id) != (_KINDS[_mode(request)], request.match_info["stream_id"]):
        raise Problem("session_not_found", "There is no such session in this stream.")


async def stats(request: web.Request) -> web.Response:
    """``GET /api/v1/streams/{stream_id}/stats``: by the worker that carries the stream, for all."""
    stream = await controlled_stream(request)
    return await _at_home(request, stream.id, lambda: media_stats.here(request, stream.id))


def _mode(request: web.Request) -> str:
    return request.path.split("/", 2)[1]


_SESSION = {"Location": "The session, for PATCH and DELETE.", "ETag": "The ICE session.", "Link": "TURN servers."}
_OFFER_REFUSALS = ("stream_not_found", "unsupported_media_type", "bad_sdp", "full", "unavailable")
_SESSION_REFUSALS = ("session_not_found", "stream_not_found", "unavailable")


def _session_endpoints(mode: str, needs: str) -> tuple[Endpoint, ...]:
    path = f"/{mode}/{{stream_id}}/{{session_id}}"
    return (
        Endpoint(
            "PATCH",
            path,
            patch,
            "Trickle candidates, or restart ICE",
            "media",
            {204: (), 200: (Body(None, FRAGMENT, {"ETag": "The new ICE session."}),)},
            body=Body(None, FRAGMENT),
            needs=needs,
            refusals=(*_SESSION_REFUSALS, "unsupported_media_type", "precondition_required", "precondition_failed"),
        ),
        Endpoint("DELETE", path, leave, "End the session", "media", {200: ()}, needs=needs, refusals=_SESSION_REFUSALS),
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        "/whip/{stream_id}",
        publish,
        "Go live (WHIP): an offer that sends video and audio; takes over from an earlier publisher",
        "media",
        {201: (Body(None, SDP, _SESSION),)},
        body=Body(None, SDP),
        needs="host",
        refusals=(*_OFFER_REFUSALS, "stream_ended"),
    ),
    Endpoint(
        "POST",
        "/whep/{stream_id}",
        view,
        "Watch (WHEP): an offer that receives; while the stream is interrupted media follows later",
        "media",
        {201: (Body(None, SDP, _SESSION),)},
        body=Body(None, SDP),
        needs="watch",
        refusals=(*_OFFER_REFUSALS, "not_live", "banned"),
    ),
    Endpoint(
        "GET",
        "/api/v1/streams/{stream_id}/stats",
        stats,
        "The stream's media in numbers, over all workers that serve it; viewers in detail where asked for",
        "media",
        {200: (Body(dict[str, Any]),)},
        needs="host",
        refusals=("stream_not_found", "unavailable"),
        parameters=(("viewers", "query", False, {"type": "integer", "maximum": 500}, "How many in detail."),),
    ),
    *_session_endpoints("whip", "host"),
    *_session_endpoints("whep", "watch"),
)
