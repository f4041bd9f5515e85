"""The poller: a payment whose outcome was lost is asked for at the provider, in time."""

from __future__ import annotations

import asyncio

import pytest

from deals.errors import IllegalState, OutcomeUnknown
from deals.models import Deal, OrderState
from deals.payments import SimulatedPayments
from deals.service import DealService
from tests.deals.helpers import ScriptClock, Till, claim, open_deal, pay, tick, until


async def test_a_lost_answer_of_the_provider_is_asked_for_before_the_hold_ends(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, hold_s=300)
    order = await claim(timed, deal)
    till.lose_capture_answer = True
    with pytest.raises(OutcomeUnknown):
        await timed.pay(order.id, buyer_id="user-1", payment_token="pm_ok")
    await _settle(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.PAYING
    clock.now_ms += 20_000
    await _settle(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.PAID
    assert till.captures == {order.id: 1}


async def test_a_payment_that_never_came_is_asked_for_and_the_hold_ends(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, hold_s=60)
    order = await claim(timed, deal)
    till.gate = asyncio.Event()
    attempt = asyncio.create_task(timed.pay(order.id, buyer_id="user-1", payment_token="pm_ok"))
    await until(lambda: "authorise" in till.calls)
    attempt.cancel()  # its worker died
    await asyncio.gather(attempt, return_exceptions=True)
    clock.now_ms += 20_000
    await _settle(timed, deal)
    assert till.calls[-1] == "status"
    assert (await timed.order(order.id)).state is OrderState.PAYING
    clock.now_ms += 70_000
    await _settle(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.EXPIRED


async def test_a_slow_provider_keeps_the_order_paying_and_a_second_payment_out(
    service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulated provider's ``pm_slow``."""
    monkeypatch.setattr(SimulatedPayments, "SLOW_S", 0.2)
    order = await claim(service, await open_deal(service, stream_id))
    slow = asyncio.create_task(pay(service, order, "pm_slow"))

    async def is_paying() -> bool:
        return (await service.order(order.id)).state is OrderState.PAYING

    await until(is_paying)
    with pytest.raises(IllegalState):
        await pay(service, order, "pm_ok")
    assert (await slow).state is OrderState.PAID


async def _settle(service: DealService, deal: Deal) -> None:
    """A tick, and what it takes up."""
    await tick(service, deal)
    await asyncio.gather(*service._cashier._tasks)
