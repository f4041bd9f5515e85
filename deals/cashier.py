"""Money and orders: paying, refunding, and repairing what a dead worker left between the two.

The order is made ``paying`` before the provider is asked and ``paid`` after it captured. Whatever dies in between, the
provider's own books (idempotent by order id) are asked later, by whichever worker takes the order up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from deals import keys, metrics
from deals.errors import (
    DealsError,
    IllegalState,
    OrderNotFound,
    OutcomeUnknown,
    PaymentDeclined,
    Unavailable,
    WebhookRefused,
)
from deals.models import Order, OrderState
from deals.payments import Declined, PaymentProvider, PaymentStatus, Pending
from deals.scripts import Scripts
from deals.store import Store, read_order
from deals.ticker import LEASE_MS
from deals.webhooks import TOLERANCE_MS

_log = logging.getLogger(__name__)

#: entering ``paying`` extends the hold once by this
GRACE_MS = 30_000
#: the provider has this long for one attempt, authorise and capture together
PAY_WITHIN_S = 15.0
#: an attempt older than this is dead and may be taken over; longer than PAY_WITHIN_S, shorter than GRACE_MS
ATTEMPT_DEAD_MS = 20_000
#: attempts to pay one order: who tries card after card is no buyer, but may be trying out stolen ones
MOST_ATTEMPTS = 10
#: for how long after its deadline an order that expired while paying is looked at again for late money
LOOK_FOR_MS = 60_000
#: orders taken up at once by one worker; the lease brings back the others
MAX_TAKEN_UP = 32
#: what money that has come can still change
_UNDECIDED = frozenset({OrderState.HELD, OrderState.PAYING, OrderState.EXPIRED, OrderState.CANCELLED})


class Cashier:
    """Pays and refunds orders; owns the tasks that repair."""

    def __init__(self, store: Store, scripts: Scripts, payments: PaymentProvider, new_id: Callable[[str], str]) -> None:
        self._store = store
        self._scripts = scripts
        self._payments = payments
        self._new_id = new_id
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def pay(self, order_id: str, buyer_id: str, token: str) -> Order:
        """Pay a held order; a paid one answers as it is, and a ``paying`` one is told of later.

        Raises PaymentDeclined, IllegalState (also after :data:`MOST_ATTEMPTS`), OutcomeUnknown.
        """
        where, ref = self._find(order_id)
        attempt = self._new_id("")
        args = (ref, buyer_id, attempt, GRACE_MS, ATTEMPT_DEAD_MS, MOST_ATTEMPTS)
        text, *taken_over = await self._scripts("pay_begin", where, args)
        order = read_order(text)
        if order.state is OrderState.PAID:
            return order
        try:
            async with asyncio.timeout(PAY_WITHIN_S):
                # A dead attempt may have got as far as capturing, or the provider still thinks about it.
                known = await self._payments.status(order_id) if taken_over else PaymentStatus.NONE
                if known is PaymentStatus.PENDING:
                    raise Pending
                if known is not PaymentStatus.CAPTURED:
                    authorisation = await self._payments.authorise(order_id, order.total, token)
                    await self._payments.capture(order_id, authorisation)
        except Declined:
            await self._scripts("pay_decline", where, (ref, attempt))
            metrics.ORDERS.labels("declined").inc()
            raise PaymentDeclined("The payment was declined; your units stay reserved until the hold ends.") from None
        except Pending:
            metrics.ORDERS.labels("pending").inc()
            return order
        except Exception as error:
            # Whatever a provider's client raises: the money may have moved. The expiry of the hold will find out.
            metrics.ORDERS.labels("unknown").inc()
            _log.warning("the payment of %s has no known outcome: %r", order_id, error)
            raise OutcomeUnknown("It is not known yet whether you have paid; look at the order.") from error
        return await self._confirm(order_id)

    async def refund(self, order_id: str) -> Order:
        """Give a paid order's money back; ``refund_pending`` when the provider could not do it at once."""
        where, ref = self._find(order_id)
        [text] = await self._scripts("refund", where, (ref, LEASE_MS))
        order = read_order(text)
        return order if order.state is OrderState.REFUNDED else await self._refund_money(order)

    def take_up(self, stream_id: str, deal_id: str, ref: str) -> None:
        """Look at an order's money soon; dropped when too much is taken up already, or closing."""
        if self._closed or len(self._tasks) >= MAX_TAKEN_UP:
            return
        task = asyncio.create_task(self._repair(keys.order_id(stream_id, deal_id, ref)), name=f"settle-{ref}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop repairing; safe to call twice."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Order | None:
        """Hear the provider: look at the order it tells of; the order as it is then, None when there is nothing to do.

        Raises WebhookRefused for what is not the provider's, and whatever keeps us from looking: it is sent again.
        """
        outcome = "failed"
        try:
            event = self._payments.webhook(headers, body, now_ms)
            seen = keys.webhook(event.id)
            [known] = await self._store.ask(("EXISTS", seen))
            order = await self._told(event.order_id) if event.order_id is not None and not known else None
            # Only now: had we died before, it would have to be looked at again.
            await self._store.ask(("SET", seen, 1, "PX", 2 * TOLERANCE_MS))
            outcome = "repeated" if known else "dealt_with"
        except WebhookRefused:
            outcome = "refused"
            raise
        finally:
            metrics.WEBHOOKS.labels(outcome).inc()
        return order

    async def _told(self, order_id: str) -> Order | None:
        try:
            await self._look(order_id)
            return await self._store.order(order_id)
        except OrderNotFound:
            _log.warning("a webhook tells of an order that is none of ours: %r", order_id[:200])
        except IllegalState:
            _log.info("money for %s came when nobody wanted it any more; it was given back", order_id)
        return None

    async def _repair(self, order_id: str) -> None:
        try:
            await self._look(order_id)
        except Exception:
            # A broadcast-like chore: counted and logged; the lease brings it back.
            metrics.ORDERS.labels("repair_failed").inc()
            _log.warning("could not settle %s; it will be tried again", order_id, exc_info=True)

    async def _look(self, order_id: str) -> None:
        """Make the order agree with the provider's books."""
        order = await self._store.order(order_id)
        if order.state is OrderState.REFUND_PENDING:
            await self._refund_money(order)
            return
        where, ref = self._find(order_id)
        # Before the provider is asked: its "declined" is not of an attempt that begins after this.
        [attempt] = await self._store.ask(("HGET", keys.ledger(order.stream_id, order.deal_id), f"a:{ref}"))
        status = await self._status(order_id) if order.state in _UNDECIDED else PaymentStatus.NONE
        if status is PaymentStatus.CAPTURED:
            await self._confirm(order_id)
        elif status is PaymentStatus.DECLINED and order.state is OrderState.PAYING and attempt is not None:
            await self._scripts("pay_decline", where, (ref, attempt.decode().partition(" ")[0]))
            metrics.ORDERS.labels("declined").inc()
        else:
            await self._scripts("settled", where, (ref, LOOK_FOR_MS))

    async def _status(self, order_id: str) -> PaymentStatus:
        try:
            async with asyncio.timeout(PAY_WITHIN_S):
                return await self._payments.status(order_id)
        except Exception as error:
            raise Unavailable("The payment provider does not answer.", retry_after_ms=1000) from error

    async def _confirm(self, order_id: str) -> Order:
        where, ref = self._find(order_id)
        try:
            [text] = await self._scripts("pay_confirm", where, (ref,))
        except IllegalState:
            # Nobody wants this money (the order was cancelled meanwhile): give it straight back.
            async with asyncio.timeout(PAY_WITHIN_S):
                await self._payments.refund(order_id)
            raise
        order = read_order(text)
        metrics.ORDERS.labels("paid" if order.state is OrderState.PAID else "late").inc()
        return order

    async def _refund_money(self, order: Order) -> Order:
        where, ref = self._find(order.id)
        try:
            async with asyncio.timeout(PAY_WITHIN_S):
                await self._payments.refund(order.id)
            [text] = await self._scripts("refunded", where, (ref,))
        except DealsError:
            raise
        except Exception as error:
            _log.warning("the refund of %s failed and will be tried again: %r", order.id, error)
            return order
        metrics.ORDERS.labels("refunded").inc()
        return read_order(text)

    @staticmethod
    def _find(order_id: str) -> tuple[tuple[str, ...], str]:
        parts = keys.split_order_id(order_id)
        if parts is None:
            raise OrderNotFound("There is no such order.")
        return keys.of_deal(parts[0], parts[1]), parts[2]
