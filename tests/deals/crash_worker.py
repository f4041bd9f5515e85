"""Worker processes for crash tests: each buys as fast as it can, and writes down what it asks before and hears after.

They are forked by a nursery that has everything imported already: a new Python would take half a second each time.

Each line of a diary is one ``write``, so all but the last one of a killed worker is whole: ``ask <user> <key>``,
``yes <user> <key> <order id>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from deals.errors import DealsError
from deals.models import Buyer
from deals.payments import SimulatedPayments
from deals.service import DealService
from deals.webhooks import sign
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import now_ms

BUYERS = 12
SECRET = b"the simulated provider's"
#: pending ones too: their news come by webhook, twice, in the wrong order, or never
TOKENS = ("pm_ok", "pm_ok", "pm_webhook_twice", "pm_webhook_disordered", "pm_webhook_lost", "pm_webhook_declined")


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
                await service.pay(order.id, buyer_id=user, payment_token=random.choice(TOKENS))
            elif what < 0.5:
                await service.cancel_order(order.id, buyer_id=user)
        except DealsError as error:
            if error.code == "sold_out":
                with contextlib.suppress(DealsError):
                    await service.join_waitlist(stream_id, deal_id, buyer=Buyer(user, "n"))
            await asyncio.sleep(0.005)


async def hear(service: DealService, payments: SimulatedPayments, redis: Redis) -> None:
    """Bring what the provider has to tell, again and again and by every worker, until somebody could take it away."""
    while True:
        with contextlib.suppress(RedisError, OSError, DealsError):
            members: Any = await redis.zrange(payments.OUTBOX, 0, 19)
            for member in members:
                body = member.partition(b" ")[2]
                headers = {payments.SIGNATURE: sign(SECRET, body, now_ms())}
                await service.payment_webhook(headers, body)
                if random.random() < 0.7:
                    await redis.zrem(payments.OUTBOX, member)
        await asyncio.sleep(0.02)


async def main(socket: str, stream_id: str, deal_id: str, name: str, path: str) -> None:
    """Buy until killed."""
    redis = Redis.from_url(f"unix://{socket}", retry=Retry(NoBackoff(), 0))
    diary = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    payments = SimulatedPayments(redis, development=True, webhook_secret=SECRET)
    service = DealService(redis, ScriptRunner(redis), payments, now_ms=now_ms, new_id=new_id)
    await service.start()
    hearing = hear(service, payments, redis)
    await asyncio.gather(hearing, *(buy(service, stream_id, deal_id, f"{name}.{n}", diary) for n in range(BUYERS)))


def nursery() -> None:
    """Answer ``start <words of main>`` with a new worker's pid, and ``kill <pid>`` once it is gone; end with stdin."""
    children: set[int] = set()
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "start":
            children.add(pid := os.fork())
            if pid == 0:
                os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                random.seed()  # else every worker would roll the same dice
                asyncio.run(main(*words))
        else:
            children.discard(pid := int(words[0]))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.write(1, b"%d\n" % pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    nursery()
