"""Orders: paying, declining, expiring, late money, refunds; a crash between capture and recording."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from deals.cashier import MOST_ATTEMPTS
from deals.errors import IllegalState, Invalid, OrderNotFound, PaymentDeclined
from deals.models import DealState, Money, OrderState
from deals.payments import Declined, PaymentStatus, SimulatedPayments
from deals.service import DealService, stream_of_order
from deals.ticker import CHUNK
from tests.deals.helpers import (
    ScriptClock,
    Till,
    check_books,
    claim,
    crash_after_capture,
    events,
    open_deal,
    pay,
    repair,
    tick,
    types,
    until,
)


async def test_paying_moves_units_from_held_to_sold_and_says_so(
    timed: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id)
    paid = await pay(timed, await claim(timed, deal, units=2))
    assert paid.state is OrderState.PAID
    assert paid.paid_ms is not None
    now = await check_books(timed, deal)
    assert (now.left, now.held, now.sold) == (8, 0, 2)
    said = (await events(redis, stream_id))[-1]
    assert (said["type"], said["data"]) == (
        "purchase",
        {"deal_id": deal.id, "buyer": {"name": "Name 1"}, "units": 2},
    )


async def test_paying_twice_captures_once(timed: DealService, till: Till, stream_id: str) -> None:
    order = await claim(timed, await open_deal(timed, stream_id))
    first = await pay(timed, order)
    assert await pay(timed, order) == first
    assert till.calls.count("capture") == 1


async def test_a_decline_keeps_the_hold_and_extends_it_only_once(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    order = await claim(timed, await open_deal(timed, stream_id, hold_s=10))
    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            await pay(timed, order, "pm_declined")
        now = await timed.order(order.id)
        assert (now.state, now.held_until_ms) == (OrderState.HELD, order.held_until_ms + 30_000)
    assert (await pay(timed, order)).state is OrderState.PAID


async def test_a_second_payment_waits_while_one_is_going_on(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    order = await claim(timed, await open_deal(timed, stream_id))
    till.gate = asyncio.Event()
    first = asyncio.create_task(pay(timed, order))
    await until(lambda: "authorise" in till.calls)
    with pytest.raises(IllegalState) as refused:
        await pay(timed, order)
    assert refused.value.retry_after_ms == 20_000
    with pytest.raises(IllegalState):
        await timed.cancel_order(order.id, buyer_id="user-1")
    till.gate.set()
    assert (await first).state is OrderState.PAID


async def test_a_hold_expires_and_its_unit_returns(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=10)
    order = await claim(timed, deal)
    assert (await timed.deal(stream_id, deal.id)).state is DealState.SOLD_OUT
    clock.now_ms += 9_999
    await tick(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.HELD
    clock.now_ms += 1
    await tick(timed, deal)
    await tick(timed, deal)
    assert (await timed.order(order.id)).state is OrderState.EXPIRED
    now = await check_books(timed, deal)
    assert (now.left, now.state) == (1, DealState.OPEN)
    assert (await types(redis, stream_id)).count("deal.released") == 1
    with pytest.raises(IllegalState):
        await pay(timed, order)
    assert (await claim(timed, deal, key="again")).state is OrderState.HELD


async def test_an_order_is_tried_to_be_paid_ten_times_and_no_more(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    """Else somebody could try out stolen cards here, and fill the journal with it."""
    deal = await open_deal(timed, stream_id, hold_s=600, duration_s=3600)
    order = await claim(timed, deal)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(PaymentDeclined):
            await pay(timed, order, "pm_stolen")
    with pytest.raises(IllegalState, match="too often"):
        await pay(timed, order)
    assert (till.calls.count("authorise"), till.captures) == (MOST_ATTEMPTS, {})
    assert (await timed.order(order.id)).state is OrderState.HELD
    clock.now_ms += 630_000  # with the grace
    await repair(timed, deal)
    assert (await check_books(timed, deal)).left == deal.stock, "the unit comes back as ever"


async def test_a_payment_after_the_deadline_is_refused_even_before_the_ticker_came(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    order = await claim(timed, await open_deal(timed, stream_id, hold_s=10))
    clock.now_ms += 10_000
    with pytest.raises(IllegalState):
        await pay(timed, order)
    assert till.calls == []


async def test_many_holds_expire_in_bounded_chunks(timed: DealService, clock: ScriptClock, stream_id: str) -> None:
    units = 2 * CHUNK + 3
    deal = await open_deal(timed, stream_id, stock=units, hold_s=10)
    await asyncio.gather(*(claim(timed, deal, n) for n in range(units)))
    clock.now_ms += 10_000
    left = []
    for _ in range(3):
        await tick(timed, deal)
        left.append((await check_books(timed, deal)).left)
    assert left == [CHUNK, 2 * CHUNK, units]


async def test_a_dead_workers_payment_is_taken_over_without_a_second_capture(
    timed: DealService, clock: ScriptClock, till: Till, stream_id: str
) -> None:
    order = await claim(timed, await open_deal(timed, stream_id))
    await crash_after_capture(timed, till, order)
    clock.now_ms += 20_000
    assert (await pay(timed, order)).state is OrderState.PAID
    assert till.calls.count("capture") == 1


async def test_an_expired_payment_without_money_is_forgotten_in_the_end(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, hold_s=10)
    order = await claim(timed, deal)
    till = timed._cashier._payments
    assert isinstance(till, Till)
    till.gate = asyncio.Event()
    paying = asyncio.create_task(pay(timed, order))
    await until(lambda: "authorise" in till.calls)
    paying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await paying
    clock.now_ms += 40_000
    await repair(timed, deal)
    settle = f"lc:{{{stream_id}}}:deal:{deal.id}:settle"
    assert await redis.zcard(settle) == 1
    clock.now_ms += 61_000
    await repair(timed, deal)
    assert await redis.zcard(settle) == 0
    assert (await timed.order(order.id)).state is OrderState.EXPIRED


async def test_a_refund_gives_money_and_units_back_once(timed: DealService, till: Till, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, stock=1)
    order = await pay(timed, await claim(timed, deal))
    assert (await timed.refund(order.id)).state is OrderState.REFUNDED
    assert (await timed.refund(order.id)).state is OrderState.REFUNDED
    assert till.refunds == {order.id: 1}
    now = await check_books(timed, deal)
    assert (now.left, now.sold, now.state) == (1, 0, DealState.OPEN)


async def test_what_is_not_paid_cannot_be_refunded(timed: DealService, stream_id: str) -> None:
    order = await claim(timed, await open_deal(timed, stream_id))
    with pytest.raises(IllegalState):
        await timed.refund(order.id)


async def test_somebody_elses_order_is_not_found(timed: DealService, stream_id: str) -> None:
    order = await claim(timed, await open_deal(timed, stream_id))
    for call in (
        timed.order(order.id, buyer_id="user-2"),
        timed.pay(order.id, buyer_id="user-2", payment_token="pm_ok"),
        timed.cancel_order(order.id, buyer_id="user-2"),
    ):
        with pytest.raises(OrderNotFound):
            await call
    assert (await timed.order(order.id)).state is OrderState.HELD


@pytest.mark.parametrize("order_id", ["", "x", "a.b.c", "}.{.x", "a.b.c.d", "a.b." + "x" * 999])
async def test_an_unknown_order_is_not_found(timed: DealService, order_id: str) -> None:
    for call in (
        timed.order(order_id),
        timed.pay(order_id, buyer_id="u", payment_token="pm_ok"),
        timed.cancel_order(order_id, buyer_id="u"),
        timed.refund(order_id),
    ):
        with pytest.raises(OrderNotFound):
            await call


async def test_a_buyers_orders_span_streams_newest_first_by_pages(timed: DealService, stream_id: str) -> None:
    placed = []
    for n, stream in enumerate((stream_id, stream_id + "x")):
        deal = await open_deal(timed, stream, per_buyer_limit=9)
        placed += [(await claim(timed, deal, stream_id, key=f"{n}{k}")).id for k in range(3)]
    seen, after = [], None
    while True:
        page, after = await timed.orders_of(f"user-{stream_id}", stream_id=None, after=after, limit=2)
        seen += [order.id for order in page]
        if after is None:
            break
    assert sorted(seen) == sorted(placed)
    assert [i for i in seen if i.startswith(stream_id + ".")] == placed[2::-1]
    only, _ = await timed.orders_of(f"user-{stream_id}", stream_id=stream_id, after=None, limit=50)
    assert [order.id for order in only] == placed[2::-1]
    with pytest.raises(Invalid):
        await timed.orders_of(f"user-{stream_id}", stream_id=None, after="a.b.c", limit=2)


async def test_the_journal_pages_by_cursor_and_refuses_others(timed: DealService, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id)
    for n in range(3):
        await claim(timed, deal, n)
    first, after = await timed.journal(stream_id, after=None, limit=2)
    rest, end = await timed.journal(stream_id, after=after, limit=2)
    assert [e.order.buyer.id for e in first + rest] == ["user-0", "user-1", "user-2"]
    assert end is None
    for after, limit in (("x", 2), ("1-1)", 2), (None, 0), (None, 501)):
        with pytest.raises(Invalid):
            await timed.journal(stream_id, after=after, limit=limit)


def test_an_order_id_says_its_stream() -> None:
    assert stream_of_order("s1.d1.r1") == "s1"


async def test_the_simulated_provider_takes_money_once_and_only_in_development(redis: Redis, stream_id: str) -> None:
    with pytest.raises(ValueError, match="development"):
        SimulatedPayments(redis, development=False)
    provider, order_id = SimulatedPayments(redis, development=True), f"{stream_id}.d.r"
    amount = Money(1999, "EUR")
    for token in ("pm_declined", "", "pm_unknown"):
        with pytest.raises(Declined):
            await provider.authorise(order_id, amount, token)
    assert await provider.status(order_id) is PaymentStatus.NONE
    for _ in range(2):
        await provider.capture(order_id, await provider.authorise(order_id, amount, "pm_ok"))
    assert await provider.status(order_id) is PaymentStatus.CAPTURED
    assert await redis.hget(provider.books(order_id), "captures") == b"1"
    await provider.refund(order_id)
    assert await provider.status(order_id) is PaymentStatus.REFUNDED
