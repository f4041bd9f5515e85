"""Who is told of a claim: the claimer by its reply, their other connections by an event, nobody else at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from deals.models import Buyer, DealSpec, Money
from livecommerce.schema.events import EVENTS
from tests.livecommerce.rooms import RoomWorker, Viewer, room_worker


@pytest.fixture
async def workers(valkey_url: str) -> AsyncIterator[list[RoomWorker]]:
    """Two workers of one group."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(room_worker(valkey_url)) for _ in range(2)]


def orders_told(viewer: Viewer) -> list[str]:
    return [e["data"]["order"]["id"] for e in viewer.events if e["type"] == "order.updated"]


async def test_other_connections_of_the_buyer_hear_of_a_claim_and_the_claimer_does_not(
    workers: list[RoomWorker],
) -> None:
    one, two = workers
    stream_id = await one.stream()
    spec = DealSpec("Mug", Money(500, "EUR"), stock=9, per_buyer_limit=5, duration_s=60, hold_s=60)
    deal = await one.context.deals.create(stream_id, spec)
    await one.context.deals.open(stream_id, deal.id)
    phone = await one.join(stream_id, "ann")
    tablet = await one.join(stream_id, "ann", protocol="livecommerce.v1.msgpack")
    laptop, bob = await two.join(stream_id, "ann"), await two.join(stream_id, "bob")
    order = (await phone.do("deal.claim", deal_id=deal.id, units=1, key="k1"))["ok"]["order"]
    for other in (tablet, laptop):
        event = await other.event("order.updated")
        msgspec.convert(event, EVENTS["order.updated"])
        assert event["data"]["order"] == order
    # A claim from elsewhere (by HTTP) is told to all of them; what came before it has then been heard.
    await two.context.deals.claim(stream_id, deal.id, buyer=Buyer("ann", "Ann"), units=1, key="k2")
    await phone.event("order.updated")
    second = orders_told(phone)
    assert order["id"] not in second
    await tablet.until(lambda: orders_told(tablet) == [order["id"], *second])
    await laptop.until(lambda: orders_told(laptop) == [order["id"], *second])
    await bob.until(lambda: sum(e["type"] == "deal.claimed" for e in bob.events) == 2)
    assert orders_told(bob) == []


async def test_a_room_tells_of_units_that_came_back_on_every_worker(workers: list[RoomWorker]) -> None:
    one, two = workers
    stream_id = await one.stream()
    heard: list[tuple[str, str]] = []
    two.context.hub.on_released = lambda *released: heard.append(released)
    bob = await two.join(stream_id, "bob")
    spec = DealSpec("Mug", Money(500, "EUR"), stock=1, per_buyer_limit=5, duration_s=60, hold_s=60)
    deal = await one.context.deals.create(stream_id, spec)
    await one.context.deals.open(stream_id, deal.id)
    order = await one.context.deals.claim(stream_id, deal.id, buyer=Buyer("ann", '"deal.released"'), units=1, key="k1")
    await one.say(stream_id, '"type":"deal.released"')
    await bob.event("chat.message")
    assert heard == []
    await one.context.deals.cancel_order(order.id, buyer_id="ann")
    await bob.event("deal.released")
    assert heard == [(stream_id, deal.id)]


async def test_one_command_claims_and_pays_and_a_decline_leaves_the_hold(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    spec = DealSpec("Mug", Money(500, "EUR"), stock=9, per_buyer_limit=5, duration_s=60, hold_s=60)
    deal = await worker.context.deals.create(stream_id, spec)
    await worker.context.deals.open(stream_id, deal.id)
    ann = await worker.join(stream_id, "ann")
    asked = {"deal_id": deal.id, "units": 2, "key": "k"}
    assert (await ann.do("deal.claim", **asked, payment_token="pm_declined"))["err"]["code"] == "payment_declined"
    held = (await ann.do("deal.claim", **asked))["ok"]["order"]
    assert held["state"] == "held"
    for _ in range(2):
        paid = (await ann.do("deal.claim", **asked, payment_token="pm_ok"))["ok"]["order"]
        assert (paid["id"], paid["state"]) == (held["id"], "paid")
    counts = await worker.context.deals.deal(stream_id, deal.id)
    assert (counts.left, counts.held, counts.sold) == (7, 0, 2)
