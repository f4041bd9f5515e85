"""``POST /api/v1/webhooks/payments``: what the payment provider tells, signed by it."""

from __future__ import annotations

from aiohttp import web

from deals.errors import WebhookRefused
from livecommerce.context import CONTEXT
from livecommerce.http.access import GATE, admit
from livecommerce.http.bodies import read_body
from livecommerce.http.endpoints import JSON, Body, Endpoint
from livecommerce.payments import WEBHOOK_PATH

#: a webhook, at most: an event of a real provider repeats much of what it is about
MAX_WEBHOOK_BYTES = 256 * 1024


async def payments(request: web.Request) -> web.Response:
    """The body is read as it came: the signature is of its bytes."""
    body = await read_body(request, MAX_WEBHOOK_BYTES)
    try:
        await request.app[CONTEXT].deals.payment_webhook(request.headers, body)
    except WebhookRefused:
        # A provider tells of a whole sale from few addresses, so that its own news meet no limit; forgeries do.
        admit(request, request.app[GATE].by_address)
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
