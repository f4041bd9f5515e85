"""Builders that say only what matters to a test, and eyes on what the scripts did."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import OutcomeUnknown, WebhookRefused
from deals.models import Buyer, Deal, DealSpec, Money, Order, OrderState
from deals.payments import Declined, PaymentStatus
from deals.scripts import Command, RunScript
from deals.service import DealService
from deals.webhooks import Webhook
from livecommerce.ids import new_id


def now_ms() -> int:
    """Test and Valkey share one machine, hence one clock."""
    return int(time.time() * 1000)


def a_deal(**changes: Any) -> DealSpec:
    """A deal of 10 units, 2 a buyer, for a minute, held for 30 s."""
    spec = DealSpec("Lamp", Money(1999, "EUR"), stock=10, per_buyer_limit=2, duration_s=60, hold_s=30)
    return msgspec.structs.replace(spec, **changes)


def a_buyer(number: int | str = 1) -> Buyer:
    return Buyer(f"user-{number}", f"Name {number}")


async def open_deal(service: DealService, stream_id: str, **changes: Any) -> Deal:
    deal = await service.create(stream_id, a_deal(**changes))
    return await service.open(stream_id, deal.id)


async def claim(service: DealService, deal: Deal, number: int | str = 1, units: int = 1, key: str = "k") -> Order:
    return await service.claim(deal.stream_id, deal.id, buyer=a_buyer(number), units=units, key=key)


async def tick(service: DealService, deal: Deal) -> None:
    """Do what is due on a deal, as any worker's ticker would."""
    await service._ticker.tick(deal.stream_id, deal.id)


async def events(redis: Redis, stream_id: str) -> list[dict[str, Any]]:
    """The room's numbered events."""
    entries: Any = await redis.xrange(keys.log(stream_id))
    return [msgspec.json.decode(fields[b"e"]) for _, fields in entries]


async def types(redis: Redis, stream_id: str) -> list[str]:
    return [event["type"] for event in await events(redis, stream_id)]


async def check_books(service: DealService, deal: Deal) -> Deal:
    """The invariant, and the ledger agrees with the counts; returns the deal as it is."""
    now = await service.deal(deal.stream_id, deal.id)
    assert now.left >= 0
    assert now.left + now.held + now.sold == now.stock
    return now


async def check_indexes(redis: Redis, deal: Deal) -> None:
    """Whoever has an order in the deal finds it in the list of their own."""
    fields: Any = await redis.hkeys(keys.ledger(deal.stream_id, deal.id))
    buyers = [field[2:].decode() for field in fields if field.startswith(b"b:")]
    for buyer in buyers:
        listed = await redis.zscore(keys.buyer(buyer), f"{deal.stream_id}.{deal.id}")
        assert listed is not None, f"{buyer} has an order that no list of theirs leads to"


async def until(condition: Callable[[], Any], *, within_s: float = 5.0) -> Any:
    """Poll a condition (awaited when it can be) until it is truthy."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.001)


class ScriptClock:
    """A runner whose scripts see a clock that the test sets, in place of TIME."""

    def __init__(self, run: RunScript, redis: Redis) -> None:
        self._run = run
        self._redis = redis
        self.key = f"test:clock:{new_id()}"
        self.now_ms = now_ms()

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        await self._redis.set(self.key, self.now_ms)
        clock = f"now_ms = function() return tonumber(redis.call('GET', '{self.key}')) end\n"
        return await self._run(clock + source, keys, args, before)


class Till:
    """A payment provider in memory that does what the test says; idempotent by order id, as real ones are."""

    def __init__(self) -> None:
        self.captures: dict[str, int] = {}
        self.refunds: dict[str, int] = {}
        self.calls: list[str] = []
        self.gate: asyncio.Event | None = None
        self.lose_capture_answer = False

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        self.calls.append("authorise")
        if self.gate is not None:
            await self.gate.wait()
        if token != "pm_ok":
            raise Declined("no")
        return "a"

    async def capture(self, order_id: str, authorisation: str) -> None:
        self.calls.append("capture")
        if order_id not in self.captures:
            self.captures[order_id] = 1
        if self.lose_capture_answer:
            raise ConnectionError("the answer was lost")

    async def refund(self, order_id: str) -> None:
        self.calls.append("refund")
        if order_id in self.captures:
            self.refunds[order_id] = self.refunds.get(order_id, 0) + 1

    async def status(self, order_id: str) -> PaymentStatus:
        self.calls.append("status")
        if order_id in self.refunds:
            return PaymentStatus.REFUNDED
        return PaymentStatus.CAPTURED if order_id in self.captures else PaymentStatus.NONE

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        raise WebhookRefused("The till sends none.")


async def pay(service: DealService, order: Order, token: str = "pm_ok") -> Order:
    return await service.pay(order.id, buyer_id=order.buyer.id, payment_token=token)


async def crash_after_capture(service: DealService, till: Till, order: Order) -> None:
    """A worker that dies between capture and recording leaves this behind."""
    till.lose_capture_answer = True
    with pytest.raises(OutcomeUnknown):
        await pay(service, order)
    till.lose_capture_answer = False
    assert (await service.order(order.id)).state is OrderState.PAYING


async def repair(service: DealService, deal: Deal) -> None:
    """Tick, and wait for the orders that it took up."""
    await tick(service, deal)
    await asyncio.gather(*service._cashier._tasks)
