"""Money that comes after its hold: it buys what is left and allowed, else it goes back."""

from __future__ import annotations

import pytest

from deals.models import OrderState
from deals.reconcile import reconcile
from deals.service import DealService
from tests.deals.helpers import (
    ScriptClock,
    Till,
    check_books,
    claim,
    crash_after_capture,
    open_deal,
    pay,
    repair,
    tick,
)


async def test_late_money_is_found_and_buys_the_unit_if_one_is_left(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=10)
    order = await claim(timed, deal)
    await crash_after_capture(timed, till, order)
    clock.now_ms += 40_000
    await repair(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.PAID
    now = await check_books(timed, deal)
    assert (now.left, now.held, now.sold) == (0, 0, 1)
    assert till.captures == {order.id: 1}


async def test_late_money_without_a_unit_is_refunded(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=10)
    order = await claim(timed, deal)
    await crash_after_capture(timed, till, order)
    clock.now_ms += 40_000
    timed._cashier._closed = True  # the worker that ticks dies before it looks at the money
    await tick(timed, deal)
    timed._cashier._closed = False
    await pay(timed, await claim(timed, deal, 2))
    clock.now_ms += 5_000  # the dead worker's lease ends
    await repair(timed, deal)
    clock.now_ms += 5_000
    await repair(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.REFUNDED
    assert till.refunds == {order.id: 1}
    entries, _ = await timed.journal(stream_id, after=None, limit=100)
    steps = [e.what for e in entries if e.order.id == order.id]
    assert steps == ["claimed", "paying", "expired", "paid_late", "refund_pending", "refunded"]
    assert (await check_books(timed, deal)).sold == 1


@pytest.mark.parametrize(("again", "becomes"), [(1, OrderState.PAID), (2, OrderState.REFUNDED)])
async def test_late_money_buys_no_more_than_one_buyer_may_have(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str, again: int, becomes: OrderState
) -> None:
    """Claim, pay so late that the hold is gone, claim again: the limit of two holds for all that one buyer has."""
    deal = await open_deal(timed, stream_id, hold_s=10)
    order = await claim(timed, deal)
    await crash_after_capture(timed, till, order)
    clock.now_ms += 40_000
    timed._cashier._closed = True  # the worker that ticks dies before it looks at the money
    await tick(timed, deal)
    timed._cashier._closed = False
    await pay(timed, await claim(timed, deal, units=again, key="again"))
    for _ in range(2):
        clock.now_ms += 5_000
        await repair(timed, deal)
    assert (await timed.order(order.id)).state is becomes
    assert till.refunds == ({} if becomes is OrderState.PAID else {order.id: 1})
    now = await check_books(timed, deal)
    assert (now.held + now.sold, (await reconcile(timed._store, stream_id))[1]) == (2, [])
