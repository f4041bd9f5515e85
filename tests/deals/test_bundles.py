"""Bundles: all parts or nothing, and a part that deals share is never sold twice."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import IllegalState, Invalid, ItemNotFound, SoldOut
from deals.models import Deal, DealSpec, DealState, Money, Order
from deals.reconcile import reconcile
from deals.service import DealService
from deals.store import Store
from deals.terms import BundleItem, BundlePart, ItemSpec, Line
from tests.deals.helpers import ScriptClock, a_buyer, a_deal, claim, events, now_ms, open_deal, tick, types

MUG, SPOON, TEA = BundlePart("mug", 1), BundlePart("spoon", 2), BundlePart("tea", 1)


async def stock(service: DealService, stream_id: str, **items: int) -> None:
    for item, units in items.items():
        await service.rules.put_item(stream_id, item, ItemSpec(item.title(), units))


async def left(service: DealService, stream_id: str) -> dict[str, int]:
    return {item.item_id: item.left for item in await service.rules.items(stream_id)}


async def clean(redis: Redis, stream_id: str) -> bool:
    return (await reconcile(Store(redis, now_ms), stream_id))[1] == []


async def test_a_set_takes_all_its_parts_and_its_lines_add_up(service: DealService, stream_id: str) -> None:
    await stock(service, stream_id, mug=5, spoon=7)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON))
    assert deal.bundle == (BundleItem("mug", "Mug", 1), BundleItem("spoon", "Spoon", 2))
    assert (deal.left, deal.stock) == (3, 10)
    order = await claim(service, deal, 1, units=2)
    assert order.lines == (Line("Mug", 2, 1333), Line("Spoon", 4, 2665))
    assert await service.order(order.id) == order
    assert await left(service, stream_id) == {"mug": 3, "spoon": 3}
    now = await service.deal(stream_id, deal.id)
    assert (now.left, now.held) == (1, 2)


async def test_a_part_that_does_not_suffice_leaves_all_others_alone(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    await stock(service, stream_id, mug=5, spoon=3)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON))
    with pytest.raises(SoldOut):
        await claim(service, deal, 1, units=2)
    assert await left(service, stream_id) == {"mug": 5, "spoon": 3}
    await claim(service, deal, 1)
    assert await left(service, stream_id) == {"mug": 4, "spoon": 1}
    assert (await service.deal(stream_id, deal.id)).state is DealState.SOLD_OUT
    assert "deal.sold_out" in await types(redis, stream_id)


async def test_its_own_stock_bounds_a_bundle_too(service: DealService, stream_id: str) -> None:
    await stock(service, stream_id, mug=5, spoon=50)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON), stock=1)
    await claim(service, deal, 1)
    with pytest.raises(SoldOut):
        await claim(service, deal, 2)
    assert await left(service, stream_id) == {"mug": 4, "spoon": 48}


async def test_deals_that_share_a_part_never_sell_it_twice(service: DealService, redis: Redis, stream_id: str) -> None:
    await stock(service, stream_id, mug=20, spoon=33, tea=9)
    deals = [
        await open_deal(service, stream_id, bundle=parts, stock=30, per_buyer_limit=9)
        for parts in ((MUG, SPOON), (MUG, TEA), (SPOON, TEA))
    ]
    dice = random.Random(7)

    async def shopper(number: int) -> None:
        for turn in range(6):
            deal = dice.choice(deals)
            try:
                order = await claim(service, deal, number, units=dice.randint(1, 2), key=f"k{turn}")
            except SoldOut:
                continue
            if dice.random() < 0.3:
                await service.cancel_order(order.id, buyer_id=order.buyer.id)

    await asyncio.gather(*(shopper(number) for number in range(12)))
    held = [(await service.deal(stream_id, deal.id)).held for deal in deals]
    assert await left(service, stream_id) == {
        "mug": 20 - held[0] - held[1],
        "spoon": 33 - 2 * held[0] - 2 * held[2],
        "tea": 9 - held[1] - held[2],
    }
    assert all(units >= 0 for units in (await left(service, stream_id)).values())
    assert await clean(redis, stream_id)


async def test_another_deal_that_takes_the_last_part_sells_a_bundle_out_and_its_return_reopens_it(
    timed: DealService, redis: Redis, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=1, spoon=9, tea=9)
    one = await open_deal(timed, stream_id, bundle=(MUG, SPOON))
    two = await open_deal(timed, stream_id, bundle=(MUG, TEA))
    order = await claim(timed, one, 1)
    with pytest.raises(SoldOut):
        await claim(timed, two, 2)
    assert (await timed.deal(stream_id, two.id)).left == 0
    await tick(timed, two)
    assert (await timed.deal(stream_id, two.id)).state is DealState.SOLD_OUT
    await timed.cancel_order(order.id, buyer_id="user-1")
    await tick(timed, two)
    assert (await timed.deal(stream_id, two.id)).state is DealState.OPEN
    told = [e for e in await events(redis, stream_id) if e["type"] == "deal.released"]
    assert [(e["data"]["deal_id"], e["data"]["left"]) for e in told] == [(one.id, 1), (two.id, 1)]
    await claim(timed, two, 2, key="again")


async def test_the_ticker_is_told_of_the_deals_that_share_a_part(
    timed: DealService, redis: Redis, clock: ScriptClock, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=1, spoon=9, tea=9)
    one = await open_deal(timed, stream_id, bundle=(MUG, SPOON))
    two = await open_deal(timed, stream_id, bundle=(MUG, TEA))
    await tick(timed, two)
    await claim(timed, one, 1)
    assert await redis.zscore(f"lc:{{{stream_id}}}:due", two.id) == clock.now_ms


async def test_who_waits_for_a_bundle_gets_the_part_that_another_deal_gives_back(
    timed: DealService, redis: Redis, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=1, spoon=9, tea=9)
    one = await open_deal(timed, stream_id, bundle=(MUG, SPOON))
    two = await open_deal(timed, stream_id, bundle=(MUG, TEA))
    order = await claim(timed, one, 1)
    await tick(timed, two)
    assert (await timed.join_waitlist(stream_id, two.id, buyer=a_buyer(2))).position == 1
    await timed.cancel_order(order.id, buyer_id="user-1")
    await tick(timed, two)
    [offer], _ = await timed.orders_of("user-2", stream_id=stream_id, after=None, limit=5)
    assert (offer.state, offer.deal_id) == ("held", two.id)
    assert offer.lines == (Line("Mug", 1, 1000), Line("Tea", 1, 999))
    assert await left(timed, stream_id) == {"mug": 0, "spoon": 9, "tea": 8}
    assert await clean(redis, stream_id)


async def test_parts_come_back_when_a_hold_expires_an_order_is_refunded_or_the_deal_is_cancelled(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=9, spoon=9)
    deal = await open_deal(timed, stream_id, bundle=(MUG, SPOON), hold_s=10)
    await claim(timed, deal, 1)
    clock.now_ms += 10_000
    await tick(timed, deal)
    assert await left(timed, stream_id) == {"mug": 9, "spoon": 9}
    orders = [await claim(timed, deal, number) for number in (2, 3, 4)]
    for order in orders[:2]:
        await timed.pay(order.id, buyer_id=order.buyer.id, payment_token="pm_ok")
    await timed.refund(orders[0].id)
    assert await left(timed, stream_id) == {"mug": 7, "spoon": 5}
    await timed.cancel(stream_id, deal.id)
    await tick(timed, deal)
    assert await left(timed, stream_id) == {"mug": 9, "spoon": 9}
    assert await clean(redis, stream_id)


async def test_more_stock_reopens_a_bundle_and_less_never_goes_below_what_orders_have(
    timed: DealService, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=2, spoon=9)
    deal = await open_deal(timed, stream_id, bundle=(MUG, SPOON))
    await claim(timed, deal, 1, units=2)
    with pytest.raises(IllegalState):
        await timed.rules.put_item(stream_id, "mug", ItemSpec("Mug", 1))
    assert (await timed.rules.put_item(stream_id, "mug", ItemSpec("Cup", 3))).left == 1
    await tick(timed, deal)
    assert (await timed.deal(stream_id, deal.id)).state is DealState.OPEN
    assert (await claim(timed, deal, 2)).lines == (Line("Mug", 1, 666), Line("Spoon", 2, 1333))


async def test_an_item_of_a_deal_stays(service: DealService, stream_id: str) -> None:
    await stock(service, stream_id, mug=2, spoon=9, tea=1)
    await open_deal(service, stream_id, bundle=(MUG, SPOON))
    with pytest.raises(IllegalState):
        await service.rules.delete_item(stream_id, "mug")
    await service.rules.delete_item(stream_id, "tea")
    with pytest.raises(ItemNotFound):
        await service.rules.delete_item(stream_id, "tea")
    with pytest.raises(ItemNotFound):
        await service.create(stream_id, a_deal(bundle=(MUG, TEA)))
    assert len(await service.deals(stream_id)) == 1


async def test_a_bundle_without_parts_is_sold_out_as_it_opens(service: DealService, stream_id: str) -> None:
    await stock(service, stream_id, mug=9, spoon=1)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON))
    assert (deal.state, deal.left) == (DealState.SOLD_OUT, 0)


async def test_stock_items_are_bounded(service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deals.price_rules.MOST_ITEMS", 2)
    await stock(service, stream_id, mug=1, spoon=1)
    with pytest.raises(Invalid):
        await stock(service, stream_id, tea=1)
    await stock(service, stream_id, mug=7)
    for bad in ("", "a b", "x" * 65, "}", "*"):
        with pytest.raises(Invalid):
            await service.rules.put_item(stream_id, bad, ItemSpec("Mug", 1))


@pytest.mark.parametrize("parts", [(MUG,), (MUG, MUG), tuple(BundlePart(f"i{n}", 1) for n in range(11))])
def test_a_bundle_has_two_to_ten_different_items(parts: tuple[BundlePart, ...]) -> None:
    spec = msgspec.to_builtins(a_deal()) | {"bundle": msgspec.to_builtins(parts)}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(spec, DealSpec)


async def test_late_money_is_given_back_when_a_part_is_gone(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    await stock(timed, stream_id, mug=1, spoon=9, tea=9)
    one = await open_deal(timed, stream_id, bundle=(MUG, SPOON), hold_s=10)
    two = await open_deal(timed, stream_id, bundle=(MUG, TEA))
    order = await _expired_while_paying(timed, clock, one)
    other = await claim(timed, two, 2)
    assert (await timed._cashier._confirm(order.id)).state == "refund_pending"
    await timed.cancel_order(other.id, buyer_id="user-2")
    await tick(timed, one)
    late = await _expired_while_paying(timed, clock, one, "again")
    assert (await timed._cashier._confirm(late.id)).state == "paid"
    assert await left(timed, stream_id) == {"mug": 0, "spoon": 7, "tea": 9}
    assert (await timed.summary(stream_id, one.id)).revenue == Money(1999, "EUR")
    assert await clean(redis, stream_id)


async def _expired_while_paying(timed: DealService, clock: ScriptClock, deal: Deal, key: str = "k") -> Order:
    where = keys.of_deal(deal.stream_id, deal.id)
    order = await claim(timed, deal, 1, key=key)
    await timed._scripts("pay_begin", where, (order.id.rsplit(".", 1)[1], "user-1", "a", 1000, 20_000, 10))
    clock.now_ms += 11_000
    await timed._scripts("tick", where, (deal.id, 50, 5000))
    return order


async def test_a_part_that_comes_back_in_the_number_last_seen_reopens_the_bundle(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    await stock(service, stream_id, mug=1, spoon=9)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON))
    await tick(service, deal)
    await claim(service, deal, 1)
    assert (await service.deal(stream_id, deal.id)).state is DealState.SOLD_OUT
    await stock(service, stream_id, mug=2)
    await tick(service, deal)
    now = await service.deal(stream_id, deal.id)
    assert (now.state, now.left) == (DealState.OPEN, 1)
    assert (await types(redis, stream_id)).count("deal.released") == 1
    await tick(service, deal)
    assert (await types(redis, stream_id)).count("deal.released") == 1


async def test_what_is_told_of_a_bundle_is_what_is_left_though_its_ticker_saw_the_same_before(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    await stock(service, stream_id, mug=3, spoon=99)
    deal = await open_deal(service, stream_id, bundle=(MUG, SPOON))
    await tick(service, deal)
    await claim(service, deal, 1)
    assert await redis.hget(keys.deal(stream_id, deal.id), "shown") == b"2"
    await stock(service, stream_id, mug=4)
    await tick(service, deal)
    assert await redis.hget(keys.deal(stream_id, deal.id), "shown") == b"3"


async def test_an_item_forgets_the_deals_that_are_over(timed: DealService, redis: Redis, stream_id: str) -> None:
    await stock(timed, stream_id, mug=50, spoon=50)
    for _ in range(3):
        over = await open_deal(timed, stream_id, bundle=(MUG, SPOON))
        await timed.close(stream_id, over.id)
        await tick(timed, over)
    kept = [await open_deal(timed, stream_id, bundle=(MUG, SPOON)) for _ in range(2)]
    noted = await redis.hget(keys.rules(stream_id), "deals:mug")
    assert noted is not None
    assert sorted(noted.decode().split()) == sorted(deal.id for deal in kept)
    with pytest.raises(IllegalState):
        await timed.rules.delete_item(stream_id, "mug")
