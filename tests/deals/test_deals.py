"""Deals on the real Valkey: the state table as scripts act it out, and time as they judge it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import Closed, DealNotFound, IllegalState, Invalid, NotOpen, ProductNotFound, StreamEnded
from deals.models import DEAL_STEPS, Deal, DealState, DealStep, Money, OrderState, ProductSpec
from deals.service import DealService
from tests.deals.helpers import ScriptClock, a_deal, check_books, claim, events, open_deal, tick, types

Make = Callable[[DealService, str], Awaitable[Deal]]


async def _scheduled(service: DealService, stream_id: str) -> Deal:
    return await service.create(stream_id, a_deal())


async def _open(service: DealService, stream_id: str) -> Deal:
    return await open_deal(service, stream_id)


async def _sold_out(service: DealService, stream_id: str) -> Deal:
    deal = await open_deal(service, stream_id, stock=1)
    await claim(service, deal)
    return deal


async def _closed(service: DealService, stream_id: str) -> Deal:
    deal = await open_deal(service, stream_id)
    return await service.close(stream_id, deal.id)


async def _cancelled(service: DealService, stream_id: str) -> Deal:
    deal = await open_deal(service, stream_id)
    return await service.cancel(stream_id, deal.id)


MAKE: dict[DealState, Make] = {
    DealState.SCHEDULED: _scheduled,
    DealState.OPEN: _open,
    DealState.SOLD_OUT: _sold_out,
    DealState.CLOSED: _closed,
    DealState.CANCELLED: _cancelled,
}


async def _do(service: DealService, deal: Deal, wanted: DealStep) -> Deal:
    if wanted is DealStep.EXTEND:
        return await service.extend(deal.stream_id, deal.id, 5)
    verb: Callable[[str, str], Awaitable[Deal]] = getattr(service, wanted.value)
    return await verb(deal.stream_id, deal.id)


@pytest.mark.parametrize("state", DealState)
@pytest.mark.parametrize("wanted", [DealStep.OPEN, DealStep.EXTEND, DealStep.CLOSE, DealStep.CANCEL])
async def test_scripts_walk_every_cell_that_a_host_can_ask_for(
    service: DealService, redis: Redis, stream_id: str, state: DealState, wanted: DealStep
) -> None:
    deal = await MAKE[state](service, stream_id)
    before, said = await service.deal(stream_id, deal.id), await types(redis, stream_id)
    assert before.state is state
    expected = DEAL_STEPS[state].get(wanted)
    if expected is None:
        with pytest.raises(IllegalState):
            await _do(service, deal, wanted)
        after = await service.deal(stream_id, deal.id)
        assert (after.state, after.closes_at_ms) == (before.state, before.closes_at_ms)
        assert await types(redis, stream_id) == said
    else:
        assert (await _do(service, deal, wanted)).state is expected
        assert len(await types(redis, stream_id)) == len(said) + 1


async def test_open_starts_the_clock_and_extend_moves_its_end(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id, duration_s=60)
    assert deal.opens_at_ms is not None
    assert deal.closes_at_ms == deal.opens_at_ms + 60_000
    assert (await service.extend(stream_id, deal.id, 30)).closes_at_ms == deal.opens_at_ms + 90_000
    assert await types(redis, stream_id) == ["deal.scheduled", "deal.opened", "deal.extended"]
    assert (await events(redis, stream_id))[1]["data"]["deal"]["closes_at_ms"] == deal.closes_at_ms


@pytest.mark.parametrize("seconds", [0, -5, 86_401, 2**70])
async def test_extend_refuses_hostile_numbers(service: DealService, stream_id: str, seconds: int) -> None:
    deal = await open_deal(service, stream_id)
    with pytest.raises(Invalid):
        await service.extend(stream_id, deal.id, seconds)


async def test_a_deal_cannot_be_extended_beyond_a_day_ahead(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    with pytest.raises(Invalid):
        await service.extend(stream_id, deal.id, 86_400)


async def test_a_claim_after_the_time_is_refused_however_late_the_announcement(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, duration_s=10)
    clock.now_ms += 9_999
    await claim(timed, deal, 1)
    clock.now_ms += 1
    with pytest.raises(Closed):
        await claim(timed, deal, 2)
    # The refused claim itself has made the closing visible; the ticker has nothing left to say.
    await tick(timed, deal)
    assert (await types(redis, stream_id)).count("deal.closed") == 1


async def test_a_clock_that_steps_back_never_reopens_a_closed_deal(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, duration_s=10)
    clock.now_ms += 10_000
    await tick(timed, deal)
    clock.now_ms -= 3_600_000
    with pytest.raises(Closed):
        await claim(timed, deal)
    assert (await timed.deal(stream_id, deal.id)).state is DealState.CLOSED


async def test_a_planned_deal_takes_claims_from_its_moment_on(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await timed.create(stream_id, a_deal(opens_at_ms=clock.now_ms + 5_000, duration_s=10))
    assert deal.closes_at_ms == clock.now_ms + 15_000
    clock.now_ms += 4_999
    with pytest.raises(NotOpen):
        await claim(timed, deal)
    clock.now_ms += 1
    assert (await claim(timed, deal)).state is OrderState.HELD
    await tick(timed, deal)
    assert (await types(redis, stream_id)).count("deal.opened") == 1


async def test_a_deal_that_everybody_slept_through_opens_and_closes(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await timed.create(stream_id, a_deal(opens_at_ms=clock.now_ms + 5_000, duration_s=10))
    clock.now_ms += 3_600_000
    await tick(timed, deal)
    assert await types(redis, stream_id) == ["deal.scheduled", "deal.opened", "deal.closed"]


async def test_cancelling_releases_holds_and_refunds_what_was_paid(
    timed: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=3)
    held, paid = await claim(timed, deal, 1), await claim(timed, deal, 2)
    await timed.pay(paid.id, buyer_id="user-2", payment_token="pm_ok")
    await timed.cancel(stream_id, deal.id)
    await tick(timed, deal)
    assert (await timed.order(held.id)).state is OrderState.CANCELLED
    await timed._cashier._repair(paid.id)
    assert (await timed.order(paid.id)).state is OrderState.REFUNDED
    now = await check_books(timed, deal)
    assert (now.left, now.held, now.sold, now.state) == (3, 0, 0, DealState.CANCELLED)
    await tick(timed, deal)
    assert await redis.zcard(keys.due(stream_id)) == 0


async def test_an_ended_stream_closes_its_deals_and_takes_no_new_ones(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    scheduled, opened, closed = (
        await _scheduled(service, stream_id),
        await _open(service, stream_id),
        await _closed(service, stream_id),
    )
    await service.stream_ended(stream_id)
    said = await types(redis, stream_id)
    await service.stream_ended(stream_id)
    assert await types(redis, stream_id) == said
    states = {d.id: d.state for d in await service.deals(stream_id)}
    assert states == {
        scheduled.id: DealState.CANCELLED,
        opened.id: DealState.CLOSED,
        closed.id: DealState.CLOSED,
    }
    with pytest.raises(StreamEnded):
        await service.create(stream_id, a_deal())


async def test_a_deal_names_its_product(service: DealService, stream_id: str) -> None:
    await service.put_product(stream_id, "mug", ProductSpec("Mug", Money(1900, "EUR")))
    made = await service.create(stream_id, a_deal(product_id="mug"))
    found = await service.deal(stream_id, made.id)
    assert (made.product_id, found.product_id) == ("mug", "mug")
    assert (await service.create(stream_id, a_deal())).product_id is None


async def test_a_deal_of_an_unknown_product_is_refused(service: DealService, stream_id: str) -> None:
    with pytest.raises(ProductNotFound):
        await service.create(stream_id, a_deal(product_id="nothing"))


async def test_unfinished_deals_are_bounded_and_finished_ones_do_not_count(
    service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deals.service.MOST_UNFINISHED", 2)
    first = await open_deal(service, stream_id)
    await _scheduled(service, stream_id)
    with pytest.raises(Invalid):
        await _scheduled(service, stream_id)
    await service.close(stream_id, first.id)
    await tick(service, first)
    await _scheduled(service, stream_id)


@pytest.mark.parametrize("deal_id", ["nothing", "", "}{", "a.b", "x" * 65])
async def test_an_unknown_deal_is_refused(service: DealService, stream_id: str, deal_id: str) -> None:
    for call in (service.deal, service.open, service.close, service.cancel):
        with pytest.raises(DealNotFound):
            await call(stream_id, deal_id)
