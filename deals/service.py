"""The deals service: what the application calls. Every method raises :class:`deals.errors.DealsError` only."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping

from redis.asyncio import Redis

from deals import keys
from deals.buyer_orders import orders_of
from deals.cashier import Cashier
from deals.checks import check_deal, check_limit, check_user, clean
from deals.claiming import Admit, AdmitCancel, Claiming, Wish
from deals.claims import ClaimDesk
from deals.errors import Invalid, OrderNotFound, RateLimited
from deals.lane import Told
from deals.models import Buyer, Deal, DealSpec, JournalEntry, Order, OrderState, Place, Summary
from deals.payments import PaymentProvider
from deals.price_rules import PriceRules
from deals.scripts import RunScript, Scripts
from deals.showcase import Showcase
from deals.sold_out import SoldOutBoard
from deals.store import Store, create_args, read_deal, read_order
from deals.tally import Happened, happened
from deals.ticker import Ticker
from deals.ticket_desk import TicketDesk
from deals.waitlist import WaitingList

#: unfinished deals of one stream
MOST_UNFINISHED = 200
#: deals that a list shows: the newest
MOST_LISTED = 100
#: how far ahead a deal's end may be moved
MOST_AHEAD_MS = 86_400_000

_CURSOR = re.compile(r"[0-9]{1,20}-[0-9]{1,20}(:[0-9]{1,6})?\Z")


def stream_of_order(order_id: str) -> str:
    """The stream that an order id carries; raises OrderNotFound."""
    parts = keys.split_order_id(order_id)
    if parts is None:
        raise OrderNotFound("There is no such order.")
    return parts[0]


class DealService(Showcase):
    """Products, deals, claims and orders of all streams, as seen by one worker.

    ``now_ms`` is Valkey's clock as this worker knows it: for display only, scripts decide by TIME itself.
    """

    def __init__(
        self,
        redis: Redis,
        run_script: RunScript,
        payments: PaymentProvider,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[str], str],
        admit: Admit | None = None,
        admit_cancel: AdmitCancel | None = None,
        ticket_key: bytes = b"",
    ) -> None:
        self._now_ms = now_ms
        self._new_id = new_id
        super().__init__(Store(redis, now_ms), Scripts(run_script))
        self.rules = PriceRules(self._store, self._scripts)
        self._cashier = Cashier(self._store, self._scripts, payments, new_id)
        self._ticker = Ticker(self._store, self._scripts, self._cashier.take_up, self.released)
        self._board = SoldOutBoard(self._store, now_ms)
        desk = ClaimDesk(self._store, self._scripts, self._board, now_ms=now_ms, new_id=new_id)
        #: without a key of all workers, tickets are good on this one alone
        self.tickets = TicketDesk(self._store, ticket_key or secrets.token_bytes(32), now_ms)
        self._admit_cancel = admit_cancel
        self._waiting = WaitingList(self._store, self._scripts, desk)
        self._claiming = Claiming(self._board, desk, self.tickets, admit)

    async def start(self) -> None:
        """Start the ticker; claims work without it."""
        await self._ticker.start()

    async def aclose(self) -> None:
        """Let claims under way end, stop everything; safe to call twice."""
        await self._claiming.aclose()
        await self.tickets.aclose()
        await self._board.aclose()
        await self._ticker.aclose()
        await self._cashier.aclose()

    # deals

    async def create(self, stream_id: str, spec: DealSpec) -> Deal:
        """Create a deal; emits ``deal.scheduled`` (and ``deal.opened`` when its time has come)."""
        if not keys.is_id(stream_id):
            raise Invalid("This cannot be a stream's id.")
        bundle = await self.rules.bundle(stream_id, spec.bundle or ())
        deal_id = self._new_id("d")
        await self._touch(stream_id)
        where = (*keys.of_deal(stream_id, deal_id), keys.showcase(stream_id), keys.deals(stream_id))
        [text] = await self._scripts("create", where, create_args(stream_id, deal_id, spec, bundle, MOST_UNFINISHED))
        deal = read_deal(text)
        if deal.opens_at_ms is not None:
            self._ticker.expect(stream_id, deal_id, deal.opens_at_ms - deal.server_ms)
        return deal

    async def deal(self, stream_id: str, deal_id: str) -> Deal:
        """One deal as it is now."""
        check_deal(stream_id, deal_id)
        return await self._store.deal(stream_id, deal_id)

    async def summary(self, stream_id: str, deal_id: str) -> Summary:
        """How a deal went: units, revenue, when and how fast it sold out."""
        check_deal(stream_id, deal_id)
        return await self._store.summary(stream_id, deal_id)

    async def deals(self, stream_id: str) -> list[Deal]:
        """The stream's newest :data:`MOST_LISTED` deals, newest first."""
        return await self._store.deals(stream_id, MOST_LISTED) if keys.is_id(stream_id) else []

    async def open(self, stream_id: str, deal_id: str) -> Deal:
        """Open a scheduled deal at once."""
        return await self._change("open", stream_id, deal_id)

    async def close(self, stream_id: str, deal_id: str) -> Deal:
        """Close a deal early; holds stay payable."""
        return await self._change("close", stream_id, deal_id)

    async def cancel(self, stream_id: str, deal_id: str) -> Deal:
        """Cancel a deal: holds are released and paid orders refunded, soon after."""
        deal = await self._change("cancel", stream_id, deal_id)
        self._ticker.expect(stream_id, deal_id, 0)
        return deal

    async def extend(self, stream_id: str, deal_id: str, seconds: int) -> Deal:
        """Close a deal later by so many seconds."""
        if not 1 <= seconds <= MOST_AHEAD_MS // 1000:
            raise Invalid("A deal is extended by 1 second to 24 hours.")
        return await self._change("extend", stream_id, deal_id, seconds * 1000, MOST_AHEAD_MS)

    async def stream_ended(self, stream_id: str) -> None:
        """The stream is over: no new deals, open ones close, scheduled ones are cancelled. Safe to repeat."""
        if not keys.is_id(stream_id):
            return
        await self._touch(stream_id)
        _, members = await self._store.ask(
            ("HSET", keys.showcase(stream_id), "ended", 1), ("ZRANGE", keys.due(stream_id), 0, -1)
        )
        for deal_id in members:
            await self._scripts("stream_ended", keys.of_deal(stream_id, deal_id.decode()))

    # claims and orders

    async def claim(
        self,
        stream_id: str,
        deal_id: str,
        *,
        buyer: Buyer,
        units: int,
        key: str,
        payment_token: str | None = None,
        origin: str = "",
        ticket: str | None = None,
        code: str | None = None,
        address: str = "",
    ) -> Order:
        """Claim units; with a payment token also pay, in which case a decline raises though the hold stays.

        A key seen before answers with its order as it is now. Raises OutcomeUnknown when the answer was lost: the same
        key finds the truth. The rest is explained by :class:`deals.claiming.Wish`.
        """
        order = await self._claiming.claim(
            Wish(
                stream_id=stream_id,
                deal_id=deal_id,
                buyer=buyer,
                units=units,
                key=key,
                origin=origin,
                ticket=ticket,
                code=code,
                address=address,
            )
        )
        if payment_token is not None and order.state is OrderState.HELD:
            return await self.pay(order.id, buyer_id=buyer.id, payment_token=payment_token)
        return order

    def begin_claim(self, wish: Wish, told: Told) -> bool:
        """Claim without waiting; see :meth:`deals.claiming.Claiming.begin`."""
        return self._claiming.begin(wish, told)

    async def join_waitlist(self, stream_id: str, deal_id: str, *, buyer: Buyer) -> Place:
        """Wait for a unit of a sold-out deal; it comes as ``waitlist.offer``, a held order."""
        check_deal(stream_id, deal_id)
        return await self._waiting.join(stream_id, deal_id, clean(buyer))

    async def leave_waitlist(self, stream_id: str, deal_id: str, *, buyer_id: str) -> None:
        """Wait no more; safe to repeat."""
        check_deal(stream_id, deal_id)
        await self._waiting.leave(stream_id, deal_id, check_user(buyer_id))

    async def place_in_waitlist(self, stream_id: str, deal_id: str, *, buyer_id: str) -> Place:
        """Where the buyer stands."""
        check_deal(stream_id, deal_id)
        return await self._waiting.place(stream_id, deal_id, check_user(buyer_id))

    async def pay(self, order_id: str, *, buyer_id: str, payment_token: str) -> Order:
        """Pay an order; a paid one answers as it is, however often."""
        order = await self._cashier.pay(order_id, buyer_id, payment_token)
        if order.state is not OrderState.PAID:
            await self._soon(order)
        return order

    async def payment_webhook(self, headers: Mapping[str, str], body: bytes) -> None:
        """Hear the payment provider; raises WebhookRefused, or Unavailable when it should tell again."""
        order = await self._cashier.webhook(headers, body, self._now_ms())
        if order is not None and order.state is not OrderState.PAID:
            await self._soon(order)

    async def cancel_order(self, order_id: str, *, buyer_id: str, address: str = "") -> Order:
        """Give a held order's units back; raises RateLimited for who claims and cancels in a loop."""
        parts = keys.split_order_id(order_id)
        if parts is None:
            raise OrderNotFound("There is no such order.")
        if self._admit_cancel is not None and (wait_ms := self._admit_cancel(buyer_id, address)) is not None:
            raise RateLimited("You are cancelling too often.", retry_after_ms=wait_ms)
        [text] = await self._scripts("cancel_order", keys.of_deal(parts[0], parts[1]), (parts[2], buyer_id))
        self.released(parts[0], parts[1])
        return read_order(text)

    async def refund(self, order_id: str) -> Order:
        """Give a paid order's money back (the host's); its units are for sale again."""
        await self._touch(stream_of_order(order_id))
        try:
            return await self._cashier.refund(order_id)
        finally:
            # The units come back before the money goes, whatever becomes of that.
            self.released(*order_id.split(".")[:2])

    def released(self, stream_id: str, deal_id: str) -> None:
        """Units came back, says a ``deal.released`` of the room: the sold-out short cut ends at once."""
        self._board.ended(stream_id, deal_id)

    async def order(self, order_id: str, *, buyer_id: str | None = None) -> Order:
        """One order; with a buyer id, only if it is theirs."""
        order = await self._store.order(order_id)
        if buyer_id is not None and order.buyer.id != buyer_id:
            raise OrderNotFound("There is no such order.")
        return order

    async def orders_of(
        self, buyer_id: str, *, stream_id: str | None, after: str | None, limit: int
    ) -> tuple[list[Order], str | None]:
        """A buyer's orders and the cursor of what follows: newest deal first."""
        return await orders_of(self._store, check_user(buyer_id), stream_id, after, check_limit(limit))

    async def journal(self, stream_id: str, *, after: str | None, limit: int) -> tuple[list[JournalEntry], str | None]:
        """The steps of all orders of a stream after a cursor, oldest first, and the next cursor if there are more."""
        if after is not None and not _CURSOR.match(after):
            raise Invalid("The cursor is none of ours.")
        limit = check_limit(limit)
        if not keys.is_id(stream_id):
            return [], None
        entries = await self._store.journal(stream_id, after, limit + 1)
        return entries[:limit], entries[limit - 1].id if len(entries) > limit else None

    async def happened(self, stream_id: str, *, after: str) -> tuple[list[Happened], str]:
        """Steps of a stream's orders after a place ("" is the beginning), for sums; none: no more so far."""
        return await happened(self._store, stream_id, after) if keys.is_id(stream_id) else ([], after)

    # inside

    async def _change(self, verb: str, stream_id: str, deal_id: str, *args: int) -> Deal:
        check_deal(stream_id, deal_id)
        [text] = await self._scripts(verb, keys.of_deal(stream_id, deal_id), args)
        self._board.ended(stream_id, deal_id)
        return read_deal(text)

    async def _touch(self, stream_id: str) -> None:
        """Make every worker's ticker look at this stream: before the business, so that a crash cannot hide it."""
        await self._store.ask(("ZADD", keys.STREAMS, self._now_ms(), stream_id))

    async def _soon(self, order: Order) -> None:
        await self._touch(order.stream_id)
        self._ticker.expect(order.stream_id, order.deal_id, 0)
