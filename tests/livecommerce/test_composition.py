"""What an operator sets arrives in the parts that a worker is made of."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from deals.errors import RateLimited
from deals.models import Buyer, DealSpec, Money
from livecommerce.composition import compose
from livecommerce.ids import new_id
from livecommerce.limits import Limits, Rate
from livecommerce.settings import Settings
from livecommerce.worker_spec import WorkerSpec
from streams.models import Host
from tests.livecommerce.edge import SECRET


async def test_how_often_a_buyer_may_claim_and_cancel_is_the_operators_to_say(valkey_url: str) -> None:
    limits = Limits(claims=Rate(0.001, 3), canceladdress=Rate(0.001, 2), cancels=Rate(0.001, 1))
    settings = Settings(secret=SECRET, limit=limits, media_port=0)
    spec = WorkerSpec(index=0, settings=settings, valkey_url=valkey_url, advertise=("127.0.0.1",), ready_fd=-1)
    async with AsyncExitStack() as stack:
        context = await compose(stack, spec, worker_id=new_id("w"), address="http://127.0.0.1:9")
        deals = context.deals
        stream = await context.streams.create("A show", Host("host", "Host"))
        mug = DealSpec("Mug", Money(500, "EUR"), stock=9, per_buyer_limit=9, duration_s=60, hold_s=60)
        deal = await deals.create(stream.id, mug)
        await deals.open(stream.id, deal.id)

        async def buy_and_regret(user: str, key: str, address: str) -> None:
            order = await deals.claim(stream.id, deal.id, buyer=Buyer(user, user), units=1, key=key)
            await deals.cancel_order(order.id, buyer_id=user, address=address)

        await buy_and_regret("ann", "1", "")
        with pytest.raises(RateLimited, match="cancelling"):
            await buy_and_regret("ann", "2", "")
        await buy_and_regret("bob", "1", "a")
        await buy_and_regret("cas", "1", "a")
        with pytest.raises(RateLimited, match="cancelling"):
            await buy_and_regret("dan", "1", "a")
        await deals.claim(stream.id, deal.id, buyer=Buyer("ann", "ann"), units=1, key="3")
        with pytest.raises(RateLimited, match="claiming"):
            await deals.claim(stream.id, deal.id, buyer=Buyer("ann", "ann"), units=1, key="4")
