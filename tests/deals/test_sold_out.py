"""The sold-out short cut: when a worker may say no by itself, and when it must not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from deals import metrics, sold_out
from deals.errors import Closed, KeyReused, SoldOut
from deals.models import Deal
from deals.payments import SimulatedPayments
from deals.scripts import SOURCES, Command
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import claim, now_ms, open_deal, until


class CountingRunner:
    """A script runner that counts the claim calls."""

    def __init__(self, run: ScriptRunner) -> None:
        self._run = run
        self.claims = 0

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        self.claims += source == SOURCES["claim"]
        return await self._run(source, keys, args, before)


@pytest.fixture
def runner(run_script: ScriptRunner) -> CountingRunner:
    return CountingRunner(run_script)


@pytest.fixture
async def here(redis: Redis, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DealService]:
    """A worker whose probes are rare, so that only the other rules decide."""
    monkeypatch.setattr(sold_out, "PROBE_S", 60.0)
    monkeypatch.setattr(sold_out, "FRESH_S", 60.0)
    payments = SimulatedPayments(redis, development=True)
    service = DealService(redis, runner, payments, now_ms=now_ms, new_id=new_id)
    yield service
    await service.aclose()


def _short_cuts() -> float:
    metrics.SHORT_CUT.fold()
    return REGISTRY.get_sample_value("livecommerce_claims_short_cut_total") or 0.0


async def _sold_out_deal(here: DealService, stream_id: str, **changes: Any) -> Deal:
    """A deal of one unit, sold to user 1 with key "k", and known here to be sold out."""
    deal = await open_deal(here, stream_id, **{"stock": 1} | changes)
    await claim(here, deal, 1)
    await _knows(here, deal)
    return deal


async def _knows(here: DealService, deal: Deal) -> None:
    def ready() -> bool:
        known = here._board._deals.get((deal.stream_id, deal.id))
        return known is not None and known.known == known.accepted

    await until(ready)


async def test_no_question_is_asked_once_it_is_known(here: DealService, runner: CountingRunner, stream_id: str) -> None:
    deal = await _sold_out_deal(here, stream_id)
    asked, before = runner.claims, _short_cuts()
    for number in range(2, 20):
        with pytest.raises(SoldOut):
            await claim(here, deal, number)
    assert runner.claims == asked
    assert _short_cuts() - before == 18


async def test_an_accepted_key_still_finds_its_order(here: DealService, stream_id: str) -> None:
    deal = await open_deal(here, stream_id, stock=2)
    first = await claim(here, deal, 1)
    await claim(here, deal, 2)
    await _knows(here, deal)
    assert (await claim(here, deal, 1)).id == first.id
    with pytest.raises(KeyReused):
        await claim(here, deal, 1, units=2)


async def test_a_key_accepted_by_another_worker_finds_its_order_too(
    here: DealService, service: DealService, stream_id: str
) -> None:
    deal = await open_deal(here, stream_id, stock=2)
    elsewhere = await claim(service, deal, 7)
    await claim(here, deal, 1)
    await _knows(here, deal)
    assert (await claim(here, deal, 7)).id == elsewhere.id


async def test_a_release_here_ends_it_at_once(here: DealService, stream_id: str) -> None:
    deal = await open_deal(here, stream_id, stock=1)
    order = await claim(here, deal, 1)
    await _knows(here, deal)
    await here.cancel_order(order.id, buyer_id="user-1")
    assert (await claim(here, deal, 2)).units == 1


async def test_a_release_heard_from_the_room_ends_it_at_once(
    here: DealService, service: DealService, runner: CountingRunner, stream_id: str
) -> None:
    deal = await open_deal(here, stream_id, stock=1)
    order = await claim(here, deal, 1)
    await _knows(here, deal)
    await service.cancel_order(order.id, buyer_id="user-1")
    here.released(stream_id, deal.id)
    assert (await claim(here, deal, 2)).units == 1


async def test_after_another_sell_out_the_new_keys_are_read_before_it_answers(
    here: DealService, service: DealService, runner: CountingRunner, stream_id: str
) -> None:
    deal = await open_deal(here, stream_id, stock=1)
    order = await claim(here, deal, 1)
    await _knows(here, deal)
    await service.cancel_order(order.id, buyer_id="user-1")
    elsewhere = await claim(service, deal, 2, key="late")
    here.released(stream_id, deal.id)
    with pytest.raises(SoldOut):
        await claim(here, deal, 3)
    await _knows(here, deal)
    assert (await claim(here, deal, 2, key="late")).id == elsewhere.id
    asked = runner.claims
    with pytest.raises(SoldOut):
        await claim(here, deal, 4)
    assert runner.claims == asked


async def test_old_knowledge_answers_nothing(
    here: DealService, runner: CountingRunner, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await _sold_out_deal(here, stream_id)
    monkeypatch.setattr(sold_out, "FRESH_S", 0.0)
    asked = runner.claims
    with pytest.raises(SoldOut):
        await claim(here, deal, 2)
    assert runner.claims == asked + 1


async def test_a_claim_is_let_through_now_and_then_and_finds_a_unit_nobody_told_of(
    here: DealService, service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await open_deal(here, stream_id, stock=1)
    order = await claim(here, deal, 1)
    await _knows(here, deal)
    await service.cancel_order(order.id, buyer_id="user-1")
    monkeypatch.setattr(sold_out, "PROBE_S", 0.0)
    assert (await claim(here, deal, 2)).units == 1


async def test_an_answer_that_was_asked_for_before_a_release_counts_no_more(
    here: DealService, runner: CountingRunner, stream_id: str
) -> None:
    deal = await _sold_out_deal(here, stream_id)
    known = here._board._deals[stream_id, deal.id]
    before = known.asked_s
    here.released(stream_id, deal.id)
    here._board.heard(stream_id, deal.id, left=0, accepted=1, closes_ms=2**50, asked_s=before)
    asked = runner.claims
    with pytest.raises(SoldOut):
        await claim(here, deal, 2)
    assert runner.claims == asked + 1


async def test_after_its_end_a_deal_is_closed_not_sold_out(here: DealService, stream_id: str) -> None:
    deal = await _sold_out_deal(here, stream_id, duration_s=1)
    await until(lambda: now_ms() > (deal.closes_at_ms or 0))
    with pytest.raises(Closed):
        await claim(here, deal, 2)


async def test_more_keys_than_are_kept_means_no_short_cut(
    here: DealService, runner: CountingRunner, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold_out, "MOST_KEYS", 0)
    deal = await open_deal(here, stream_id, stock=1)
    await claim(here, deal, 1)
    for number in (2, 3):
        asked = runner.claims
        with pytest.raises(SoldOut):
            await claim(here, deal, number)
        assert runner.claims == asked + 1


async def test_all_deals_together_keep_so_many_keys_and_what_is_over_makes_room(
    here: DealService, service: DealService, runner: CountingRunner, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold_out, "MOST_KEYS", 3)
    first = await _sold_out_deal(here, stream_id)
    second = await open_deal(here, stream_id, stock=2, duration_s=2)
    for number in (1, 2):
        await claim(here, second, number)
    third = await open_deal(here, stream_id, stock=3)
    for number in (1, 2, 3):
        await claim(here, third, number)
    await _knows(here, second)

    async def asked_for(deal: Deal) -> int:
        before = runner.claims
        for number in (8, 9):
            with pytest.raises(SoldOut):
                await claim(here, deal, number)
        return runner.claims - before

    assert [await asked_for(deal) for deal in (first, second, third)] == [0, 0, 2]
    # A release and another sell-out: the keys are read again, and count once.
    here.released(stream_id, first.id)
    assert await asked_for(first) > 0
    await _knows(here, first)
    assert await asked_for(first) == 0
    for deal in (first, second):
        await service.close(stream_id, deal.id)
        here.released(stream_id, deal.id)
        with pytest.raises(Closed):
            await claim(here, deal, 9)
    await asked_for(third)
    await _knows(here, third)
    assert await asked_for(third) == 0
    assert list(here._board._deals) == [(stream_id, third.id)]


async def test_nobody_has_to_ask_for_a_deal_that_is_over_to_be_let_go(
    here: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is over for long, and one of which nobody asks any more; and the clock of it all stops with the last."""
    board = here._board
    deal = await _sold_out_deal(here, stream_id, duration_s=1)
    board._sweep()
    assert list(board._deals) == [(stream_id, deal.id)]
    monkeypatch.setattr(board, "_now_ms", lambda: deal.closes_at_ms)
    monkeypatch.setattr(sold_out, "IDLE_S", 0.03)
    board._sweep()
    assert not board._deals
    assert board._sweeping is None
    monkeypatch.setattr(board, "_now_ms", now_ms)
    other = await open_deal(here, stream_id, stock=1)
    await claim(here, other, 1)
    await until(lambda: not board._deals and board._sweeping is None)


async def test_a_cancelled_deal_is_closed_even_while_its_holds_are_not_back_yet(
    here: DealService, stream_id: str
) -> None:
    deal = await _sold_out_deal(here, stream_id)
    await here.cancel(stream_id, deal.id)
    for number in (2, 3, 4):
        with pytest.raises(Closed):
            await claim(here, deal, number)
