"""Webhooks: only the provider's own count, and nothing that is late, doubled, lost or out of order harms an order."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from deals import keys
from deals.errors import DealsError, PaymentDeclined, Unavailable, WebhookRefused
from deals.models import Deal, Money, Order, OrderState
from deals.payments import PaymentStatus, SimulatedPayments
from deals.service import DealService
from deals.webhooks import TOLERANCE_MS, Webhook, sign, verify
from livecommerce.ids import new_id
from tests.deals.helpers import ScriptClock, check_books, claim, open_deal, tick

SECRET, BODY, NOW_MS = b"the provider's and ours", b'{"id":"e1"}', 1_800_000_000_000


class Shop:
    """A service in set time, its provider, and what that would send."""

    def __init__(self, redis: Redis, clock: ScriptClock) -> None:
        self.redis = redis
        self.clock = clock
        self.payments = SimulatedPayments(redis, development=True, webhook_secret=SECRET)
        self.deals = DealService(redis, clock, self.payments, now_ms=lambda: clock.now_ms, new_id=new_id)

    async def pay(self, order: Order, token: str) -> Order:
        return await self.deals.pay(order.id, buyer_id=order.buyer.id, payment_token=token)

    async def webhooks(self, order: Order) -> list[bytes]:
        """What the provider has to tell of an order, in the order in which it will; taken from its outbox."""
        members: Any = await self.redis.zrange(self.payments.OUTBOX, 0, -1)
        ours = [member for member in members if order.id.encode() in member]
        if ours:
            await self.redis.zrem(self.payments.OUTBOX, *ours)
        return [member.partition(b" ")[2] for member in ours]

    async def hear(self, body: bytes) -> None:
        signature = sign(SECRET, body, self.clock.now_ms)
        await self.deals.payment_webhook({self.payments.SIGNATURE: signature}, body)

    async def later(self, deal: Deal, ms: int) -> None:
        """Time passes; what is due is done."""
        self.clock.now_ms += ms
        for _ in range(2):
            await tick(self.deals, deal)
            await asyncio.gather(*self.deals._cashier._tasks)

    async def state(self, order: Order) -> OrderState:
        return (await self.deals.order(order.id)).state

    async def captures(self, order: Order) -> int:
        return int(await self.redis.hget(self.payments.books(order.id), "captures") or 0)


@pytest.fixture
async def shop(redis: Redis, clock: ScriptClock) -> Shop:
    return Shop(redis, clock)


def test_a_signature_of_this_body_made_just_now_counts() -> None:
    for skew_ms in (0, TOLERANCE_MS, -TOLERANCE_MS):
        verify(SECRET, sign(SECRET, BODY, NOW_MS + skew_ms), BODY, NOW_MS)
    old, new = sign(b"old", BODY, NOW_MS), sign(SECRET, BODY, NOW_MS)
    verify(SECRET, f"{old},{new.partition(',')[2]}", BODY, NOW_MS)  # while the secret changes, both are sent


GOOD = sign(SECRET, BODY, NOW_MS)


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=1", "v1=1", "nonsense", GOOD.partition(",")[2], GOOD[:-1], GOOD + "0", GOOD.replace("v1", "v0")),
        sign(b"another", BODY, NOW_MS),
        sign(SECRET, BODY + b" ", NOW_MS),
        sign(SECRET, BODY, NOW_MS - TOLERANCE_MS - 1000),
        sign(SECRET, BODY, NOW_MS + TOLERANCE_MS + 1000),
        f"t={NOW_MS // 1000 - 400},{GOOD}",
        f"{GOOD},t={NOW_MS // 1000}",
        GOOD.replace("t=", "t=-"),
        GOOD.replace("t=", "t=0x"),
        f"t={'1' * 5000},v1=0",
        f"{GOOD},v2=é",
    ],
)
def test_anything_else_is_refused(header: str) -> None:
    with pytest.raises(WebhookRefused):
        verify(SECRET, header, BODY, NOW_MS)


def test_without_a_secret_nothing_counts() -> None:
    with pytest.raises(WebhookRefused):
        verify(b"", sign(b"", BODY, NOW_MS), BODY, NOW_MS)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":1,"order_id":"o"}', b"\xff"])
async def test_a_signed_body_of_another_form_is_refused(shop: Shop, body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        await shop.hear(body)


@pytest.mark.parametrize("token", ["pm_webhook_late", "pm_webhook_twice", "pm_webhook_disordered"])
async def test_an_order_is_paid_when_the_webhook_says_so_once_however_often(
    shop: Shop, stream_id: str, token: str
) -> None:
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    assert (await shop.pay(order, token)).state is OrderState.PAYING
    told = await shop.webhooks(order)
    assert len(told) == len(shop.payments.SENT[token]) >= 1
    for body in [*told, *reversed(told)]:
        await shop.hear(body)
        assert await shop.state(order) is OrderState.PAID
    now = await check_books(shop.deals, deal)
    assert (now.held, now.sold, await shop.captures(order)) == (0, 1, 1)
    steps, _ = await shop.deals.journal(stream_id, after=None, limit=50)
    assert [step.what for step in steps] == ["claimed", "paying", "paid"]


async def test_a_lost_webhook_is_repaired_by_asking(shop: Shop, stream_id: str) -> None:
    deal = await open_deal(shop.deals, stream_id, hold_s=300)
    order = await claim(shop.deals, deal)
    await shop.pay(order, "pm_webhook_lost")
    assert await shop.webhooks(order) == []
    await shop.later(deal, 19_000)
    assert await shop.state(order) is OrderState.PAYING
    await shop.later(deal, 1_000)
    assert await shop.state(order) is OrderState.PAID
    assert await shop.captures(order) == 1


@pytest.mark.parametrize(("stock", "becomes"), [(2, OrderState.PAID), (1, OrderState.REFUND_PENDING)])
async def test_a_webhook_after_the_hold_gets_a_unit_or_the_money_back(
    shop: Shop, stream_id: str, stock: int, becomes: OrderState
) -> None:
    deal = await open_deal(shop.deals, stream_id, stock=stock, hold_s=1, duration_s=3600)
    order = await claim(shop.deals, deal)
    await shop.pay(order, "pm_webhook_late")
    # Nobody asks meanwhile: the workers were all away.
    shop.clock.now_ms += 200_000
    await shop.deals._scripts("tick", keys.of_deal(stream_id, deal.id), (deal.id, 50, 5000))
    shop.deals.released(stream_id, deal.id)
    assert await shop.state(order) is OrderState.EXPIRED
    await claim(shop.deals, deal, 2)
    [told] = await shop.webhooks(order)
    await shop.hear(told)
    assert await shop.state(order) is becomes
    await check_books(shop.deals, deal)
    if becomes is OrderState.REFUND_PENDING:
        await shop.later(deal, 10)
        assert await shop.state(order) is OrderState.REFUNDED
        assert await shop.payments.status(order.id) is PaymentStatus.REFUNDED


async def test_a_payment_that_the_provider_still_thinks_about_is_not_begun_again(
    shop: Shop, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await open_deal(shop.deals, stream_id, hold_s=300)
    order = await claim(shop.deals, deal)
    await shop.pay(order, "pm_webhook_lost")
    shop.clock.now_ms += 20_000

    async def thinking(order_id: str) -> PaymentStatus:
        return PaymentStatus.PENDING

    async def never(order_id: str, amount: Money, token: str) -> str:
        raise AssertionError("a second payment was begun")

    monkeypatch.setattr(shop.payments, "status", thinking)
    monkeypatch.setattr(shop.payments, "authorise", never)
    assert (await shop.pay(order, "pm_ok")).state is OrderState.PAYING
    assert await shop.captures(order) == 1


async def test_a_decline_by_webhook_leaves_the_hold_and_another_way_to_pay(shop: Shop, stream_id: str) -> None:
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    await shop.pay(order, "pm_webhook_declined")
    [told] = await shop.webhooks(order)
    await shop.hear(told)
    assert await shop.state(order) is OrderState.HELD
    assert (await shop.pay(order, "pm_ok")).state is OrderState.PAID
    await shop.hear(told)
    assert await shop.state(order) is OrderState.PAID
    assert await shop.captures(order) == 1


async def test_a_second_decline_is_another_event(shop: Shop, stream_id: str) -> None:
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    for _ in range(2):
        assert (await shop.pay(order, "pm_webhook_declined")).state is OrderState.PAYING
        [told] = await shop.webhooks(order)
        await shop.hear(told)
        assert await shop.state(order) is OrderState.HELD


async def test_money_for_a_cancelled_order_is_given_back(shop: Shop, stream_id: str) -> None:
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    await shop.deals.cancel_order(order.id, buyer_id=order.buyer.id)
    await shop.redis.hset(shop.payments.books(order.id), "captured_ms", 1)
    await shop.hear(msgspec.json.encode(Webhook(new_id(), order.id)))
    assert await shop.state(order) is OrderState.CANCELLED
    assert await shop.payments.status(order.id) is PaymentStatus.REFUNDED


async def test_a_webhook_that_could_not_be_looked_at_counts_when_it_comes_again(
    shop: Shop, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    await shop.pay(order, "pm_webhook_late")
    [told] = await shop.webhooks(order)

    async def away(order_id: str) -> PaymentStatus:
        raise ConnectionError("the provider is away")

    with monkeypatch.context() as patch:
        patch.setattr(shop.payments, "status", away)
        with pytest.raises(DealsError) as refused:
            await shop.hear(told)
    assert refused.value.code == "unavailable"
    assert await shop.state(order) is OrderState.PAYING
    await shop.hear(told)
    assert await shop.state(order) is OrderState.PAID


async def test_what_is_none_of_ours_is_taken_note_of_and_no_more(shop: Shop, stream_id: str) -> None:
    for order_id in ("a.b.c", "nonsense", f"{stream_id}.d.r", "x" * 5000, None):
        await shop.hear(msgspec.json.encode(Webhook(new_id(), order_id)))


async def test_a_webhook_alone_takes_no_money_and_pays_nothing(shop: Shop, stream_id: str) -> None:
    """Even a well-signed lie: what counts is what the provider answers when it is asked."""
    deal = await open_deal(shop.deals, stream_id)
    order = await claim(shop.deals, deal)
    with pytest.raises(PaymentDeclined):
        await shop.pay(order, "pm_declined")
    await shop.hear(msgspec.json.encode(Webhook(new_id(), order.id, "captured")))
    assert await shop.state(order) is OrderState.HELD


async def test_webhooks_are_counted_by_what_became_of_them(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("livecommerce_payment_webhooks_total", {"outcome": outcome}) or 0.0

    before = {outcome: count(outcome) for outcome in ("dealt_with", "repeated", "refused", "failed")}
    body = msgspec.json.encode(Webhook(new_id(), "none.of.ours"))
    await shop.hear(body)
    await shop.hear(body)
    with pytest.raises(WebhookRefused):
        await shop.deals.payment_webhook({}, body)

    async def away(order_id: str) -> Order:
        raise Unavailable("gone")

    monkeypatch.setattr(shop.deals._store, "order", away)
    with pytest.raises(Unavailable):
        await shop.hear(msgspec.json.encode(Webhook(new_id(), "none.of.ours")))
    assert {outcome: count(outcome) - n for outcome, n in before.items()} == dict.fromkeys(before, 1.0)
