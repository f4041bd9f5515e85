"""The waiting list by WebSocket and by HTTP, and the offer as the one in line hears it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from deals.models import DealSpec, Money
from livecommerce.schema.events import EVENTS
from tests.livecommerce.rooms import RoomWorker, room_worker


@pytest.fixture
async def worker(valkey_url: str) -> AsyncIterator[RoomWorker]:
    """One worker."""
    async with room_worker(valkey_url) as worker:
        yield worker


async def test_a_unit_that_comes_back_is_offered_to_the_first_in_line(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    spec = DealSpec("Mug", Money(500, "EUR"), stock=1, per_buyer_limit=1, duration_s=60, hold_s=60)
    deal = await worker.context.deals.create(stream_id, spec)
    await worker.context.deals.open(stream_id, deal.id)
    ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
    assert (await bob.do("waitlist.join", deal_id=deal.id))["err"]["code"] == "illegal_state"
    order = (await ann.do("deal.claim", deal_id=deal.id, units=1, key="k"))["ok"]["order"]
    assert (await bob.do("waitlist.join", deal_id=deal.id))["ok"] == {"deal_id": deal.id, "position": 1}

    path = f"{worker.url}/api/v1/streams/{stream_id}/deals/{deal.id}/waitlist"
    cas = {"Authorization": f"Bearer {worker.token('cas')}"}
    async with worker.client.post(path, headers=cas) as answer:
        assert (answer.status, await answer.json()) == (201, {"deal_id": deal.id, "position": 2})
    behind = await worker.join(stream_id, "cas")
    assert (await bob.do("waitlist.leave", deal_id=deal.id))["ok"] == {}
    assert (await behind.event("waitlist.position"))["data"] == {"deal_id": deal.id, "position": 1}
    async with worker.client.get(path, headers=cas) as answer:
        assert (answer.status, await answer.json()) == (200, {"deal_id": deal.id, "position": 1})
    async with worker.client.delete(path, headers=cas) as answer:
        assert answer.status == 204
    await bob.do("waitlist.join", deal_id=deal.id)

    await ann.do("order.cancel", order_id=order["id"])
    offer = await bob.event("waitlist.offer")
    msgspec.convert(offer, EVENTS["waitlist.offer"])
    offered = offer["data"]["order"]
    assert (offered["state"], offered["buyer"]["id"]) == ("held", "bob")
    paid = await bob.do("order.pay", order_id=offered["id"], payment_token="pm_ok")
    assert paid["ok"]["order"]["state"] == "paid"


async def test_waiting_needs_a_token_that_may_buy_and_a_deal_that_is_there(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    path = f"{worker.url}/api/v1/streams/{stream_id}/deals/nothing/waitlist"
    may = {"Authorization": f"Bearer {worker.token('ann')}"}
    for method in ("POST", "GET", "DELETE"):
        async with worker.client.request(method, path) as answer:
            assert answer.status == 401
        async with worker.client.request(method, path, headers=may) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "deal_not_found")
    deal = await worker.context.deals.create(
        stream_id, DealSpec("Mug", Money(500, "EUR"), stock=1, per_buyer_limit=1, duration_s=60, hold_s=60)
    )
    may_not = {"Authorization": f"Bearer {worker.token('ann', 'watch')}"}
    async with worker.client.post(path.replace("nothing", deal.id), headers=may_not) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
