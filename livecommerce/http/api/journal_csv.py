"""The journal as CSV (RFC 4180), page by page, so that a million entries need the memory of one page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from aiohttp import web

from deals.models import JournalEntry
from livecommerce.context import CONTEXT
from livecommerce.http.bodies import MAX_LIMIT

CSV = "text/csv"

COLUMNS = (
    *("entry", "at_ms", "what", "order_id", "deal_id", "title", "buyer_id", "buyer_name", "units"),
    *("unit_amount", "total_amount", "currency", "state", "placed_ms", "held_until_ms", "paid_ms"),
    *("discount_amount", "shipping_amount", "code"),
)


async def export(request: web.Request, stream_id: str, after: str | None) -> web.StreamResponse:
    """Stream all entries after the cursor to the client."""
    deals = request.app[CONTEXT].deals
    # The first page before the headers: a refusal can still be a problem document.
    entries, cursor = await deals.journal(stream_id, after=after, limit=MAX_LIMIT)
    response = web.StreamResponse(
        headers={
            "Content-Type": f"{CSV}; charset=utf-8; header=present",
            "Content-Disposition": f'attachment; filename="orders-{stream_id}.csv"',
            "Cache-Control": "no-store",
        }
    )
    await response.prepare(request)
    await response.write((",".join(COLUMNS) + "\r\n").encode())
    while True:
        await response.write(rows(entries))
        if cursor is None:
            break
        entries, cursor = await deals.journal(stream_id, after=cursor, limit=MAX_LIMIT)
    await response.write_eof()
    return response


def rows(entries: Sequence[JournalEntry]) -> bytes:
    """These entries as lines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for entry in entries:
        order = entry.order
        writer.writerow(
            [
                *(entry.id, entry.at_ms, entry.what, order.id, order.deal_id, _cell(order.title)),
                *(_cell(order.buyer.id), _cell(order.buyer.name), order.units),
                *(order.unit_price.amount, order.total.amount, order.total.currency, order.state.value),
                *(order.placed_ms, order.held_until_ms, "" if order.paid_ms is None else order.paid_ms),
                *("" if money is None else money.amount for money in (order.discount, order.shipping)),
                _cell(order.code or ""),
            ]
        )
    return text.getvalue().encode()


def _cell(text: str) -> str:
    # A spreadsheet takes these for formulas, and names come from strangers (OWASP: CSV injection).
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
