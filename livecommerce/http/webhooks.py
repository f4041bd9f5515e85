"""``POST /api/v1/webhooks/payments``: what the payment provider tells, signed by it."""

from __future__ import annotations

import time

from aiohttp import web

from deals.errors import WebhookRefused
from livecommerce.context import CONTEXT
from livecommerce.http.access import GATE, limited_address
from livecommerce.http.bodies import read_body
from livecommerce.http.endpoints import JSON, Body, Endpoint
from livecommerce.payments import WEBHOOK_PATH
from livecommerce.problems import Problem

#: a webhook, at most: each costs a signature of its whole body (64 KiB: about 0.1 ms) before it is known to be forged
MAX_WEBHOOK_BYTES = 64 * 1024


async def payments(request: web.Request) -> web.Response:
    """The body is read as it came: the signature is of its bytes.

    A provider tells of a whole sale from few addresses, so that its own news meet no limit; forgeries do, and an
    address that has sent too many of them is not listened to.
    """
    forgeries = request.app[GATE].forgeries
    address, now_s = limited_address(request), time.monotonic()
    wait_ms = forgeries.wait_ms(address, now_s) if address else None
    if wait_ms is not None:
        raise Problem("rate_limited", "Too many forged webhooks from this address.", retry_after_ms=wait_ms)
    body = await read_body(request, MAX_WEBHOOK_BYTES)
    try:
        await request.app[CONTEXT].deals.payment_webhook(request.headers, body)
    except WebhookRefused:
        if address:
            forgeries.take(address, now_s)
        raise
    return web.Response(status=204)


ENDPOINTS = (
    Endpoint(
        "POST",
        WEBHOOK_PATH,
        payments,
        "Where the payment provider sends its webhooks; its signature is in a header of its own",
        "orders",
        {204: ()},
        body=Body(None, JSON),
        refusals=("webhook_refused", "unavailable"),
    ),
)
