"""Claims: one tap, one order, never more units than there are."""

from __future__ import annotations

import msgspec
from aiohttp import web

from deals.errors import OutcomeUnknown
from deals.models import Buyer, Order, Units
from deals.terms import CodeText
from deals.ticket import Ticket
from livecommerce.auth import Grant
from livecommerce.context import CONTEXT
from livecommerce.http.access import authenticate, limited_address, refuse_banned, require
from livecommerce.http.answers import Processing, json_answer, quick_json_answer
from livecommerce.http.bodies import idempotency_key, path_id, read_json
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.problems import Problem
from livecommerce.schema.command import ClaimTicket


class ClaimRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many units, and with which discount code."""

    units: Units
    code: CodeText | None = None
    #: of a ticketed deal
    ticket: ClaimTicket | None = None


async def claim(request: web.Request) -> web.StreamResponse:
    """``POST …/deals/{deal_id}/claims``. A hot path: the checks that cost a question to Valkey are few."""
    deals = request.app[CONTEXT].deals
    identity = authenticate(request)
    stream_id, deal_id = path_id(request, "stream_id"), path_id(request, "deal_id")
    try:
        require(identity.may(Grant.BUY, stream_id), "This token may not buy in this stream.")
        await refuse_banned(request, stream_id, identity.user_id)
        key = idempotency_key(request)
        wanted = await read_json(request, ClaimRequest)
    except Problem:
        await deals.deal(stream_id, deal_id)  # 404 comes before all of these; asked only when one of them is due
        raise
    buyer = Buyer(identity.user_id, identity.name)
    try:
        order = await deals.claim(
            *(stream_id, deal_id),
            buyer=buyer,
            units=wanted.units,
            key=key,
            ticket=wanted.ticket,
            code=wanted.code,
            address=limited_address(request),
        )
    except OutcomeUnknown:
        return quick_json_answer(Processing(), 202, {"Retry-After": "1", "Cache-Control": "no-store"})
    return quick_json_answer(order, 201, {"Location": f"/api/v1/orders/{order.id}"})


async def ticket(request: web.Request) -> web.Response:
    """``POST …/deals/{deal_id}/ticket``."""
    deals = request.app[CONTEXT].deals
    identity = authenticate(request)
    stream_id, deal_id = path_id(request, "stream_id"), path_id(request, "deal_id")
    try:
        require(identity.may(Grant.BUY, stream_id), "This token may not buy in this stream.")
        await refuse_banned(request, stream_id, identity.user_id)
    except Problem:
        await deals.deal(stream_id, deal_id)  # 404 comes before these
        raise
    given = await deals.tickets.issue(stream_id, deal_id, buyer_id=identity.user_id)
    return json_answer(given, 201, headers={"Cache-Control": "no-store"})


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/streams/{stream_id}/deals/{deal_id}/claims",
        claim,
        "Claim units of an open deal: they are held for the buyer until the order's deadline",
        "deals",
        {201: (Body(Order, headers={"Location": "The order."}),), 202: (Body(Processing),)},
        body=Body(ClaimRequest),
        needs="buy",
        refusals=(
            *("stream_not_found", "deal_not_found", "banned", "limit_reached", "key_required", "key_reused"),
            *("code_unknown", "code_not_applicable", "code_used_up", "code_limit_reached"),
            *("sold_out", "not_open", "closed", "ticket_required", "ticket_invalid", "rate_limited", "unavailable"),
        ),
        parameters=(
            (
                "Idempotency-Key",
                "header",
                True,
                {"type": "string", "pattern": "^[\\x20-\\x7e]{1,128}$"},
                "The same for every attempt at this claim: a repeated one is answered with the same order.",
            ),
        ),
    ),
    Endpoint(
        "POST",
        "/api/v1/streams/{stream_id}/deals/{deal_id}/ticket",
        ticket,
        "Fetch a claim ticket of a ticketed deal, from 60 s before it opens",
        "deals",
        {201: (Body(Ticket),)},
        needs="buy",
        refusals=("stream_not_found", "deal_not_found", "banned", "not_open", "closed", "illegal_state", "unavailable"),
    ),
)
