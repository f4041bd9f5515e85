"""Every script that changes an order, met by an order in every state: a step of the table, or nothing at all."""

from __future__ import annotations

import pytest

from deals import keys
from deals.errors import IllegalState
from deals.models import ORDER_STEPS, Deal, Order, OrderState
from deals.service import DealService
from tests.deals.helpers import ScriptClock, check_books, claim, open_deal, pay, tick

HOLD_S = 10
#: script -> what it takes beside the order's ref, and the buyer where it wants one
ARGS = {
    "pay_begin": ("user-1", "another", 30_000, 20_000, 10),
    "pay_confirm": (),
    "pay_decline": ("first",),
    "cancel_order": ("user-1",),
    "refund": (5_000,),
    "refunded": (),
}
NO = "illegal_state"
#: state -> what each script makes of it, and the end of its time last; "" is the order as it was
CELLS = {
    OrderState.HELD: ("paying", "paid", "", "cancelled", NO, NO, "expired"),
    OrderState.PAYING: (NO, "paid", "held", NO, NO, NO, "expired"),
    OrderState.PAID: ("", "", "", NO, "refund_pending", NO, ""),
    OrderState.CANCELLED: (NO, NO, "", NO, NO, NO, ""),
    OrderState.EXPIRED: (NO, "paid", "", NO, NO, NO, ""),
    OrderState.REFUND_PENDING: (NO, "", "", NO, "", "refunded", ""),
    OrderState.REFUNDED: (NO, "", "", NO, "", "", ""),
}


async def _script(deals: DealService, verb: str, order: Order, *args: str | int) -> None:
    _, _, ref = order.id.split(".")
    await deals._scripts(verb, keys.of_deal(order.stream_id, order.deal_id), (ref, *args))


async def _order_that_is(state: OrderState, deals: DealService, clock: ScriptClock, deal: Deal) -> Order:
    order = await claim(deals, deal)
    if state is OrderState.PAYING:
        await _script(deals, "pay_begin", order, "user-1", "first", 30_000, 20_000, 10)
    elif state is OrderState.CANCELLED:
        await deals.cancel_order(order.id, buyer_id="user-1")
    elif state is OrderState.EXPIRED:
        clock.now_ms += HOLD_S * 1000
        await tick(deals, deal)
    elif state is not OrderState.HELD:
        await pay(deals, order)
    if state is OrderState.REFUND_PENDING:
        await _script(deals, "refund", order, 5_000)
    elif state is OrderState.REFUNDED:
        await deals.refund(order.id)
    order = await deals.order(order.id)
    assert order.state is state
    return order


@pytest.mark.parametrize("state", CELLS)
async def test_every_cell_of_the_table_as_the_scripts_have_it(
    state: OrderState, timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    for verb, becomes in zip((*ARGS, "tick"), CELLS[state], strict=True):
        deal = await open_deal(timed, stream_id, hold_s=HOLD_S, duration_s=3600)
        order = await _order_that_is(state, timed, clock, deal)
        steps, _ = await timed.journal(stream_id, after=None, limit=500)
        if verb == "tick":
            clock.now_ms += 60_000
            timed._cashier._closed = True  # what the provider says is another test's
            await tick(timed, deal)
        elif becomes == NO:
            with pytest.raises(IllegalState):
                await _script(timed, verb, order, *ARGS[verb])
        else:
            await _script(timed, verb, order, *ARGS[verb])
        timed._cashier._closed = False
        now = await timed.order(order.id)
        if becomes in ("", NO):
            assert now == order, verb
            assert len((await timed.journal(stream_id, after=None, limit=500))[0]) == len(steps), verb
        else:
            assert now.state == becomes, verb
            # A dead attempt's money may find the order held again: two steps in one.
            from_state = OrderState.PAYING if (state, becomes) == (OrderState.HELD, "paid") else state
            assert now.state in ORDER_STEPS[from_state].values(), verb
        counts = await check_books(timed, deal)
        reserved = {OrderState.HELD: (1, 0), OrderState.PAYING: (1, 0), OrderState.PAID: (0, 1)}
        assert (counts.held, counts.sold) == reserved.get(now.state, (0, 0)), verb


def test_no_state_is_left_out_but_the_one_that_no_order_stays_in() -> None:
    assert set(CELLS) | {OrderState.PAID_LATE} == set(ORDER_STEPS)
