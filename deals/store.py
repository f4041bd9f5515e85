"""The edge to Valkey: what deals read, and the bytes that scripts take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deals import keys
from deals.errors import DealNotFound, OrderNotFound
from deals.models import Buyer, Deal, DealSpec, JournalEntry, Money, Order, Product, ProductSpec, Summary, summary_of
from deals.scripts import unavailable
from deals.terms import BundleItem, BuyXPayY

_DEAL_FIELDS = ("terms", "opens_at_ms", "closes_at_ms", "state", "left", "held", "sold", "lowest")

#: entries of the journal's stream in one answer: a batch of claims is one entry of some 40 KB
_ENTRIES_AT_ONCE = 50

_encode = msgspec.json.Encoder().encode
read_orders = msgspec.json.Decoder(list[Order]).decode
read_order = msgspec.json.Decoder(Order).decode
read_deal = msgspec.json.Decoder(Deal).decode
read_whole_product = msgspec.json.Decoder(Product).decode


class _Terms(msgspec.Struct, frozen=True):
    """The members of a public deal that never change."""

    id: str
    stream_id: str
    title: str
    image_url: str | None
    description: str | None
    price: Money
    compare_at: Money | None
    stock: int
    per_buyer_limit: int
    duration_s: int
    hold_s: int
    ticketed: bool
    buy_x_pay_y: BuyXPayY | None
    bundle: Sequence[BundleItem] | None
    product_id: str | None


class Frozen(msgspec.Struct, frozen=True):
    """The members that a deal gives to its orders."""

    deal_id: str
    stream_id: str
    title: str
    unit_price: Money


read_frozen = msgspec.json.Decoder(Frozen).decode


def _members(value: msgspec.Struct) -> bytes:
    """A struct's JSON without its braces, to be spliced by a script."""
    return _encode(value)[1:-1]


@lru_cache(maxsize=8192)  # who claims once often claims again: 1 µs for each of a claim's texts
def _text(text: str) -> str:
    return _encode(text).decode()


def order_head(order_id: str, buyer: Buyer, units: int) -> str:
    """What claim.lua splices into an order. An order id has nothing in it that JSON would write otherwise."""
    return f'"id":"{order_id}","buyer":{{"id":{_text(buyer.id)},"name":{_text(buyer.name)}}},"units":{units}'


def whom_to_tell(user_id: str, origin: str) -> str:
    """What ``tell_all`` takes for one user; ``origin`` is a connection's own name, of hexadecimal digits."""
    return f'[{_text(user_id)},"{origin}"]'


def create_args(
    stream_id: str, deal_id: str, spec: DealSpec, bundle: Sequence[BundleItem], most_unfinished: int
) -> list[str | bytes | int]:
    """ARGV of create.lua; the bundle is that of the spec with the items' titles."""
    s = spec
    terms = _Terms(
        *(deal_id, stream_id, s.title, s.image_url, s.description, s.price, s.compare_at),
        *(s.stock, s.per_buyer_limit, s.duration_s, s.hold_s),
        *(s.ticketed, s.buy_x_pay_y, bundle or None, s.product_id),
    )
    return [
        deal_id,
        "" if s.opens_at_ms is None else s.opens_at_ms,
        s.duration_s * 1000,
        s.hold_s * 1000,
        s.per_buyer_limit,
        s.stock,
        s.price.amount,
        s.price.currency,
        _members(terms),
        _members(Frozen(deal_id, stream_id, s.title, s.price)),
        s.product_id or "",
        most_unfinished,
        s.stock // 10 if s.low_stock is None else s.low_stock,
        "*" if s.buy_x_pay_y or bundle else "",
        "null" if s.compare_at else "",
        " ".join(f"{item.item_id} {item.units}" for item in bundle),
    ]


def product_open_json(stream_id: str, product_id: str, spec: ProductSpec) -> bytes:
    """A product's public JSON as far as ``compare_at``: put_product.lua adds the rest."""
    product = Product(product_id, stream_id, spec.title, spec.image_url, spec.description, spec.price, spec.compare_at)
    return _encode(product).removesuffix(b',"lowest_30d":null,"pinned":false}')


def read_product(open_json: bytes, pinned: bool) -> Product:
    """The product of a showcase entry's JSON."""
    return read_whole_product(open_json + (b',"pinned":true}' if pinned else b',"pinned":false}'))


def _deal_of(fields: Sequence[bytes | None], server_ms: int) -> Deal | None:
    if fields[0] is None:
        return None
    terms, opens, closes, state, left, held, sold, lowest = (f or b"" for f in fields)
    return read_deal(
        b'{%b,"opens_at_ms":%b,"closes_at_ms":%b,"state":"%b","left":%b,"held":%b,"sold":%b,"lowest_30d":%b,'
        b'"server_ms":%d}'
        % (terms, opens or b"null", closes or b"null", state, left, held, sold, lowest or b"null", server_ms)
    )


