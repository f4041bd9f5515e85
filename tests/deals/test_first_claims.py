"""A first claim on a deal takes the entry in its buyer's index along: the order is found, whatever goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from deals import keys, lane
from deals.errors import OutcomeUnknown, SoldOut, Unavailable
from deals.models import Deal
from deals.payments import SimulatedPayments
from deals.scripts import SOURCES, Command
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import a_deal, check_indexes, claim, now_ms, open_deal


class FaultyRunner:
    """A runner whose claim calls are lost as the test says, and that shows what each took along."""

    def __init__(self, run: ScriptRunner) -> None:
        self._run = run
        self.faults: list[str] = []
        self.along: list[int] = []

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        if source != SOURCES["claim"]:
            return await self._run(source, keys, args, before)
        self.along.append(len(before))
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "not sent":
            raise RedisConnectionError(fault)
        answer = await self._run(source, keys, args, before)
        if fault == "not heard":
            raise RedisConnectionError(fault)
        return answer


@pytest.fixture
def runner(run_script: ScriptRunner) -> FaultyRunner:
    return FaultyRunner(run_script)


@pytest.fixture
async def here(redis: Redis, runner: FaultyRunner) -> AsyncIterator[DealService]:
    payments = SimulatedPayments(redis, development=True)
    service = DealService(redis, runner, payments, now_ms=now_ms, new_id=new_id)
    yield service
    await service.aclose()


async def _orders(service: DealService, deal: Deal, number: int) -> list[str]:
    found, _ = await service.orders_of(f"user-{number}", stream_id=deal.stream_id, after=None, limit=50)
    return [order.id for order in found]


async def test_the_entry_goes_along_once(here: DealService, runner: FaultyRunner, redis: Redis, stream_id: str) -> None:
    """Also where the batch is priced again, because the first call met other rules."""
    deal = await open_deal(here, stream_id)
    orders = [await claim(here, deal, 1, key=key) for key in ("a", "b")]
    assert runner.along == [1, 0]
    assert await _orders(here, deal, 1) == [orders[1].id, orders[0].id]
    runner.along.clear()
    other = await here.create(stream_id, a_deal(title="Other", opens_at_ms=now_ms()))
    here._claiming._desk.tariffs._known.clear()
    await here.rules.put_shipping(stream_id, None)
    await claim(here, other, 1)
    assert runner.along == [1, 0]
    await check_indexes(redis, other)


@pytest.mark.parametrize("fault", ["not sent", "not heard"])
async def test_an_answer_that_is_lost_is_asked_for_again_with_the_entry(
    here: DealService, runner: FaultyRunner, redis: Redis, stream_id: str, fault: str
) -> None:
    deal = await open_deal(here, stream_id)
    runner.faults = [fault]
    order = await claim(here, deal, 1)
    assert runner.along == [1, 1]
    assert await _orders(here, deal, 1) == [order.id]


async def test_a_server_that_came_back_without_its_newest_writes_is_told_again(
    here: DealService, runner: FaultyRunner, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(here, stream_id)
    await claim(here, deal, 1, key="a")
    await redis.delete(keys.buyer("user-1"))
    runner.faults = ["not sent"]
    await claim(here, deal, 1, key="b")
    assert runner.along == [1, 0, 1]
    assert len(await _orders(here, deal, 1)) == 2


async def test_where_the_entry_is_refused_the_claim_is_unknown_and_its_key_finds_the_order(
    here: DealService, redis: Redis, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "REASK_S", 0.05)
    deal = await open_deal(here, stream_id, stock=1)
    await redis.set(keys.buyer("user-1"), "somebody's hand in the store")
    with pytest.raises(OutcomeUnknown):
        await claim(here, deal, 1)
    await redis.delete(keys.buyer("user-1"))
    order = await claim(here, deal, 1)
    assert await _orders(here, deal, 1) == [order.id]
    with pytest.raises(SoldOut):
        await claim(here, deal, 2)


async def test_a_server_that_refuses_all_of_it_is_not_asked_again(
    here: DealService, runner: FaultyRunner, redis: Redis, stream_id: str
) -> None:
    """Its "no" is certain: nothing was claimed, so nobody is told that it is unknown."""
    deal = await open_deal(here, stream_id)
    await claim(here, deal, 1)
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable):
            await claim(here, deal, 2)
    finally:
        await redis.config_set("maxmemory", 0)
    assert runner.along == [1, 1]
    assert (await here.deal(stream_id, deal.id)).held == 1
    assert (await claim(here, deal, 2)).units == 1


async def test_a_script_that_valkey_forgot_runs_after_the_entry(
    here: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(here, stream_id)
    await redis.script_flush()
    order = await claim(here, deal, 1)
    assert await _orders(here, deal, 1) == [order.id]
