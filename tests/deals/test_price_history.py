"""The lowest price of the 30 days before a reduction: of the product in this stream, earlier deals on it included."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import Invalid
from deals.models import Money, Product, ProductSpec
from deals.service import DealService
from tests.deals.helpers import ScriptClock, a_deal, events, open_deal, tick

DAY_MS = 86_400_000


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


async def show(
    service: DealService, stream_id: str, price: int, compare_at: int | None = None, currency: str = "EUR"
) -> Product:
    compare = None if compare_at is None else Money(compare_at, currency)
    spec = ProductSpec("Lamp", Money(price, currency), compare_at=compare)
    return await service.put_product(stream_id, "lamp", spec)


async def test_a_reduced_product_says_the_lowest_price_before(timed: DealService, stream_id: str) -> None:
    assert (await show(timed, stream_id, 3000)).lowest_30d is None
    assert (await show(timed, stream_id, 2500)).lowest_30d is None, "nothing is announced"
    reduced = await show(timed, stream_id, 1999, 3000)
    assert reduced.lowest_30d == eur(2500)
    assert await timed.products(stream_id) == [reduced]


async def test_a_product_that_is_new_has_no_price_before(timed: DealService, stream_id: str) -> None:
    assert (await show(timed, stream_id, 1999, 3000)).lowest_30d is None


async def test_the_price_that_is_in_force_does_not_count_for_itself(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    await show(timed, stream_id, 3000)
    await show(timed, stream_id, 1999, 3000)
    clock.now_ms += 40 * DAY_MS
    assert (await show(timed, stream_id, 1999, 3000)).lowest_30d == eur(3000), "the window ends as the price begins"
    clock.now_ms += DAY_MS
    assert (await show(timed, stream_id, 1500, 3000)).lowest_30d == eur(1999)


async def test_what_ended_more_than_30_days_before_counts_no_more(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    await show(timed, stream_id, 1000)
    await show(timed, stream_id, 3000)
    clock.now_ms += 30 * DAY_MS - 1
    assert (await show(timed, stream_id, 2900, 3000)).lowest_30d == eur(1000)
    clock.now_ms += 1
    assert (await show(timed, stream_id, 2800, 3000)).lowest_30d == eur(2900)


async def test_a_deal_compares_with_the_showcase_and_with_earlier_deals(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    await show(timed, stream_id, 3000)
    fields = {"product_id": "lamp", "compare_at": eur(3000), "duration_s": 60}
    first = await open_deal(timed, stream_id, price=eur(1500), **fields)
    assert first.lowest_30d == eur(3000)
    clock.now_ms += 60_000
    await tick(timed, first)
    second = await open_deal(timed, stream_id, price=eur(1800), **fields)
    assert second.lowest_30d == eur(1500)
    assert (await timed.deal(stream_id, first.id)).lowest_30d == eur(3000), "its own price is not before itself"
    told = {e["type"]: e["data"]["deal"] for e in await events(redis, stream_id) if e["type"].startswith("deal.")}
    assert told["deal.opened"]["lowest_30d"] == {"amount": 1500, "currency": "EUR"}
    assert (await show(timed, stream_id, 2500, 3000)).lowest_30d == eur(1500)


async def test_a_deal_that_was_planned_looks_back_as_it_opens(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    await show(timed, stream_id, 3000)
    fields = {"product_id": "lamp", "compare_at": eur(3000)}
    planned = await timed.create(stream_id, a_deal(price=eur(1800), **fields))
    assert planned.lowest_30d == eur(3000)
    await open_deal(timed, stream_id, price=eur(1500), **fields)
    clock.now_ms += 1000
    assert (await timed.open(stream_id, planned.id)).lowest_30d == eur(1500)


async def test_a_deal_that_goes_on_longer_counts_longer(timed: DealService, clock: ScriptClock, stream_id: str) -> None:
    await show(timed, stream_id, 3000)
    deal = await open_deal(timed, stream_id, price=eur(1500), product_id="lamp", duration_s=60)
    await timed.extend(stream_id, deal.id, 86_340)
    clock.now_ms += 31 * DAY_MS - 1
    assert (await show(timed, stream_id, 2500, 3000)).lowest_30d == eur(1500)


async def test_only_where_a_comparison_is_announced_and_the_product_is_known(
    timed: DealService, stream_id: str
) -> None:
    await show(timed, stream_id, 3000)
    assert (await open_deal(timed, stream_id, price=eur(1500), product_id="lamp")).lowest_30d is None
    assert (await open_deal(timed, stream_id, price=eur(1500), compare_at=eur(3000))).lowest_30d is None


async def test_taking_a_product_away_does_not_launder_its_price(timed: DealService, stream_id: str) -> None:
    await show(timed, stream_id, 1000)
    await timed.remove_product(stream_id, "lamp")
    await show(timed, stream_id, 3000)
    assert (await show(timed, stream_id, 2500, 3000)).lowest_30d == eur(1000)


async def test_prices_of_another_currency_are_not_compared(timed: DealService, stream_id: str) -> None:
    await show(timed, stream_id, 10, currency="USD")
    await show(timed, stream_id, 3000)
    assert (await show(timed, stream_id, 2500, 3000)).lowest_30d == eur(3000)


async def test_a_history_stays_short_and_its_lowest_price_is_never_forgotten(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    for price in range(1000, 1060):
        clock.now_ms += 1000
        await show(timed, stream_id, price)
    for number in range(60):
        await show(timed, stream_id, 5000 + number, currency=f"A{chr(65 + number // 26)}{chr(65 + number % 26)}")
    await show(timed, stream_id, 3000)
    text = str(await redis.hget(keys.prices(stream_id), "lamp"))
    assert 40 < text.count(";") <= 51


async def test_many_small_rises_are_joined_and_shown_too_long_rather_than_too_short(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    for price in range(1000, 1060):
        clock.now_ms += 1000
        await show(timed, stream_id, price)
    assert (await show(timed, stream_id, 999, 3000)).lowest_30d == eur(1000)


async def test_products_that_left_30_days_ago_make_room(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    await show(timed, stream_id, 3000)
    for number in range(999):
        await redis.hset(keys.prices(stream_id), f"p{number}", f"{clock.now_ms} 1000 EUR;")
    with pytest.raises(Invalid):
        await timed.put_product(stream_id, "new", ProductSpec("Lamp", eur(1000)))
    clock.now_ms += 30 * DAY_MS
    await timed.put_product(stream_id, "new", ProductSpec("Lamp", eur(1000)))
    assert set(await redis.hkeys(keys.prices(stream_id))) == {b"lamp", b"new"}
