"""One batch of claims, out and back: what the lane sends and what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deals import keys, metrics
from deals.errors import DealNotFound, OutcomeUnknown
from deals.lane import Claim, Outcome
from deals.models import Buyer, Money, Order, OrderState
from deals.pricing import Price
from deals.scripts import CLAIM_SENTENCES, REFUSALS, Command, Scripts
from deals.sold_out import SoldOutBoard
from deals.store import Frozen, Store, order_head, read_frozen, read_order, whom_to_tell
from deals.tariffs import Tariffs, price_members

#: orders of one buyer in one deal, those cancelled and expired included: bounds what claim-and-cancel loops can store
MOST_ORDERS_OF_BUYER = 50
#: (buyer, deal) pairs that a worker remembers to have written down
MOST_REMEMBERED = 100_000
#: deals that a worker remembers to exist
MOST_SEEN = 1000
#: how often a batch is priced again because its host changes the rules at that moment
MOST_REPRICED = 30
_pack = msgspec.msgpack.Encoder().encode
#: what claim.lua answers for a claim that was accepted
_ACCEPTED = 1
#: user, stream, deal
_Name = tuple[str, str, str]


class ClaimDesk:
    """Sends batches of claims; ahead of each, what says where its buyers may have orders."""

    def __init__(
        self,
        store: Store,
        scripts: Scripts,
        board: SoldOutBoard,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[str], str],
    ) -> None:
        self._board = board
        self._store = store
        self._scripts = scripts
        self._now_ms = now_ms
        self._new_id = new_id
        self.tariffs = Tariffs(scripts)
        self._remembered: dict[_Name, None] = {}
        self._seen: dict[tuple[str, str], None] = {}

    def prepare(
        self, stream_id: str, deal_id: str, buyer: Buyer, units: int, key: str, origin: str, code: str = ""
    ) -> Claim:
        """A claim with the id of the order that it will be."""
        ref = self._new_id("")
        return Claim(
            *(buyer, units, key, ref, f"{stream_id}.{deal_id}.{ref}"),
            *(order_head(f"{stream_id}.{deal_id}.{ref}", buyer, units), whom_to_tell(buyer.id, origin), code),
        )

    async def note(self, stream_id: str, deal_id: str, buyer: Buyer) -> None:
        """Write down that a buyer may have an order in a deal; raises DealNotFound."""
        names = await self._new(stream_id, deal_id, [buyer.id])
        if names:
            await self._store.ask(*self._entries(names))
            self._written(names)

    async def _new(self, stream_id: str, deal_id: str, users: Sequence[str]) -> list[_Name]:
        """Those of them whose entry this worker has not written yet; raises DealNotFound."""
        names = [one for user in dict.fromkeys(users) if (one := (user, stream_id, deal_id)) not in self._remembered]
        if names and (stream_id, deal_id) not in self._seen:
            # Only for a deal that exists: else anyone could fill the store with names of deals.
            [exists] = await self._store.ask(("EXISTS", keys.deal(stream_id, deal_id)))
            if not exists:
                raise DealNotFound("There is no such deal here.")
            self._seen[stream_id, deal_id] = None
            _trim(self._seen, MOST_SEEN)
        return names

    def _entries(self, names: Sequence[_Name]) -> list[Command]:
        # Each index has a slot of its own in a cluster: a command each, and no script.
        now = self._now_ms()
        return [("ZADD", keys.buyer(user), "NX", now, f"{stream}.{deal}") for user, stream, deal in names]

    def _written(self, names: Sequence[_Name]) -> None:
        self._remembered.update(dict.fromkeys(names))
        _trim(self._remembered, MOST_REMEMBERED)

    async def submit(self, stream_id: str, deal_id: str, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """Send one batch; an outcome each, in order. Raises redis-py's errors, and DealsError for the whole batch.

        The first claims of its buyers on this deal take the entries in their indexes along: as a call of its own before
        each batch these cost a second fsync at the one moment when everybody comes, the opening.
        """
        new = await self._new(stream_id, deal_id, [claim.buyer.id for claim in claims])
        before = self._entries(new) if new else ()
        packed: list[str | int] = []
        for claim in claims:
            user = claim.buyer.id
            packed += (f"{user}\n{claim.key}", f"b:{user}", claim.units, claim.ref, claim.head, claim.told)
        # One argument for all: the client library takes as long for each argument as for all of this.
        where, pack = keys.of_deal(stream_id, deal_id), _pack(packed)
        codes = {claim.code for claim in claims if claim.code}
        metrics.BATCH_CLAIMS.observe(len(claims))
        tariff = self.tariffs.known(stream_id, deal_id)
        if not codes <= tariff.codes.keys():
            tariff = await self.tariffs.read(stream_id, deal_id, codes)
        for _ in range(MOST_REPRICED):
            prices = None if tariff.plain and not codes else [tariff.price(c.units, c.code) for c in claims]
            asked_s = asyncio.get_running_loop().time()
            known = _pack(tariff.records(codes)) if codes else b""
            args = (MOST_ORDERS_OF_BUYER, pack, tariff.stamp, _pack_prices(claims, prices), known)
            try:
                answer = await self._scripts.raw("claim", where, args, before)
            except (RedisConnectionError, RedisTimeoutError, OSError):
                # A server that is not durable may come back without its newest writes, entries among them.
                self._remembered.clear()
                raise
            if new:
                self._written(new)
                new, before = [], ()
            if answer:
                break
            tariff = await self.tariffs.read(stream_id, deal_id, codes)
        else:
            # An attempt before this one may have been carried out, and only its answer lost.
            raise OutcomeUnknown("The prices change too fast; the same key will tell.", retry_after_ms=500)
        left, accepted, closes_ms, now, until, frozen, *results = answer
        self._board.heard(stream_id, deal_id, left=left, accepted=accepted, closes_ms=closes_ms, asked_s=asked_s)
        reader = _Outcomes(now, until, read_frozen(b"{%b}" % frozen))
        reader.count(results)
        if prices is None:
            return [reader.outcome(claim, code) for claim, code in zip(claims, results, strict=True)]
        return [reader.outcome(*one) for one in zip(claims, results, prices, strict=True)]


class _Outcomes:
    """Makes outcomes of one batch: an accepted order is known here but for what the script decided for all of them."""

    def __init__(self, placed_ms: int, held_until_ms: int, frozen: Frozen) -> None:
        self._placed_ms = placed_ms
        self._held_until_ms = held_until_ms
        self._frozen = frozen
        self._totals: dict[int, Money] = {}

    def outcome(self, claim: Claim, code: bytes | int, price: Price | None = None) -> Outcome:
        if code == _ACCEPTED:
            return self._order(claim) if price is None else self._priced(claim, price)
        if isinstance(code, int):
            kind = REFUSALS[code]
            return kind(CLAIM_SENTENCES[kind])
        return read_order(code)

    def _order(self, claim: Claim) -> Order:
        f, units = self._frozen, claim.units
        total = self._totals.get(units)
        if total is None:
            total = self._totals[units] = Money(units * f.unit_price.amount, f.unit_price.currency)
        return Order(
            *(claim.order_id, f.deal_id, f.stream_id, f.title, claim.buyer, units, f.unit_price, total),
            *(OrderState.HELD, self._held_until_ms, self._placed_ms),
        )

    def _priced(self, claim: Claim, p: Price) -> Order:
        f = self._frozen
        return Order(
            *(claim.order_id, f.deal_id, f.stream_id, f.title, claim.buyer, claim.units, f.unit_price, p.total),
            *(OrderState.HELD, self._held_until_ms, self._placed_ms, None, p.lines, p.discount, p.shipping, p.code),
        )

    @staticmethod
    def count(codes: Sequence[bytes | int]) -> None:
        accepted = codes.count(_ACCEPTED)
        if accepted:
            metrics.CLAIMS.add("accepted", by=accepted)
        if accepted < len(codes) and (replayed := sum(isinstance(code, bytes) for code in codes)):
            metrics.CLAIMS.add("replayed", by=replayed)


def _pack_prices(claims: Sequence[Claim], prices: Sequence[Price | None] | None) -> bytes:
    """ARGV[4] of claim.lua."""
    if prices is None:
        return b""
    return _pack([part for c, price in zip(claims, prices, strict=True) for part in (price_members(price), c.code)])


def _trim(oldest_first: dict[Any, None], most: int) -> None:
    while len(oldest_first) > most:
        del oldest_first[next(iter(oldest_first))]
