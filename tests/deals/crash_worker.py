"""A worker process for crash tests: buys as fast as it can, and writes down what it asks before and hears after.

Each line of its diary is one ``write``, so what a killed worker wrote is whole: ``ask <user> <key>``, ``yes <user>
<key> <order id>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deals.errors import DealsError
from deals.models import Buyer
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import now_ms

BUYERS = 12


async def buy(service: DealService, stream_id: str, deal_id: str, name: str, diary: int) -> None:
    """One buyer after the other: claims, then pays, cancels, waits or does nothing; each claim is asked twice."""
    number = 0
    while True:
        number += 1
        user = f"{name}.{number}"
        os.write(diary, f"ask {user} k\n".encode())
        try:
            order = await service.claim(stream_id, deal_id, buyer=Buyer(user, "n"), units=1, key="k")
            os.write(diary, f"yes {user} k {order.id}\n".encode())
            what = random.random()
            if what < 0.3:
                await service.pay(order.id, buyer_id=user, payment_token="pm_ok")
            elif what < 0.5:
                await service.cancel_order(order.id, buyer_id=user)
        except DealsError as error:
            if error.code == "sold_out":
                with contextlib.suppress(DealsError):
                    await service.join_waitlist(stream_id, deal_id, buyer=Buyer(user, "n"))
            await asyncio.sleep(0.005)


async def main(socket: str, stream_id: str, deal_id: str, name: str, path: str) -> None:
    """Buy until killed."""
    redis = Redis.from_url(f"unix://{socket}", retry=Retry(NoBackoff(), 0))
    diary = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    payments = SimulatedPayments(redis, development=True)
    service = DealService(redis, ScriptRunner(redis), payments, now_ms=now_ms, new_id=new_id)
    await service.start()
    await asyncio.gather(*(buy(service, stream_id, deal_id, f"{name}.{n}", diary) for n in range(BUYERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
