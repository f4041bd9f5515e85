"""The waiting list: first come, first served; a unit that comes back goes from hand to hand."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import Closed, DealNotFound, DealsError, IllegalState, LimitReached, NotOpen, SoldOut
from deals.models import Deal, Order, OrderState
from deals.service import DealService
from livecommerce.ids import new_id
from tests.deals.helpers import ScriptClock, a_buyer, a_deal, check_books, claim, open_deal, tick, types


async def join(service: DealService, deal: Deal, number: int) -> int | None:
    return (await service.join_waitlist(deal.stream_id, deal.id, buyer=a_buyer(number))).position


async def offers(service: DealService, deal: Deal) -> list[Order]:
    """The orders that the waiting list made, oldest first."""
    entries, _ = await service.journal(deal.stream_id, after=None, limit=500)
    return [entry.order for entry in entries if entry.what == "offered" and entry.order.deal_id == deal.id]


async def test_an_expired_unit_goes_to_the_first_in_line_as_a_hold(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=5)
    await claim(timed, deal, 1)
    assert [await join(timed, deal, n) for n in (2, 3, 2)] == [1, 2, 1]
    clock.now_ms += 5_000
    await tick(timed, deal)
    [order] = await offers(timed, deal)
    assert (order.buyer.id, order.state, order.held_until_ms) == ("user-2", OrderState.HELD, clock.now_ms + 5_000)
    now = await check_books(timed, deal)
    assert (now.left, now.held, now.state) == (0, 1, "sold_out")
    assert "deal.released" not in await types(redis, stream_id)
    assert [await join(timed, deal, n) for n in (3,)] == [1]
    paid = await timed.pay(order.id, buyer_id="user-2", payment_token="pm_ok")
    assert paid.state is OrderState.PAID
    mine, _ = await timed.orders_of("user-2", stream_id=stream_id, after=None, limit=10)
    assert [o.id for o in mine] == [order.id]


async def test_an_offer_that_nobody_takes_goes_on_and_at_last_back_on_sale(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=5, duration_s=3600)
    await claim(timed, deal, 1)
    for number in (2, 3):
        await join(timed, deal, number)
    for _ in range(3):
        clock.now_ms += 5_000
        await tick(timed, deal)
    assert [o.buyer.id for o in await offers(timed, deal)] == ["user-2", "user-3"]
    assert (await types(redis, stream_id)).count("deal.released") == 1
    assert (await check_books(timed, deal)).left == 1


async def test_a_cancelled_order_and_a_refund_serve_the_line_too(timed: DealService, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, stock=2)
    first, second = await claim(timed, deal, 1), await claim(timed, deal, 2)
    await timed.pay(second.id, buyer_id="user-2", payment_token="pm_ok")
    for number in (3, 4, 5):
        await join(timed, deal, number)
    await timed.cancel_order(first.id, buyer_id="user-1")
    await timed.refund(second.id)
    assert [o.buyer.id for o in await offers(timed, deal)] == ["user-3", "user-4"]
    now = await check_books(timed, deal)
    assert (now.left, now.held, now.sold) == (0, 2, 0)
    with pytest.raises(SoldOut):
        await claim(timed, deal, 6)


async def test_who_left_is_passed_over_and_told_no_place(timed: DealService, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, stock=1)
    order = await claim(timed, deal, 1)
    for number in (2, 3):
        await join(timed, deal, number)
    for _ in range(2):
        await timed.leave_waitlist(stream_id, deal.id, buyer_id="user-2")
    places = [await timed.place_in_waitlist(stream_id, deal.id, buyer_id=f"user-{n}") for n in (2, 3)]
    assert [place.position for place in places] == [None, 1]
    await timed.cancel_order(order.id, buyer_id="user-1")
    assert [o.buyer.id for o in await offers(timed, deal)] == ["user-3"]


async def test_who_waits_is_told_of_the_offer_and_of_the_new_place(
    timed: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(timed, stream_id, stock=1)
    order = await claim(timed, deal, 1)
    for number in (2, 3):
        await join(timed, deal, number)
    listener = redis.pubsub()
    await listener.execute_command("SSUBSCRIBE", keys.log(stream_id))
    await timed.cancel_order(order.id, buyer_id="user-1")
    told: list[tuple[str, str]] = []
    while ("waitlist.position", "user-3") not in told:
        message = await listener.parse_response(timeout=5)
        assert message is not None, told
        if message[0] == b"smessage" and message[2].startswith(b"p"):
            event = msgspec.json.decode(message[2][1:])
            told.append((event["type"], event["to"]))
    await listener.aclose()  # type: ignore[no-untyped-call]
    assert told == [("order.updated", "user-1"), ("waitlist.offer", "user-2"), ("waitlist.position", "user-3")]


async def test_nobody_waits_where_there_is_nothing_to_wait_for(timed: DealService, stream_id: str) -> None:
    deal = await timed.create(stream_id, a_deal(stock=1, per_buyer_limit=1))
    with pytest.raises(NotOpen):
        await join(timed, deal, 2)
    await timed.open(stream_id, deal.id)
    with pytest.raises(IllegalState):
        await join(timed, deal, 2)
    await claim(timed, deal, 1)
    with pytest.raises(LimitReached):
        await join(timed, deal, 1)
    await join(timed, deal, 2)
    await timed.close(stream_id, deal.id)
    with pytest.raises(Closed):
        await join(timed, deal, 3)
    assert (await timed.place_in_waitlist(stream_id, deal.id, buyer_id="user-2")).position is None
    with pytest.raises(DealNotFound):
        await timed.join_waitlist(stream_id, new_id("d"), buyer=a_buyer(1))
    with pytest.raises(DealNotFound):
        await timed.leave_waitlist(stream_id, new_id("d"), buyer_id="user-1")


async def test_after_the_end_a_unit_goes_to_nobody(timed: DealService, clock: ScriptClock, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, stock=1, hold_s=30, duration_s=10)
    await claim(timed, deal, 1)
    await join(timed, deal, 2)
    clock.now_ms += 30_000
    await tick(timed, deal)
    assert await offers(timed, deal) == []
    assert (await check_books(timed, deal)).left == 1


async def test_a_full_list_refuses(timed: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deals.waitlist.MOST_WAITING", 1)
    deal = await open_deal(timed, stream_id, stock=1)
    await claim(timed, deal, 1)
    await join(timed, deal, 2)
    with pytest.raises(LimitReached):
        await join(timed, deal, 3)


async def test_two_hundred_units_at_once_serve_two_hundred_in_their_order(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    """More than one script offers: nobody is forgotten, and nobody else gets in between."""
    deal = await open_deal(timed, stream_id, stock=200, per_buyer_limit=200, hold_s=5)
    await claim(timed, deal, 1, units=200)
    for number in range(2, 203):
        await join(timed, deal, number)
    clock.now_ms += 5_000
    for _ in range(20):
        await tick(timed, deal)
    assert [o.buyer.id for o in await offers(timed, deal)] == [f"user-{n}" for n in range(2, 202)]
    now = await check_books(timed, deal)
    assert (now.left, now.held) == (0, 200)
    assert (await timed.place_in_waitlist(stream_id, deal.id, buyer_id="user-202")).position == 1


async def test_what_is_left_for_who_waits_is_sold_to_nobody_else(timed: DealService, stream_id: str) -> None:
    """More units come back in one step than one script offers: the rest is not on sale until its turn comes."""
    deal = await open_deal(timed, stream_id, stock=20, per_buyer_limit=20)
    order = await claim(timed, deal, 0, units=20)
    for number in range(1, 21):
        await join(timed, deal, number)
    await timed.cancel_order(order.id, buyer_id="user-0")
    assert (await check_books(timed, deal)).left == 10
    with pytest.raises(SoldOut):
        await claim(timed, deal, 99)
    await tick(timed, deal)
    assert [o.buyer.id for o in await offers(timed, deal)] == [f"user-{number}" for number in range(1, 21)]


async def test_the_limit_holds_in_the_line_as_well(timed: DealService, clock: ScriptClock, stream_id: str) -> None:
    deal = await open_deal(timed, stream_id, stock=2, per_buyer_limit=1, hold_s=5)
    first, _ = await claim(timed, deal, 1), await claim(timed, deal, 2)
    await join(timed, deal, 3)
    await join(timed, deal, 4)
    await timed.cancel_order(first.id, buyer_id="user-1")  # user 3 has one now
    with pytest.raises(LimitReached):
        await join(timed, deal, 3)
    outcomes = await asyncio.gather(*(join(timed, deal, 5) for _ in range(5)), return_exceptions=True)
    assert not [o for o in outcomes if isinstance(o, DealsError)]
    assert set(outcomes) == {2}


async def test_who_waits_and_cancels_in_turns_gets_no_more_orders_than_who_claims(
    timed: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each offer is an order that is kept for good: two who hand a unit to and fro could make any number of them."""
    monkeypatch.setattr("deals.waitlist.MOST_ORDERS_OF_BUYER", 2)
    deal = await open_deal(timed, stream_id, stock=1)
    await join_refused_after(timed, deal, turns=3)
    assert len(await offers(timed, deal)) == 3


async def join_refused_after(timed: DealService, deal: Deal, *, turns: int) -> None:
    """User 1 claims, and then each of the two joins while the other has the unit, who gives it back."""
    order = await claim(timed, deal, 1)
    for turn in range(turns):
        await join(timed, deal, 2 - turn % 2)
        await timed.cancel_order(order.id, buyer_id=order.buyer.id)
        order = (await offers(timed, deal))[-1]
    with pytest.raises(LimitReached):
        await join(timed, deal, 2 - turns % 2)
