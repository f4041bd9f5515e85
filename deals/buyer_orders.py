"""A buyer's orders across streams: the index says where to look, the ledgers decide."""

from __future__ import annotations

from deals import keys
from deals.errors import Invalid
from deals.models import Order
from deals.store import Store, read_order

#: ledgers asked in one round trip
_AT_ONCE = 50


async def orders_of(
    store: Store, buyer_id: str, stream_id: str | None, after: str | None, limit: int
) -> tuple[list[Order], str | None]:
    """Up to ``limit`` orders after the one named ``after``: newest deal of the buyer first, newest order first."""
    [members] = await store.ask(("ZREVRANGE", keys.buyer(buyer_id), 0, -1))
    places = [tuple(m.decode().split(".")) for m in members]
    if stream_id is not None:
        places = [place for place in places if place[0] == stream_id]
    last = None if after is None else keys.split_order_id(after)
    if after is not None:
        if last is None or last[:2] not in places:
            raise Invalid("The cursor is none of ours.")
        places = places[places.index(last[:2]) :]
    found: list[tuple[str, str, str]] = []
    for start in range(0, len(places), _AT_ONCE):
        some = places[start : start + _AT_ONCE]
        records = await store.ask(*(("HGET", keys.ledger(s, d), f"b:{buyer_id}") for s, d in some))
        for (s, d), record in zip(some, records, strict=True):
            found += [(s, d, ref) for ref in reversed((record or b"").decode().split()[1:])]
        if last in found:
            found = found[found.index(last) + 1 :]
            last = None
        if len(found) > limit and last is None:
            break
    page = found[:limit]
    if not page:
        return [], None
    texts = await store.ask(*(("HGET", keys.ledger(s, d), f"o:{ref}") for s, d, ref in page))
    orders = [read_order(text) for text in texts if text is not None]
    return orders, keys.order_id(*page[-1]) if len(found) > limit else None
