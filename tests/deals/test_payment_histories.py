"""Random histories of money: answers lost, workers dead, news late, doubled and in any order; the books must agree."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deals.errors import DealsError
from deals.models import Money, Order, OrderState
from deals.payments import Declined, PaymentStatus, Pending
from deals.service import DealService
from deals.webhooks import Webhook
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, a_buyer, a_deal, check_books, tick

T = TypeVar("T")

STOCK = 2
#: how a call to the bank goes: well, or its answer is lost (done or not), or its asker dies (before or after)
MOODS = ("well", "well", "well", "not done", "done unheard", "dead before", "dead after")
WHICH = st.integers(0, 5)


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


class Payments(RuleBasedStateMachine):
    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bank = Bank()
        self.orders: list[Order] = []
        self.do(self._begin())

    def do(self, call: Awaitable[T]) -> T | None:
        """What it returned; None when it was refused, unknown, or its worker died."""

        async def run() -> T | None:
            with contextlib.suppress(DealsError, asyncio.CancelledError, ConnectionError):
                return await call
            return None

        return self.loop.run_until_complete(run())

    async def _begin(self) -> None:
        self.redis = Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))
        self.clock = ScriptClock(ScriptRunner(self.redis), self.redis)
        self.service = DealService(self.redis, self.clock, self.bank, now_ms=lambda: self.clock.now_ms, new_id=new_id)
        deal = await self.service.create(
            new_id("s"), a_deal(stock=STOCK, duration_s=86_400, hold_s=8, per_buyer_limit=9)
        )
        self.deal = await self.service.open(deal.stream_id, deal.id)

    def _order(self, number: int) -> Order | None:
        return self.orders[number % len(self.orders)] if self.orders else None

    @rule(buyer=WHICH)
    def claim(self, buyer: int) -> None:
        where = (self.deal.stream_id, self.deal.id)
        order = self.do(self.service.claim(*where, buyer=a_buyer(buyer), units=1, key=new_id()))
        if order is not None:
            self.orders.append(order)

    @rule(
        number=WHICH, token=st.sampled_from(["ok", "ok", "declined", "pending", "pending"]), mood=st.sampled_from(MOODS)
    )
    def pay(self, number: int, token: str, mood: str) -> None:
        if (order := self._order(number)) is not None:
            self.bank.mood = mood
            self.do(self.service.pay(order.id, buyer_id=order.buyer.id, payment_token=token))
            self.bank.mood = "well"

    @rule(number=WHICH, taken=st.booleans())
    def decide(self, number: int, taken: bool) -> None:
        """The bank makes up its mind about what was pending."""
        order = self._order(number)
        if order is not None and self.bank.books.get(order.id) is PaymentStatus.PENDING:
            if taken:
                self.bank.take(order.id)
            else:
                self.bank.books[order.id] = PaymentStatus.DECLINED
                self.bank.tell(order.id)

    @rule(number=st.integers(0, 20))
    def hear(self, number: int) -> None:
        """Any news, in any order, any number of times."""
        if self.bank.news:
            self.do(self.service.payment_webhook({}, self.bank.news[number % len(self.bank.news)]))

    @rule(number=WHICH)
    def cancel(self, number: int) -> None:
        if (order := self._order(number)) is not None:
            self.do(self.service.cancel_order(order.id, buyer_id=order.buyer.id))

    @rule(number=WHICH, mood=st.sampled_from(MOODS))
    def refund(self, number: int, mood: str) -> None:
        if (order := self._order(number)) is not None:
            self.bank.mood = mood
            self.do(self.service.refund(order.id))
            self.bank.mood = "well"

    @rule(ms=st.sampled_from([100, 5_000, 9_000, 21_000, 60_000]))
    def later(self, ms: int) -> None:
        self.clock.now_ms += ms
        self.do(self._tick())

    async def _tick(self) -> None:
        await tick(self.service, self.deal)
        await asyncio.gather(*self.service._cashier._tasks)

    @invariant()
    def money_moves_once_and_the_books_add_up(self) -> None:
        assert all(count == 1 for count in (*self.bank.captures.values(), *self.bank.refunds.values()))
        self.do(check_books(self.service, self.deal))
        for order in self.orders:
            now = self.do(self.service.order(order.id))
            if now is not None and now.state is OrderState.PAID:
                assert self.bank.books[order.id] is PaymentStatus.CAPTURED

    def teardown(self) -> None:
        """In the end, when the bank has decided and all news has come, money is exactly where an order is paid."""
        for number in range(len(self.orders)):
            self.decide(number, taken=number % 2 == 0)
        for _ in range(2):
            for body in self.bank.news:
                self.do(self.service.payment_webhook({}, body))
            for _ in range(8):
                self.later(6_000)
        for order in self.orders:
            state = self.do(self.service.order(order.id)).state  # type: ignore[union-attr]
            there = self.bank.books.get(order.id) is PaymentStatus.CAPTURED
            assert there == (state is OrderState.PAID), (state, self.bank.books.get(order.id))
            assert state not in (OrderState.PAYING, OrderState.REFUND_PENDING, OrderState.HELD)
        self.money_moves_once_and_the_books_add_up()
        self.do(self.service.aclose())
        self.do(self.redis.aclose())
        self.loop.close()


@pytest.mark.timeout(110)
def test_money_is_where_an_order_is_paid_whatever_is_lost_or_doubled(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The short cut goes by real time, which no random history can repeat; test_sold_out.py has it.
    monkeypatch.setattr("deals.sold_out.FRESH_S", -1.0)
    Payments.url = valkey_url
    run_state_machine_as_test(
        Payments,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
