"""What has happened to a stream's orders, read from its journal at a glance: for sums, not for books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json

from deals import keys
from deals.models import Money
from deals.store import Store, pairs_of

#: entries of the journal's stream in one read: a batch of claims is one entry of some 40 KB
AT_ONCE = 50


class Glance(Struct, frozen=True):
    """What a sum needs of an order; the rest of its JSON is passed over."""

    id: str
    total: Money


class Happened(Struct, frozen=True):
    """One step of one order: ``what`` as in :class:`deals.models.JournalEntry`."""

    at_ms: int
    what: str
    order: Glance


_read_one = json.Decoder(Glance).decode
_read_many = json.Decoder(list[Glance]).decode


async def happened(store: Store, stream_id: str, after: str) -> tuple[list[Happened], str]:
    """Steps after a place ("" is the beginning), oldest first, and the new place; no steps: there are no more yet."""
    start = f"({after}" if after else "-"
    [entries] = await store.ask(("XRANGE", keys.journal(stream_id), start, "+", "COUNT", AT_ONCE))
    found = [step for _, flat in entries for step in _steps(dict(pairs_of(flat)))]
    return found, entries[-1][0].decode() if entries else after


def _steps(fields: dict[bytes, Any]) -> Sequence[Happened]:
    at_ms, what = int(fields[b"at_ms"]), fields[b"what"].decode()
    orders = _read_many(fields[b"orders"]) if b"orders" in fields else [_read_one(fields[b"order"])]
    return [Happened(at_ms, what, order) for order in orders]
