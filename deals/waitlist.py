"""The waiting list of a sold-out deal: a unit that comes back goes to the first in line, as a hold."""

from __future__ import annotations

from deals import keys
from deals.claims import MOST_ORDERS_OF_BUYER, ClaimDesk
from deals.models import Buyer, Place
from deals.scripts import Scripts
from deals.store import Store

#: who may wait for one deal
MOST_WAITING = 10_000


class WaitingList:
    """Joining, leaving, and one's place."""

    def __init__(self, store: Store, scripts: Scripts, desk: ClaimDesk) -> None:
        self._store = store
        self._scripts = scripts
        self._desk = desk

    async def join(self, stream_id: str, deal_id: str, buyer: Buyer) -> Place:
        """Wait for a unit; who waits already keeps the place."""
        # The order that an offer would be is named now, and the buyer's index written: the offer is made by a script.
        claim = self._desk.prepare(stream_id, deal_id, buyer, 1, "waitlist", "")
        await self._desk.note(stream_id, deal_id, buyer)
        # An offer costs what it costs now, whatever the rules are when it is made.
        price = await self._desk.tariffs.price(stream_id, deal_id, 1)
        args = (buyer.id, claim.ref, claim.head, MOST_WAITING, price, MOST_ORDERS_OF_BUYER)
        [position] = await self._scripts("waitlist_join", keys.of_deal(stream_id, deal_id), args)
        return Place(deal_id, position)

    async def leave(self, stream_id: str, deal_id: str, user_id: str) -> None:
        """Wait no more; safe to repeat."""
        await self._scripts("waitlist_leave", keys.of_deal(stream_id, deal_id), (user_id,))

    async def place(self, stream_id: str, deal_id: str, user_id: str) -> Place:
        """Where the user stands; position None when not waiting."""
        [rank] = await self._store.ask(("ZRANK", keys.queue(stream_id, deal_id), user_id))
        return Place(deal_id, None if rank is None else rank + 1)
