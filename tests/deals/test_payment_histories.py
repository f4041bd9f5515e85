"""Random histories of money: answers lost, workers dead, news late, doubled and in any order; the books must agree."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import TypeVar

import msgspec
import pytest
from redis.asyncio import Redis

from deals.errors import DealsError
from deals.models import Money, Order, OrderState
from deals.payments import Declined, PaymentStatus, Pending
from deals.reconcile import reconcile
from deals.service import DealService
from deals.webhooks import Webhook
from livecommerce.ids import new_id
from tests.deals.helpers import ScriptClock, a_buyer, a_deal, check_books, tick

T = TypeVar("T")

STOCK = 2
#: how a call to the bank goes: well, or its answer is lost (done or not), or its asker dies (before or after)
MOODS = ("well", "well", "well", "not done", "done unheard", "dead before", "dead after")
TOKENS = ("ok", "ok", "declined", "pending", "pending", "pending")
WALKS, STEPS = 60, 40


class Bank:
    """A provider of the worst kind that still keeps its word: one payment an order, taken and given back once."""

    def __init__(self) -> None:
        self.books: dict[str, PaymentStatus] = {}
        self.captures: Counter[str] = Counter()
        self.refunds: Counter[str] = Counter()
        self.news: list[bytes] = []
        self.mood = "well"

    async def _asked(self, then: str) -> None:
        mood, self.mood = self.mood, "well" if then == "after" else self.mood
        if (mood, then) in (("not done", "before"), ("done unheard", "after")):
            self.mood = "well"
            raise ConnectionError("the bank's answer was lost")
        if (mood, then) in (("dead before", "before"), ("dead after", "after")):
            self.mood = "well"
            raise asyncio.CancelledError

    def tell(self, order_id: str) -> None:
        """Something happened: a webhook, whenever it comes."""
        self.news.append(msgspec.json.encode(Webhook(f"{order_id} {len(self.news)}", order_id)))

    def take(self, order_id: str) -> None:
        """The money moves."""
        if self.books.get(order_id) not in (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED):
            self.books[order_id] = PaymentStatus.CAPTURED
            self.captures[order_id] += 1
            self.tell(order_id)

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        if token == "declined":
            raise Declined("no")
        return token

    async def capture(self, order_id: str, authorisation: str) -> None:
        await self._asked("before")
        known = self.books.get(order_id)
        if authorisation == "pending" and known in (None, PaymentStatus.DECLINED):
            self.books[order_id] = PaymentStatus.PENDING
        elif known is not PaymentStatus.PENDING:
            self.take(order_id)
        await self._asked("after")
        if self.books[order_id] is PaymentStatus.PENDING:
            raise Pending

    async def refund(self, order_id: str) -> None:
        await self._asked("before")
        if self.books.get(order_id) is PaymentStatus.CAPTURED:
            self.books[order_id] = PaymentStatus.REFUNDED
            self.refunds[order_id] += 1
            self.tell(order_id)
        await self._asked("after")

    async def status(self, order_id: str) -> PaymentStatus:
        return self.books.get(order_id, PaymentStatus.NONE)

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        return msgspec.json.decode(body, type=Webhook)


class Sale:
    """One deal, its orders and their bank, and a die that says what happens next."""

    def __init__(self, redis: Redis, clock: ScriptClock, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bank = Bank()
        #: no webhook ever comes: asking in time has to be enough
        self.deaf = seed % 2 == 0
        self.clock = clock
        self.orders: list[Order] = []
        self.seen: set[OrderState] = set()
        self.deals = DealService(redis, clock, self.bank, now_ms=lambda: clock.now_ms, new_id=new_id)

    async def walk(self) -> None:
        """Some steps, the books looked at after each, and the end in which everything has come."""
        spec = a_deal(stock=STOCK, duration_s=86_400, hold_s=8, per_buyer_limit=9)
        deal = await self.deals.create(new_id("s"), spec)
        self.deal = await self.deals.open(deal.stream_id, deal.id)
        steps = (self.claim, self.pay, self.pay, self.pay, self.decide, self.hear, self.cancel, self.refund, self.later)
        for _ in range(STEPS):
            await self.chance.choice(steps)()
            await self.check()
        await self.finish()
        await self.deals.aclose()

    async def do(self, call: Awaitable[T]) -> T | None:
        """What it returned; None when it was refused, unknown, or its worker died."""
        try:
            return await call
        except (DealsError, asyncio.CancelledError):
            return None

    def order(self) -> Order | None:
        """One of the newest: those that something can still happen to."""
        return self.chance.choice(self.orders[-3:]) if self.orders else None

    async def claim(self) -> None:
        where, buyer = (self.deal.stream_id, self.deal.id), a_buyer(self.chance.randrange(3))
        order = await self.do(self.deals.claim(*where, buyer=buyer, units=1, key=new_id()))
        self.orders += [] if order is None else [order]

    async def pay(self) -> None:
        if (order := self.order()) is not None:
            self.bank.mood, token = self.chance.choice(MOODS), self.chance.choice(TOKENS)
            await self.do(self.deals.pay(order.id, buyer_id=order.buyer.id, payment_token=token))
            self.bank.mood = "well"

    async def decide(self) -> None:
        """The bank makes up its mind about what was pending."""
        for order in self.orders:
            # Money of which nothing is told is looked for until a minute after the hold, and no longer.
            in_time = not self.deaf or (await self.deals.order(order.id)).state is OrderState.PAYING
            if in_time and self.bank.books.get(order.id) is PaymentStatus.PENDING:
                if self.chance.random() < 0.6:
                    self.bank.take(order.id)
                else:
                    self.bank.books[order.id] = PaymentStatus.DECLINED
                    self.bank.tell(order.id)

    async def hear(self) -> None:
        """Any news, in any order, any number of times."""
        if self.bank.news and not self.deaf:
            await self.do(self.deals.payment_webhook({}, self.chance.choice(self.bank.news)))

    async def cancel(self) -> None:
        if (order := self.order()) is not None:
            await self.do(self.deals.cancel_order(order.id, buyer_id=order.buyer.id))

    async def refund(self) -> None:
        if (order := self.order()) is not None:
            self.bank.mood = self.chance.choice(MOODS)
            await self.do(self.deals.refund(order.id))
            self.bank.mood = "well"

    async def later(self) -> None:
        self.clock.now_ms += self.chance.choice([100, 5_000, 9_000, 21_000, 60_000])
        await tick(self.deals, self.deal)
        await asyncio.gather(*self.deals._cashier._tasks)

    async def check(self) -> None:
        """Money moves once, the units add up, and nothing is called paid that is not."""
        assert all(count == 1 for count in (*self.bank.captures.values(), *self.bank.refunds.values()))
        await check_books(self.deals, self.deal)
        for order in self.orders[-4:]:
            state = (await self.deals.order(order.id)).state
            self.seen.add(state)
            assert state is not OrderState.PAID or self.bank.books[order.id] is PaymentStatus.CAPTURED

    async def finish(self) -> None:
        """When the bank has decided, and what comes has come, money is exactly where an order is paid."""
        await self.decide()
        for _ in range(2):
            for body in self.bank.news if not self.deaf else ():
                await self.do(self.deals.payment_webhook({}, body))
            for _ in range(8):
                await self.later()
        for order in self.orders:
            state, status = (await self.deals.order(order.id)).state, self.bank.books.get(order.id)
            assert (status is PaymentStatus.CAPTURED) == (state is OrderState.PAID), (state, status)
            assert state not in (OrderState.HELD, OrderState.PAYING, OrderState.REFUND_PENDING)
            self.seen.add(state)
        orders, differences = await reconcile(self.deals._store, self.deal.stream_id)
        assert (orders, differences) == (len(self.orders), [])


async def test_money_is_where_an_order_is_paid_whatever_is_lost_or_doubled(
    redis: Redis, clock: ScriptClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The short cut goes by real time, which no walk can repeat; test_sold_out.py has it.
    monkeypatch.setattr("deals.sold_out.FRESH_S", -1.0)
    sales = [Sale(redis, clock, seed) for seed in range(WALKS)]
    for sale in sales:
        await sale.walk()
    # The walks lead everywhere, but to the state that is passed through within one script.
    assert set[OrderState]().union(*(sale.seen for sale in sales)) == {*OrderState} - {OrderState.PAID_LATE}
