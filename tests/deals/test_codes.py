"""Discount codes: who may use them, how often, and that no race gives one use too many."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import (
    CodeLimitReached,
    CodeNotApplicable,
    CodeNotFound,
    CodeUnknown,
    CodeUsedUp,
    DealNotFound,
    DealsError,
    Invalid,
    KeyReused,
    LimitReached,
    SoldOut,
)
from deals.models import Deal, Money, Order
from deals.payments import PaymentStatus
from deals.reconcile import reconcile
from deals.service import DealService
from deals.store import Store
from deals.terms import CodeSpec, Shipping
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, Till, a_buyer, claim, events, now_ms, open_deal, tick


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


async def buy(service: DealService, deal: Deal, number: int, code: str | None, key: str = "k", units: int = 1) -> Order:
    return await service.claim(deal.stream_id, deal.id, buyer=a_buyer(number), units=units, key=key, code=code)


async def outcome(service: DealService, deal: Deal, number: int, code: str | None, key: str = "k") -> str:
    try:
        return (await buy(service, deal, number, code, key)).state
    except DealsError as error:
        return error.code


async def used(service: DealService, stream_id: str) -> dict[str, int]:
    return {code.code: code.used for code in await service.rules.codes(stream_id)}


async def test_a_code_takes_its_share_off_and_stands_in_the_order(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    await service.rules.put_code(stream_id, "summer", CodeSpec(percent=10))
    order = await buy(service, deal, 1, "Summer", units=2)
    assert (order.code, order.discount, order.total) == ("SUMMER", eur(400), eur(3598))
    assert await service.order(order.id) == order
    assert await used(service, stream_id) == {"SUMMER": 1}


async def test_the_price_stays_whatever_becomes_of_the_code(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    await service.rules.put_code(stream_id, "A", CodeSpec(amount=eur(500)))
    order = await buy(service, deal, 1, "A")
    await service.rules.put_code(stream_id, "A", CodeSpec(percent=90))
    await service.rules.delete_code(stream_id, "A")
    paid = await service.pay(order.id, buyer_id="user-1", payment_token="pm_ok")
    assert (paid.total, paid.code) == (eur(1499), "A")
    assert (await service.summary(stream_id, deal.id)).revenue == eur(1499)
    assert await buy(service, deal, 1, "A") == paid


async def test_a_key_is_for_one_code(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    for code in ("A", "B"):
        await service.rules.put_code(stream_id, code, CodeSpec(percent=10))
    order = await buy(service, deal, 1, "A")
    assert await buy(service, deal, 1, "a") == order
    for other in ("B", None, "NONE"):
        with pytest.raises(KeyReused):
            await buy(service, deal, 1, other)
    plain = await buy(service, deal, 2, None)
    assert await buy(service, deal, 2, None) == plain
    with pytest.raises(KeyReused):
        await buy(service, deal, 2, "A")
    assert await used(service, stream_id) == {"A": 1, "B": 0}


async def test_why_a_code_cannot_be_used(service: DealService, stream_id: str) -> None:
    deal, other = await open_deal(service, stream_id), await open_deal(service, stream_id)
    rules = service.rules
    await rules.put_code(stream_id, "HERE", CodeSpec(percent=10, deal_id=deal.id, per_buyer_limit=1, total_limit=2))
    await rules.put_code(stream_id, "USD", CodeSpec(amount=Money(100, "USD")))
    cases = [
        *((deal, 1, "NONE", CodeUnknown), (deal, 1, "nö", CodeUnknown), (deal, 1, "X" * 33, CodeUnknown)),
        *((other, 1, "HERE", CodeNotApplicable), (deal, 1, "USD", CodeNotApplicable)),
    ]
    for where, buyer, code, kind in cases:
        with pytest.raises(kind):
            await buy(service, where, buyer, code)
    await buy(service, deal, 1, "HERE")
    with pytest.raises(CodeLimitReached):
        await buy(service, deal, 1, "HERE", "again")
    await buy(service, deal, 2, "HERE")
    with pytest.raises(CodeUsedUp):
        await buy(service, deal, 3, "HERE")
    assert (await service.deal(stream_id, deal.id)).left == 8


async def test_what_is_refused_for_the_deal_says_nothing_of_the_code(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, stock=2, per_buyer_limit=1)
    await service.rules.put_code(stream_id, "A", CodeSpec(percent=10))
    await claim(service, deal, 1)
    for code in ("A", "GUESS"):
        with pytest.raises(LimitReached):
            await buy(service, deal, 1, code, "b")
    await claim(service, deal, 2)
    for code in ("A", "GUESS"):
        with pytest.raises(SoldOut):
            await buy(service, deal, 3, code)


async def test_fifty_buyers_at_once_use_a_code_exactly_as_often_as_it_may_be(
    redis: Redis, run_script: ScriptRunner, service: DealService, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id, stock=100)
    await service.rules.put_code(stream_id, "TEN", CodeSpec(percent=10, total_limit=10, per_buyer_limit=1))
    tries = [outcome(service, deal, number, "TEN", key) for number in range(50) for key in ("a", "b")]
    results = await asyncio.gather(*tries, *(outcome(service, deal, n, None) for n in range(50, 60)))
    assert results[:100].count("held") == 10
    assert set(results[:100]) <= {"held", "code_used_up", "code_limit_reached"}
    assert results[100:] == ["held"] * 10
    assert await used(service, stream_id) == {"TEN": 10}
    assert (await reconcile(Store(redis, now_ms), stream_id))[1] == []


async def test_one_buyers_claims_in_one_batch_share_the_limit(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, per_buyer_limit=9)
    await service.rules.put_code(stream_id, "TWO", CodeSpec(percent=10, per_buyer_limit=2))
    results = await asyncio.gather(*(outcome(service, deal, 1, "TWO", f"k{n}") for n in range(4)))
    assert results == ["held", "held", "code_limit_reached", "code_limit_reached"]


async def test_a_use_comes_back_with_the_units(timed: DealService, clock: ScriptClock, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, hold_s=10)
    await timed.rules.put_code(stream_id, "ONE", CodeSpec(percent=10, total_limit=1, per_buyer_limit=1))
    order = await buy(timed, deal, 1, "ONE")
    with pytest.raises(CodeUsedUp):
        await buy(timed, deal, 2, "ONE")
    await timed.cancel_order(order.id, buyer_id="user-1")
    await buy(timed, deal, 2, "ONE")
    clock.now_ms += 10_000
    await tick(timed, deal)
    paid = await buy(timed, deal, 1, "ONE", "again")
    await timed.pay(paid.id, buyer_id="user-1", payment_token="pm_ok")
    assert await used(timed, stream_id) == {"ONE": 1}
    await timed.refund(paid.id)
    assert await used(timed, stream_id) == {"ONE": 0}
    assert (await timed.summary(stream_id, deal.id)).revenue == eur(0)
    again = await buy(timed, deal, 1, "ONE", "once more")
    await timed.pay(again.id, buyer_id="user-1", payment_token="pm_ok")
    await timed.cancel(stream_id, deal.id)
    await tick(timed, deal)
    assert await used(timed, stream_id) == {"ONE": 0}
    assert (await timed.summary(stream_id, deal.id)).revenue == eur(0)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize(("taken", "state"), [(False, "paid"), (True, "refund_pending")])
async def test_late_money_finds_the_code_only_if_a_use_is_left(
    timed: DealService,
    clock: ScriptClock,
    till: Till,
    redis: Redis,
    stream_id: str,
    taken: bool,
    state: str,
    moved: bool,
) -> None:
    deal = await open_deal(timed, stream_id, hold_s=10)
    await timed.rules.put_code(stream_id, "ONE", CodeSpec(percent=10, total_limit=1))
    order = await buy(timed, deal, 1, "ONE")
    till.lose_capture_answer = True
    with pytest.raises(DealsError):
        await timed.pay(order.id, buyer_id="user-1", payment_token="pm_ok")
    till.lose_capture_answer = False
    clock.now_ms += 41_000
    await timed._scripts("tick", keys.of_deal(deal.stream_id, deal.id), (deal.id, 50, 5000))
    assert (await timed.order(order.id)).state == "expired"
    if taken:
        await buy(timed, deal, 2, "ONE")
    if moved:
        other = await open_deal(timed, stream_id)
        await timed.rules.put_code(stream_id, "ONE", CodeSpec(percent=10, total_limit=1, deal_id=other.id))
    assert await till.status(order.id) is PaymentStatus.CAPTURED
    assert (await timed._cashier._confirm(order.id)).state == state
    assert await used(timed, stream_id) == {"ONE": 1}
    assert (await reconcile(Store(redis, now_ms), stream_id))[1] == []


async def test_a_code_that_is_made_again_goes_on_counting(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    spec = CodeSpec(percent=10, total_limit=1)
    await service.rules.put_code(stream_id, "ONE", spec)
    await buy(service, deal, 1, "ONE")
    await service.rules.delete_code(stream_id, "one")
    with pytest.raises(CodeUnknown):
        await buy(service, deal, 2, "ONE")
    assert (await service.rules.put_code(stream_id, "ONE", spec)).used == 1
    with pytest.raises(CodeUsedUp):
        await buy(service, deal, 2, "ONE")


async def test_a_worker_that_knows_older_rules_prices_again(
    redis: Redis, run_script: ScriptRunner, service: DealService, till: Till, stream_id: str
) -> None:
    other = DealService(redis, run_script, till, now_ms=now_ms, new_id=lambda p: f"{p}other{now_ms()}")
    deal = await open_deal(service, stream_id)
    await service.rules.put_code(stream_id, "A", CodeSpec(percent=10))
    assert (await buy(other, deal, 1, "A")).total == eur(1799)
    await service.rules.put_code(stream_id, "A", CodeSpec(percent=50))
    await service.rules.put_shipping(stream_id, Shipping(eur(300)))
    priced = await buy(other, deal, 2, "A")
    assert (priced.discount, priced.shipping, priced.total) == (eur(1000), eur(300), eur(1299))
    await service.rules.put_shipping(stream_id, None)
    assert (await buy(other, deal, 3, None)).total == eur(1999)
    await other.aclose()


async def test_rules_that_change_all_the_time_still_give_every_order_one_true_price(
    redis: Redis, service: DealService, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id, stock=200)
    await service.rules.put_code(stream_id, "A", CodeSpec(percent=10))

    async def host() -> None:
        for price in range(1, 25):
            await service.rules.put_shipping(stream_id, Shipping(eur(price)))

    orders, _ = await asyncio.gather(asyncio.gather(*(buy(service, deal, n, "A") for n in range(100))), host())
    for order in orders:
        shipping = order.shipping.amount if order.shipping else 0
        assert order.total == eur(1799 + shipping)
        assert await service.order(order.id) == order
    assert (await reconcile(Store(redis, now_ms), stream_id))[1] == []


async def test_no_event_of_the_room_says_a_code(redis: Redis, service: DealService, stream_id: str) -> None:
    await service.rules.put_code(stream_id, "SECRET", CodeSpec(percent=10))
    deal = await open_deal(service, stream_id, stock=2)
    order = await buy(service, deal, 1, "SECRET", units=2)
    await service.pay(order.id, buyer_id="user-1", payment_token="pm_ok")
    await service.refund(order.id)
    told = str(await events(redis, stream_id))
    assert "deal.claimed" in told
    assert "purchase" in told
    assert "SECRET" not in told.upper()
    assert "SECRET" not in str(await service.deals(stream_id))


async def test_what_a_host_may_make_is_bounded(
    service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deals.price_rules.MOST_CODES", 2)
    for code in ("B", "A", "A"):
        await service.rules.put_code(stream_id, code, CodeSpec(percent=10))
    with pytest.raises(Invalid):
        await service.rules.put_code(stream_id, "C", CodeSpec(percent=10))
    assert [code.code for code in await service.rules.codes(stream_id)] == ["A", "B"]
    await service.rules.delete_code(stream_id, "A")
    await service.rules.put_code(stream_id, "C", CodeSpec(percent=10))
    with pytest.raises(CodeNotFound):
        await service.rules.delete_code(stream_id, "A")
    for bad in ("", "A B", "É", "X" * 33, "A\nB"):
        with pytest.raises(Invalid):
            await service.rules.put_code(stream_id, bad, CodeSpec(percent=10))
    with pytest.raises(DealNotFound):
        await service.rules.put_code(stream_id, "B", CodeSpec(percent=10, deal_id="dnone"))
