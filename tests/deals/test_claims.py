"""Claims on the real Valkey: who gets the last unit, who is refused, and what a key means."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import (
    Closed,
    DealNotFound,
    DealsError,
    Invalid,
    KeyRequired,
    KeyReused,
    LimitReached,
    NotOpen,
    SoldOut,
)
from deals.models import Buyer, Deal, DealState, Order, OrderState
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import a_deal, check_books, claim, events, now_ms, open_deal, types


async def _outcome(service: DealService, deal: Deal, number: int, key: str = "k") -> str:
    try:
        return (await claim(service, deal, number, key=key)).id
    except DealsError as error:
        return error.code


async def test_the_last_unit_goes_to_exactly_one_of_fifty_buyers(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, stock=1)
    outcomes = await asyncio.gather(*(_outcome(service, deal, n) for n in range(50)))
    assert Counter(o == "sold_out" for o in outcomes) == {True: 49, False: 1}
    now = await check_books(service, deal)
    assert (now.left, now.held, now.state) == (0, 1, DealState.SOLD_OUT)


async def test_a_claim_holds_units_and_freezes_price_and_title(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, hold_s=30)
    order = await claim(service, deal, units=2)
    assert (order.title, order.unit_price, order.total.amount) == ("Lamp", deal.price, 3998)
    assert (order.state, order.held_until_ms) == (OrderState.HELD, order.placed_ms + 30_000)
    assert order.id.startswith(f"{stream_id}.{deal.id}.")
    assert await service.order(order.id, buyer_id="user-1") == order


async def test_a_batch_is_one_event_and_the_last_unit_says_sold_out(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id, stock=12)
    await asyncio.gather(*(claim(service, deal, n) for n in range(12)))
    said = (await events(redis, stream_id))[2:]
    assert [e["type"] for e in said] == ["deal.claimed", "deal.sold_out"]
    data = said[0]["data"]
    assert (data["units"], data["left"], len(data["buyers"]), data["more"]) == (12, 0, 10, 2)
    assert data["buyers"][0] == "Name 0"
    assert said[1]["data"]["deal"]["state"] == "sold_out"


async def test_the_buyer_is_told_on_whichever_worker_they_are(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id)
    listener = redis.pubsub()
    await listener.execute_command("SSUBSCRIBE", keys.log(stream_id))
    order = await claim(service, deal)
    told: list[bytes] = []
    while len(told) < 3:
        message = await listener.parse_response(timeout=2)
        assert message is not None
        if message[0] == b"smessage":
            told.append(message[2])
    await listener.aclose()  # type: ignore[no-untyped-call]
    many = msgspec.json.decode(told[0][1:])
    assert (told[0][:1], many["type"], many["member"]) == (b"m", "order.updated", "order")
    assert many["to"] == [["user-1", ""]]
    assert msgspec.convert(many["values"], list[Order]) == [order]
    assert told[1].startswith(b'n{"offset":3,"type":"deal.claimed"')
    assert told[2].startswith(b'l{"slot":"stock:%b","type":"deal.stock","as_of":3' % deal.id.encode())


async def test_a_replay_is_the_same_order_with_its_state_as_of_now(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    first = await claim(service, deal)
    await service.pay(first.id, buyer_id="user-1", payment_token="pm_ok")
    await service.close(stream_id, deal.id)
    again = await claim(service, deal)
    assert (again.id, again.state) == (first.id, OrderState.PAID)
    with pytest.raises(Closed):
        await claim(service, deal, key="another")


async def test_the_same_key_twice_in_one_batch_is_one_order(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    orders = await asyncio.gather(*(claim(service, deal) for _ in range(20)))
    assert len({order.id for order in orders}) == 1
    assert (await check_books(service, deal)).held == 1


async def test_a_key_is_one_buyers_and_one_deals(service: DealService, stream_id: str) -> None:
    deal, other = await open_deal(service, stream_id), await open_deal(service, stream_id)
    orders = [await claim(service, deal, 1), await claim(service, deal, 2), await claim(service, other, 1)]
    assert len({order.id for order in orders}) == 3


async def test_a_key_reused_for_other_units_is_refused_even_within_a_batch(
    service: DealService, stream_id: str
) -> None:
    deal = await open_deal(service, stream_id)
    results = await asyncio.gather(claim(service, deal, units=1), claim(service, deal, units=2), return_exceptions=True)
    assert isinstance(results[0], Order)
    assert isinstance(results[1], KeyReused)
    with pytest.raises(KeyReused):
        await claim(service, deal, units=2)


async def test_a_refusal_is_not_recorded_so_its_key_may_be_used_again(service: DealService, stream_id: str) -> None:
    deal = await service.create(stream_id, a_deal())
    with pytest.raises(NotOpen):
        await claim(service, deal)
    await service.open(stream_id, deal.id)
    assert (await claim(service, deal)).state is OrderState.HELD


async def test_one_buyer_gets_no_more_than_the_limit_even_in_one_batch(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, per_buyer_limit=2)
    outcomes = await asyncio.gather(*(_outcome(service, deal, 1, key=f"k{n}") for n in range(9)))
    assert Counter(o for o in outcomes if "." not in o) == {"limit_reached": 7}
    with pytest.raises(LimitReached):
        await claim(service, deal, 2, units=3)


async def test_a_cancelled_order_gives_the_limit_back_but_orders_are_bounded(
    service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deals.claims.MOST_ORDERS_OF_BUYER", 3)
    deal = await open_deal(service, stream_id, per_buyer_limit=1)
    for n in range(3):
        order = await claim(service, deal, key=f"k{n}")
        await service.cancel_order(order.id, buyer_id="user-1")
    with pytest.raises(LimitReached):
        await claim(service, deal, key="k3")
    assert (await check_books(service, deal)).left == 10


async def test_too_many_units_are_sold_out_while_fewer_are_not(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, stock=1)
    with pytest.raises(SoldOut):
        await claim(service, deal, units=2)
    await claim(service, deal, units=1)


@pytest.mark.parametrize("key", ["", "é", "a\nb", "x" * 129, "tab\t"])
async def test_a_bad_key_is_refused(service: DealService, stream_id: str, key: str) -> None:
    deal = await open_deal(service, stream_id)
    with pytest.raises(KeyRequired):
        await claim(service, deal, key=key)


@pytest.mark.parametrize("units", [0, -1, 1001, 2**64])
async def test_hostile_units_are_refused(service: DealService, stream_id: str, units: int) -> None:
    deal = await open_deal(service, stream_id)
    with pytest.raises(Invalid):
        await claim(service, deal, units=units)


async def test_a_claim_on_no_deal_is_refused_and_leaves_nothing_behind(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    user = new_id("u")
    for deal_id in ("nothing", "}{", ""):
        with pytest.raises(DealNotFound):
            await service.claim(stream_id, deal_id, buyer=Buyer(user, "n"), units=1, key="k")
    assert await redis.exists(keys.buyer(user)) == 0


@pytest.mark.parametrize("name", ['"},"x":{"', "\\", "\ud800", "</script>", "名前 🎉", "%s\x00\x1f", '"id":"x"'])
async def test_a_hostile_name_stays_a_name(service: DealService, redis: Redis, stream_id: str, name: str) -> None:
    deal = await open_deal(service, stream_id, title=name.encode("utf-8", "replace").decode())
    order = await service.claim(stream_id, deal.id, buyer=Buyer(f'u{name!r}"', name), units=1, key="k")
    paid = await service.pay(order.id, buyer_id=order.buyer.id, payment_token="pm_ok")
    assert paid.buyer == order.buyer
    assert order.buyer.name == name.encode("utf-8", "replace").decode()
    said = await events(redis, stream_id)
    assert said[2]["data"]["buyers"] == [order.buyer.name]
    assert said[3]["data"]["buyer"] == {"name": order.buyer.name}


async def test_one_step_buying_pays_at_once_and_a_decline_keeps_the_hold(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    buy: dict[str, Any] = {"buyer": Buyer("u", "n"), "units": 1, "key": "k"}
    with pytest.raises(DealsError, match="declined"):
        await service.claim(stream_id, deal.id, **buy, payment_token="pm_declined")
    assert (await check_books(service, deal)).held == 1
    order = await service.claim(stream_id, deal.id, **buy, payment_token="pm_ok")
    assert order.state is OrderState.PAID
    assert (await service.claim(stream_id, deal.id, **buy, payment_token="pm_ok")).id == order.id


async def test_two_thousand_claims_over_two_services_sell_one_hundred_units(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    services = [
        DealService(redis, run_script, SimulatedPayments(redis, development=True), now_ms=now_ms, new_id=new_id)
        for _ in range(2)
    ]
    deal = await open_deal(services[0], stream_id, stock=100, per_buyer_limit=1)
    samples, selling = 0, True

    async def sample() -> None:
        nonlocal samples
        while selling:
            await check_books(services[samples % 2], deal)
            samples += 1

    sampler = asyncio.create_task(sample())
    outcomes = await asyncio.gather(*(_outcome(services[n % 2], deal, n) for n in range(2000)))
    selling = False
    await sampler
    won = {n: o for n, o in enumerate(outcomes) if "." in o}
    assert Counter(o for o in outcomes if "." not in o) == {"sold_out": 1900}
    assert len(set(won.values())) == 100
    assert samples > 5
    # Each key finds its own order again, and the journal has each exactly once.
    assert {n: await _outcome(services[1], deal, n) for n in won} == won
    entries, after = await services[0].journal(stream_id, after=None, limit=500)
    assert (sorted(e.order.id for e in entries), after) == (sorted(won.values()), None)
    now = await check_books(services[0], deal)
    assert (now.left, now.held, now.state) == (0, 100, DealState.SOLD_OUT)
    assert (await types(redis, stream_id)).count("deal.sold_out") == 1
    for service in services:
        await service.aclose()
