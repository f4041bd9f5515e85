"""Gives out claim tickets, and asks for them where a deal wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from deals import keys, metrics
from deals.checks import check_deal, check_user
from deals.errors import Closed, DealsError, IllegalState, NotOpen, TicketInvalid, TicketRequired
from deals.models import Deal, DealState
from deals.store import Store
from deals.ticket import EARLY_MS, Ticket, is_good, issue

#: deals of which a worker remembers whether they want tickets
MOST_KNOWN = 1000
_SENTENCES: Mapping[type[DealsError], str] = {
    TicketRequired: "A claim of this deal needs a ticket; fetch one.",
    TicketInvalid: "This ticket is not yours, not for this deal, or has expired; fetch another.",
}


class TicketDesk:
    """One worker's; the same ``key`` on every worker."""

    def __init__(self, store: Store, key: bytes, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._key = key
        self._now_ms = now_ms
        self._ticketed: dict[tuple[str, str], bool] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[Deal]] = {}

    async def issue(self, stream_id: str, deal_id: str, *, buyer_id: str) -> Ticket:
        """A ticket, from :data:`EARLY_MS` before the opening until the end.

        Raises DealNotFound, NotOpen (too early), Closed, and IllegalState where none is wanted.
        """
        check_deal(stream_id, deal_id)
        deal, now_ms = await self._store.deal(stream_id, deal_id), self._now_ms()
        if not deal.ticketed:
            raise IllegalState("This deal needs no ticket.")
        if deal.state in (DealState.CLOSED, DealState.CANCELLED):
            raise Closed("The deal is over.")
        opens_ms = deal.opens_at_ms
        if opens_ms is None or now_ms < opens_ms - EARLY_MS:
            wait_ms = None if opens_ms is None else opens_ms - EARLY_MS - now_ms
            raise NotOpen(f"Tickets are given out {EARLY_MS // 1000} s before the opening.", retry_after_ms=wait_ms)
        metrics.TICKETS.inc()
        return issue(self._key, check_user(buyer_id), stream_id, deal_id, opens_ms=opens_ms, now_ms=now_ms)

    def wants_none(self, stream_id: str, deal_id: str) -> bool:
        """Whether it is known here that the deal wants no tickets; a hot path."""
        return self._ticketed.get((stream_id, deal_id)) is False

    async def check(self, stream_id: str, deal_id: str, user_id: str, key: str, ticket: str | None) -> None:
        """Raise TicketRequired or TicketInvalid, DealNotFound; a key that was accepted before needs no ticket."""
        where = (stream_id, deal_id)
        ticketed = self._ticketed.get(where)
        if ticketed is None:
            ticketed = await self._ask(where)
        if not ticketed:
            return
        if ticket is not None and is_good(self._key, ticket, user_id, stream_id, deal_id, now_ms=self._now_ms()):
            return
        [accepted] = await self._store.ask(("HEXISTS", keys.claims(stream_id, deal_id), f"{user_id}\n{key}"))
        if accepted:
            return
        kind = TicketRequired if ticket is None else TicketInvalid
        metrics.CLAIMS.add(kind.code)
        raise kind(_SENTENCES[kind])

    async def aclose(self) -> None:
        """Stop asking; safe to call twice."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _answered(self, where: tuple[str, str], task: asyncio.Task[Deal]) -> None:
        del self._asking[where]
        if not task.cancelled():
            task.exception()  # seen, though all who asked may have left

    async def _ask(self, where: tuple[str, str]) -> bool:
        """Whether a deal wants tickets. It never changes; all who claim in the first moment share one question."""
        task = self._asking.get(where)
        if task is None:
            task = self._asking[where] = asyncio.create_task(self._store.deal(*where), name=f"ticketed-{where[1]}")
            task.add_done_callback(lambda done: self._answered(where, done))
        # One who leaves does not take the answer from the others.
        ticketed = self._ticketed[where] = (await asyncio.shield(task)).ticketed
        if len(self._ticketed) > MOST_KNOWN:
            del self._ticketed[next(iter(self._ticketed))]
        return ticketed
