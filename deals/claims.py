"""One batch of claims, out and back: what the lane sends and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deals import keys, metrics
from deals.errors import DealNotFound
from deals.lane import Claim, Outcome
from deals.models import Buyer
from deals.scripts import CLAIM_SENTENCES, REFUSALS, Scripts
from deals.store import Store, order_head, read_order

#: orders of one buyer in one deal, those cancelled and expired included: bounds what claim-and-cancel loops can store
MOST_ORDERS_OF_BUYER = 50
#: (buyer, deal) pairs that a worker remembers to have written down
MOST_REMEMBERED = 100_000
#: deals that a worker remembers to exist
MOST_SEEN = 1000


class ClaimDesk:
    """Sends batches of claims; writes down beforehand where a buyer may have orders."""

    def __init__(
        self, store: Store, scripts: Scripts, *, now_ms: Callable[[], int], new_id: Callable[[str], str]
    ) -> None:
        self._store = store
        self._scripts = scripts
        self._now_ms = now_ms
        self._new_id = new_id
        self._remembered: dict[tuple[str, str, str], None] = {}
        self._seen: dict[str, None] = {}

    def prepare(self, stream_id: str, deal_id: str, buyer: Buyer, units: int, key: str) -> Claim:
        """A claim with the id of the order that it will be."""
        ref = self._new_id("")
        return Claim(buyer, units, key, ref, order_head(keys.order_id(stream_id, deal_id, ref), buyer, units))

    async def remember(self, stream_id: str, deal_id: str, claims: Sequence[Claim]) -> None:
        """Write each buyer's index entry that this worker has not written yet; raises DealNotFound."""
        new = [one for c in claims if (one := (c.buyer.id, stream_id, deal_id)) not in self._remembered]
        if not new:
            return
        member, now = f"{stream_id}.{deal_id}", self._now_ms()
        if member not in self._seen:
            # Only for a deal that exists: else anyone could fill the store with names of deals.
            [exists] = await self._store.ask(("EXISTS", keys.deal(stream_id, deal_id)))
            if not exists:
                raise DealNotFound("There is no such deal here.")
            self._seen[member] = None
            _trim(self._seen, MOST_SEEN)
        users = {user for user, _, _ in new}
        await self._store.ask(*(("ZADD", keys.buyer(user), "NX", now, member) for user in users))
        self._remembered.update(dict.fromkeys(new))
        _trim(self._remembered, MOST_REMEMBERED)

    async def submit(self, stream_id: str, deal_id: str, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """Send one batch; an outcome each, in order. Raises redis-py's errors, and DealNotFound for the whole batch."""
        args: list[str | bytes | int] = [MOST_ORDERS_OF_BUYER]
        for claim in claims:
            buyer = claim.buyer
            args += (f"{buyer.id}\n{claim.key}", buyer.id, buyer.name, claim.units, claim.ref, claim.head)
        metrics.BATCH_CLAIMS.observe(len(claims))
        _left, *answers = await self._scripts.raw("claim", keys.of_deal(stream_id, deal_id), args)
        return [_outcome(claim, answer) for claim, answer in zip(claims, answers, strict=True)]


def _outcome(claim: Claim, answer: bytes | int) -> Outcome:
    if isinstance(answer, int):
        kind = REFUSALS[answer]
        return kind(CLAIM_SENTENCES[kind])
    order = read_order(answer)
    metrics.CLAIMS.labels("accepted" if order.id.endswith(claim.ref) else "replayed").inc()
    return order


def _trim(oldest_first: dict[Any, None], most: int) -> None:
    while len(oldest_first) > most:
        del oldest_first[next(iter(oldest_first))]
