"""What a host is told of a deal: few units left, and how it went."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import DealNotFound
from deals.models import Money, Summary
from deals.service import DealService
from deals.terms import MOST_PRICE
from tests.deals.helpers import ScriptClock, claim, open_deal


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
    listener = redis.pubsub()
    await listener.execute_command("SSUBSCRIBE", keys.log(stream_id))
    for number in range(10):
        await claim(timed, deal, number)
    heard: list[int] = []
    sold_out = False
    while not sold_out:
        message = await listener.parse_response(timeout=5)
        assert message is not None
        if message[0] != b"smessage":
            continue
        event = msgspec.json.decode(message[2][1:])
        if event["type"] == "deal.low_stock":
            assert event["to"] == "role:host"
            heard.append(event["data"]["left"])
        sold_out = event["type"] == "deal.stock" and event["data"]["left"] == 0
    await listener.aclose()  # type: ignore[no-untyped-call]
    assert heard == told


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