def _as_parts_suffice(deal: Deal, left: Mapping[str, int]) -> Deal:
    sets = (left[item.item_id] // item.units for item in deal.bundle or ())
    return msgspec.structs.replace(deal, left=min(deal.left, *sets)) if deal.bundle else deal


class Store:
    """Reads; every driver error becomes :class:`deals.errors.Unavailable`."""

    def __init__(self, redis: Redis, now_ms: Callable[[], int]) -> None:
        self._redis = redis
        self._now_ms = now_ms

    async def ask(self, *commands: tuple[Any, ...], at_once: bool = False) -> list[Any]:
        """Send plain commands in one round trip, ``at_once`` as a transaction; the answers in order."""
        pipe = self._redis.pipeline(transaction=at_once)
        for command in commands:
            pipe.execute_command(*command)
        try:
            return list(await pipe.execute())
        except (RedisError, OSError) as error:
            raise unavailable() from error

    async def deal(self, stream_id: str, deal_id: str) -> Deal:
        """One deal; raises DealNotFound."""
        [deal] = await self._deals(stream_id, [deal_id])
        if deal is None:
            raise DealNotFound("There is no such deal here.")
        return deal

    async def summary(self, stream_id: str, deal_id: str) -> Summary:
        """How a deal went; raises DealNotFound."""
        deal = await self.deal(stream_id, deal_id)
        [(revenue, ms)] = await self.ask(("HMGET", keys.deal(stream_id, deal_id), "revenue", "sold_out_ms"))
        return summary_of(deal, int(revenue or 0), None if ms is None else int(ms))

    async def deals(self, stream_id: str, most: int) -> list[Deal]:
        """The stream's newest ``most`` deals, newest first."""
        [ids] = await self.ask(("ZREVRANGE", keys.deals(stream_id), 0, most - 1))
        found = await self._deals(stream_id, [i.decode() for i in ids])
        return [deal for deal in found if deal is not None]

    async def _deals(self, stream_id: str, deal_ids: Sequence[str]) -> list[Deal | None]:
        if not deal_ids:
            return []
        answers = await self.ask(*(("HMGET", keys.deal(stream_id, d), *_DEAL_FIELDS) for d in deal_ids))
        now = self._now_ms()
        deals = [_deal_of(fields, now) for fields in answers]
        items = sorted({item.item_id for deal in deals if deal is not None for item in deal.bundle or ()})
        if not items:
            return deals
        [left] = await self.ask(("HMGET", keys.rules(stream_id), *(f"left:{item}" for item in items)))
        return [deal and _as_parts_suffice(deal, dict(zip(items, map(int, left), strict=True))) for deal in deals]

    async def showcase(self, stream_id: str) -> tuple[list[Product], str | None]:
        """The products in their host's order (new ones last, as they were added), and the pinned one's id."""
        [flat] = await self.ask(("HGETALL", keys.showcase(stream_id)))
        fields = dict(pairs_of(flat))
        pinned = fields.get(b"pinned")
        rank = {product: place for place, product in enumerate(fields.get(b"order", b"").split())}
        found = {k[2:]: v.split(b" ", 1) for k, v in fields.items() if k.startswith(b"p:")}
        order = sorted(found, key=lambda k: (rank.get(k, len(rank)), found[k][0], k))
        return [read_product(found[k][1], k == pinned) for k in order], pinned.decode() if pinned else None

    async def order(self, order_id: str) -> Order:
        """One order; raises OrderNotFound."""
        parts = keys.split_order_id(order_id)
        if parts is None:
            raise OrderNotFound("There is no such order.")
        stream_id, deal_id, ref = parts
        [text] = await self.ask(("HGET", keys.ledger(stream_id, deal_id), f"o:{ref}"))
        if text is None:
            raise OrderNotFound("There is no such order.")
        return read_order(text)

    async def journal(self, stream_id: str, after: str | None, limit: int) -> list[JournalEntry]:
        """Up to ``limit`` journal entries after a cursor, oldest first."""
        found: list[JournalEntry] = []
        entry, _, number = (after or "").partition(":")
        start, skip = (entry or "-", int(number) + 1) if number else (f"({entry}" if entry else "-", 0)
        while len(found) < limit:
            [entries] = await self.ask(("XRANGE", keys.journal(stream_id), start, "+", "COUNT", _ENTRIES_AT_ONCE))
            for entry_id, fields in entries:
                found += read_entries(entry_id, fields)[skip:]
                skip, start = 0, f"({entry_id.decode()}"
            if len(entries) < _ENTRIES_AT_ONCE:
                break
        return found[:limit]


def pairs_of(flat: Any) -> list[tuple[bytes, bytes]]:
    """Fields and values, in whichever form the protocol's version gives them."""
    return list(flat.items()) if isinstance(flat, dict) else list(zip(flat[::2], flat[1::2], strict=True))


def read_entries(entry_id: bytes, flat: Any) -> list[JournalEntry]:
    """The journal entries in an entry of the stream: one, or those of a batch of claims, each with its own cursor."""
    fields = dict(pairs_of(flat))
    entry, at_ms, what = entry_id.decode(), int(fields[b"at_ms"]), fields[b"what"].decode()
    if b"orders" not in fields:
        return [JournalEntry(entry, at_ms, what, read_order(fields[b"order"]))]
    return [JournalEntry(f"{entry}:{n}", at_ms, what, o) for n, o in enumerate(read_orders(fields[b"orders"]))]
