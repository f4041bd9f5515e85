"""Taking claims: what is checked before a claim may wait in its lane, and who answers without asking Valkey."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from deals import metrics
from deals.checks import check_deal, clean
from deals.claims import ClaimDesk
from deals.errors import Invalid, KeyRequired, RateLimited, SoldOut
from deals.lane import Claim, ClaimLanes, Told
from deals.models import Buyer, Order
from deals.price_rules import spelled
from deals.scripts import CLAIM_SENTENCES
from deals.sold_out import SoldOutBoard
from deals.ticket_desk import TicketDesk

#: units of one claim; a deal's own limit is at most this
MOST_UNITS = 1000

_KEY = re.compile(r"[ -~]{1,128}\Z")
#: takes (user, address or "", whether with a discount code): None, or in how many ms to come back
Admit = Callable[[str, str, bool], int | None]
#: the same of giving an order back: takes (user, address or "")
AdmitCancel = Callable[[str, str], int | None]


class Wish(Struct, frozen=True, kw_only=True):
    """What a caller says of a claim.

    All the buyer's connections are told of a new order, but not one that calls itself ``origin``: it hears it as the
    answer. ``address`` is whose limit of claims counts besides the buyer's own.
    """

    stream_id: str
    deal_id: str
    buyer: Buyer
    units: int
    key: str
    origin: str = ""
    ticket: str | None = None
    code: str | None = None
    address: str = ""


class Claiming:
    """One worker's; owns its lanes."""

    def __init__(self, board: SoldOutBoard, desk: ClaimDesk, tickets: TicketDesk, admit: Admit | None) -> None:
        self._board = board
        self._desk = desk
        self._tickets = tickets
        self._admit = admit
        self._lanes = ClaimLanes(desk.submit)

    async def claim(self, wish: Wish) -> Order:
        """The accepted or replayed order; raises the refusal."""
        check_deal(wish.stream_id, wish.deal_id)
        buyer, code = self._checked(wish)
        if not self._tickets.wants_none(wish.stream_id, wish.deal_id):
            await self._tickets.check(wish.stream_id, wish.deal_id, buyer.id, wish.key, wish.ticket)
        return await self._lanes.claim(wish.stream_id, wish.deal_id, self._ready(wish, buyer, code))

    def begin(self, wish: Wish, told: Told) -> bool:
        """The same without waiting: refusals that are known here raise, ``told`` hears any other outcome, later.

        False, and nothing has been done: Valkey has to be asked before, which only :meth:`claim` can. Hot path.
        """
        if not self._tickets.wants_none(wish.stream_id, wish.deal_id):
            return False
        # Of that deal it is known what it wants: there is such a deal.
        buyer, code = self._checked(wish)
        self._lanes.begin(wish.stream_id, wish.deal_id, self._ready(wish, buyer, code), told)
        return True

    async def aclose(self) -> None:
        """Let claims under way end, then fail what waits; safe to call twice."""
        await self._lanes.aclose()

    def _checked(self, wish: Wish) -> tuple[Buyer, str]:
        """The buyer and the code, fit to be written."""
        if not _KEY.match(wish.key):
            raise KeyRequired("A claim needs an idempotency key of 1 to 128 printable ASCII characters.")
        if not 1 <= wish.units <= MOST_UNITS:
            raise Invalid(f"A claim is for 1 to {MOST_UNITS} units.")
        buyer = clean(wish.buyer)
        if self._admit is not None:
            wait_ms = self._admit(buyer.id, wish.address, wish.code is not None)
            if wait_ms is not None:
                metrics.CLAIMS.add(RateLimited.code)
                raise RateLimited("You are claiming too often.", retry_after_ms=wait_ms)
        return buyer, spelled(wish.code)

    def _ready(self, wish: Wish, buyer: Buyer, code: str) -> Claim:
        """The claim for its lane; raises SoldOut where that is known here."""
        stream_id, deal_id = wish.stream_id, wish.deal_id
        if self._board.answers(stream_id, deal_id, buyer.id, wish.key):
            metrics.CLAIMS.add(SoldOut.code)
            raise SoldOut(CLAIM_SENTENCES[SoldOut])
        return self._desk.prepare(stream_id, deal_id, buyer, wish.units, wish.key, wish.origin, code)
