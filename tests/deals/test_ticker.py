"""The ticker: each transition once, on time, by whichever of several workers is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.models import Deal, OrderState
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import a_deal, claim, events, now_ms, open_deal, types, until

#: that it is told at all, by its own timer; how late is measured where nothing else runs (load_tests deal-timers)
LATE_MS = 5000


@pytest.fixture
async def three(redis: Redis, run_script: ScriptRunner) -> AsyncIterator[list[DealService]]:
    """Three workers with their tickers running."""
    payments = SimulatedPayments(redis, development=True)
    services = [DealService(redis, run_script, payments, now_ms=now_ms, new_id=new_id) for _ in range(3)]
    for service in services:
        await service.start()
    yield services
    for service in services:
        await service.aclose()
        await service.aclose()


async def _closed(redis: Redis, deal: Deal) -> bool:
    return "deal.closed" in await types(redis, deal.stream_id)


async def test_three_workers_announce_each_transition_once_and_on_time(
    three: list[DealService], redis: Redis, stream_id: str
) -> None:
    spec = a_deal(opens_at_ms=now_ms() + 700, duration_s=1)
    deal = await three[0].create(stream_id, spec)
    await until(lambda: _closed(redis, deal))
    said = {e["type"]: e["at_ms"] for e in await events(redis, stream_id)}
    assert await types(redis, stream_id) == ["deal.scheduled", "deal.opened", "deal.closed"]
    assert deal.opens_at_ms is not None
    assert 0 <= said["deal.opened"] - deal.opens_at_ms <= LATE_MS
    assert 0 <= said["deal.closed"] - deal.opens_at_ms - 1000 <= LATE_MS


async def test_a_worker_that_dies_is_covered_by_the_others(
    three: list[DealService], redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(three[0], stream_id, duration_s=1)
    await three[0].aclose()
    await until(lambda: _closed(redis, deal))
    assert (await types(redis, stream_id)).count("deal.closed") == 1


async def test_an_unpaid_hold_is_released_once_by_three_workers(
    three: list[DealService], redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(three[0], stream_id, stock=1, hold_s=1)
    order = await claim(three[1], deal)

    async def expired() -> bool:
        return (await three[2].order(order.id)).state is OrderState.EXPIRED

    await until(expired)
    assert (await types(redis, stream_id)).count("deal.released") == 1
    entries, _ = await three[0].journal(stream_id, after=None, limit=10)
    assert 0 <= entries[-1].at_ms - order.held_until_ms <= LATE_MS


async def test_cancelling_refunds_without_being_asked(three: list[DealService], stream_id: str) -> None:
    deal = await open_deal(three[0], stream_id)
    order = await claim(three[0], deal)
    await three[0].pay(order.id, buyer_id="user-1", payment_token="pm_ok")
    await three[0].cancel(stream_id, deal.id)

    async def refunded() -> bool:
        return (await three[1].order(order.id)).state is OrderState.REFUNDED

    await until(refunded)


async def test_an_idle_stream_leaves_the_index_but_a_touched_one_stays(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    old, fresh = stream_id, stream_id + "f"
    await redis.zadd(keys.STREAMS, {old: now_ms() - 3_700_000, fresh: now_ms()})
    await service._ticker._refresh()
    assert await redis.zscore(keys.STREAMS, old) is None
    assert await redis.zscore(keys.STREAMS, fresh) is not None


async def test_starting_and_closing_twice_is_safe(service: DealService) -> None:
    await service.start()
    await service.start()
    tasks = [t for t in asyncio.all_tasks() if t.get_name() == "deals-ticker"]
    assert len(tasks) == 1
    await service.aclose()
    await service.aclose()
    assert tasks[0].done()
