"""What a host is told of a deal: few units left, and how it went."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import DealNotFound
from deals.models import Money, Summary
from deals.service import DealService
from deals.terms import MOST_PRICE, BundlePart, ItemSpec
from tests.deals.helpers import ScriptClock, Till, claim, crash_after_capture, open_deal, repair, tick


async def test_the_summary_says_when_and_how_fast_it_sold_out_first(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=4)
    clock.now_ms += 500
    first = await claim(timed, deal, 1, units=2)
    assert (await timed.summary(stream_id, deal.id)).sold_out_at_ms is None
    clock.now_ms += 1500
    await claim(timed, deal, 2, units=2)
    sold_out_ms = clock.now_ms
    await timed.pay(first.id, buyer_id="user-1", payment_token="pm_ok")
    clock.now_ms += 1000
    summary = await timed.summary(stream_id, deal.id)
    assert (summary.left, summary.held, summary.sold, summary.revenue) == (0, 2, 2, Money(2 * 1999, "EUR"))
    assert (summary.sold_out_at_ms, summary.sold_out_after_ms, summary.units_per_second) == (sold_out_ms, 2000, 2.0)
    again = await claim(timed, deal, 2, units=2)
    await timed.cancel_order(again.id, buyer_id="user-2")
    await claim(timed, deal, 3, units=2)
    assert (await timed.summary(stream_id, deal.id)).sold_out_at_ms == sold_out_ms
    with pytest.raises(DealNotFound):
        await timed.summary(stream_id, "nothing")


@pytest.mark.parametrize(("level", "told"), [(None, [1]), (3, [3]), (0, [0])])
async def test_the_host_is_told_once_that_few_units_are_left(
    timed: DealService, redis: Redis, stream_id: str, level: int | None, told: list[int]
) -> None:
    deal = await open_deal(timed, stream_id, stock=10, low_stock=level)
    async with _low_stock(redis, stream_id) as heard:
        for number in range(10):
            await claim(timed, deal, number)
    assert heard == [(deal.id, left) for left in told]


async def test_the_host_is_told_when_late_money_or_another_deal_takes_the_units(
    timed: DealService, clock: ScriptClock, till: Till, redis: Redis, stream_id: str
) -> None:
    for item in ("mug", "tea"):
        await timed.rules.put_item(stream_id, item, ItemSpec(item, 3))
    deal = await open_deal(timed, stream_id, stock=10, low_stock=9, hold_s=10)
    order = await claim(timed, deal)
    await crash_after_capture(timed, till, order)
    clock.now_ms += 40_000
    timed._cashier._closed = True  # the worker that ticks dies before it looks at the money
    await tick(timed, deal)
    timed._cashier._closed = False
    clock.now_ms += 5_000
    parts = BundlePart("mug", 1), BundlePart("tea", 1)
    one, two = [await open_deal(timed, stream_id, bundle=parts, low_stock=2) for _ in range(2)]
    for bundle in (one, two):
        await tick(timed, bundle)
    async with _low_stock(redis, stream_id) as heard:
        await repair(timed, deal)
        await claim(timed, one)
        for _ in range(2):
            await tick(timed, two)
    assert heard == [(deal.id, 9), (one.id, 2), (two.id, 2)]


@contextlib.asynccontextmanager
async def _low_stock(redis: Redis, stream_id: str) -> AsyncIterator[list[tuple[str, int]]]:
    """What the host is told of few units meanwhile: deals, and how many each has."""
    told: list[tuple[str, int]] = []
    listener = redis.pubsub()
    await listener.execute_command("SSUBSCRIBE", keys.log(stream_id))
    yield told
    await redis.execute_command("SPUBLISH", keys.log(stream_id), "that was all")
    while (message := await listener.parse_response(timeout=5))[2] != b"that was all":
        event = msgspec.json.decode(message[2][1:]) if message[0] == b"smessage" else {}
        if event.get("type") == "deal.low_stock":
            assert event["to"] == "role:host"
            told.append((event["data"]["deal_id"], event["data"]["left"]))
    await listener.aclose()  # type: ignore[no-untyped-call]


async def test_the_largest_revenue_is_told_to_the_last_cent(timed: DealService, redis: Redis, stream_id: str) -> None:
    """A million units at the highest price: beyond what Lua's own JSON writes, within what everybody counts exactly."""
    deal = await open_deal(
        timed, stream_id, price=Money(MOST_PRICE - 1, "EUR"), stock=1_000_000, per_buyer_limit=1000, duration_s=3600
    )
    sold_before = 999_000 * (MOST_PRICE - 1)
    await redis.hset(keys.deal(stream_id, deal.id), "revenue", sold_before)
    order = await claim(timed, deal, units=1000)
    await timed.pay(order.id, buyer_id=order.buyer.id, payment_token="pm_ok")
    told = msgspec.json.encode(await timed.summary(stream_id, deal.id))
    assert msgspec.json.decode(told, type=Summary).revenue == Money(1_000_000 * (MOST_PRICE - 1), "EUR")
    await timed.refund(order.id)
    assert (await timed.summary(stream_id, deal.id)).revenue == Money(sold_before, "EUR")
