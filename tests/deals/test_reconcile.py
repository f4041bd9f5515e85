"""Reconciling: clean after a real sale, and every way in which the books can be wrong is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.models import Deal
from deals.reconcile import reconcile, streams
from deals.service import DealService
from deals.store import Store
from deals.terms import BundlePart, CodeSpec, ItemSpec
from tests.deals.helpers import ScriptClock, a_buyer, claim, now_ms, open_deal, tick


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, now_ms)


@pytest.fixture
async def sale(timed: DealService, clock: ScriptClock, stream_id: str) -> Deal:
    """A deal with orders in every state."""
    deal = await open_deal(timed, stream_id, stock=8, hold_s=5, duration_s=3600)
    orders = [await claim(timed, deal, n) for n in range(1, 9)]
    await timed.pay(orders[0].id, buyer_id="user-1", payment_token="pm_ok")
    await timed.pay(orders[1].id, buyer_id="user-2", payment_token="pm_ok")
    await timed.refund(orders[1].id)
    await timed.cancel_order(orders[2].id, buyer_id="user-3")
    clock.now_ms += 5_000
    await tick(timed, deal)
    again = [await claim(timed, deal, n, key="again") for n in range(1, 8)]
    await timed.join_waitlist(stream_id, deal.id, buyer=again[1].buyer)
    await timed.cancel_order(again[6].id, buyer_id="user-7")
    return deal


async def test_a_sale_with_everything_in_it_is_clean(sale: Deal, store: Store) -> None:
    orders, differences = await reconcile(store, sale.stream_id)
    assert (orders, differences) == (16, [])
    assert sale.stream_id in await streams(store)


async def test_a_sale_that_goes_on_meanwhile_is_clean_too(service: DealService, store: Store, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, stock=1000)
    selling = True

    async def sell(buyer: int) -> None:
        number = 0
        while selling:
            order = await claim(service, deal, buyer, key=f"k{number}")
            number += 1
            if number > 40:
                return
            await service.cancel_order(order.id, buyer_id=f"user-{buyer}")

    buyers = [asyncio.create_task(sell(n)) for n in range(4)]
    for _ in range(5):
        assert (await reconcile(store, stream_id))[1] == []
    selling = False
    await asyncio.gather(*buyers)


async def test_a_sale_that_begins_meanwhile_is_clean_too(
    service: DealService, store: Store, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await open_deal(service, stream_id, stock=10)
    ask, asked = store.ask, 0

    async def ask_and_be_overtaken(*commands: Any, **how: Any) -> Any:
        nonlocal asked
        answer = await ask(*commands, **how)
        if how:
            asked += 1
            await claim(service, deal, asked, key=f"k{asked}")
        return answer

    monkeypatch.setattr(store, "ask", ask_and_be_overtaken)
    assert (await reconcile(store, stream_id))[1] == []
    assert asked >= 2


Harm = Callable[[Redis, Deal], Awaitable[object]]


def _deal(deal: Deal) -> str:
    return keys.deal(deal.stream_id, deal.id)


async def _drop_an_order(redis: Redis, deal: Deal) -> None:
    ledger = keys.ledger(deal.stream_id, deal.id)
    fields: Any = await redis.hkeys(ledger)
    await redis.hdel(ledger, next(f for f in fields if f.startswith(b"o:")).decode())


async def _repeat_an_entry(redis: Redis, deal: Deal) -> None:
    key = keys.journal(deal.stream_id)
    entries: Any = await redis.xrange(key, count=1)
    await redis.xadd(key, entries[0][1])


async def _lead_a_key_astray(redis: Redis, deal: Deal) -> None:
    """To a younger order of the same buyer, so that each key for itself is as good as ever."""
    where = keys.claims(deal.stream_id, deal.id)
    await redis.hset(where, "user-1\nk", await redis.hget(where, "user-1\nagain") or b"")


HARMS: dict[str, tuple[Harm, str]] = {
    "a unit that vanished": (lambda r, d: r.hincrby(_deal(d), "left", -1), "units left"),
    "a unit held twice": (lambda r, d: r.hincrby(_deal(d), "held", 1), "units held"),
    "a sale nobody made": (lambda r, d: r.hincrby(_deal(d), "sold", 1), "units sold"),
    "a hold that was lost": (lambda r, d: r.zpopmin(f"{_deal(d)}:holds"), "refs on hold"),
    "a paid order that was lost": (lambda r, d: r.zpopmin(f"{_deal(d)}:paid"), "refs paid"),
    "an order that was lost": (_drop_an_order, "orders in the ledger"),
    "a limit miscounted": (
        lambda r, d: r.hset(keys.ledger(d.stream_id, d.id), "b:user-1", "9 x"),
        "units of buyer 'user-1'",
    ),
    "a key that names nothing": (
        lambda r, d: r.hset(keys.claims(d.stream_id, d.id), "user-1\nk", "nothing 1"),
        "key 'user-1\\nk'",
    ),
    "a key that was lost": (
        lambda r, d: r.hdel(keys.claims(d.stream_id, d.id), "user-1\nk"),
        "orders with a key",
    ),
    "a key that finds another's order": (_lead_a_key_astray, "orders with a key"),
    "an order placed twice": (_repeat_an_entry, "order "),
    "money nobody paid": (lambda r, d: r.hincrby(_deal(d), "revenue", 5), "revenue"),
}


@pytest.mark.parametrize("name", HARMS)
async def test_every_harm_is_named(name: str, sale: Deal, store: Store, redis: Redis) -> None:
    harm, what = HARMS[name]
    await harm(redis, sale)
    _, differences = await reconcile(store, sale.stream_id)
    assert any(d.what.startswith(what) for d in differences), differences
    assert {d.deal_id for d in differences} == {sale.id}


RULE_HARMS: dict[str, tuple[Callable[[Redis, str], Awaitable[object]], str]] = {
    "a use that nobody made": (lambda r, s: r.hincrby(keys.rules(s), "used:TEN", 1), "uses 'used:TEN'"),
    "a buyer's use that was lost": (lambda r, s: r.hdel(keys.uses(s), "TEN user-1"), "uses 'TEN user-1'"),
    "a part that was sold twice": (lambda r, s: r.hincrby(keys.rules(s), "taken:mug", -1), "units taken of item 'mug'"),
    "a part that vanished": (lambda r, s: r.hincrby(keys.rules(s), "left:mug", -1), "units left of item 'mug'"),
}


@pytest.mark.parametrize("name", [None, *RULE_HARMS])
async def test_every_harm_to_items_and_codes_is_named(
    name: str | None, timed: DealService, store: Store, redis: Redis, stream_id: str
) -> None:
    for item in ("mug", "tea"):
        await timed.rules.put_item(stream_id, item, ItemSpec(item, 9))
    await timed.rules.put_code(stream_id, "TEN", CodeSpec(percent=10))
    deal = await open_deal(timed, stream_id, bundle=(BundlePart("mug", 1), BundlePart("tea", 2)))
    for number in (1, 2, 3):
        order = await timed.claim(stream_id, deal.id, buyer=a_buyer(number), units=1, key="k", code="ten")
    await timed.cancel_order(order.id, buyer_id="user-3")
    if name is not None:
        await RULE_HARMS[name][0](redis, stream_id)
    _, differences = await reconcile(store, stream_id)
    found = [difference.what for difference in differences]
    assert found == [] if name is None else RULE_HARMS[name][1] in found
