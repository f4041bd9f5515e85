"""The simulated payment provider's other half: what sends its webhooks, by HTTP, as a real one would.

Every worker of a development server runs one and sends to itself. Who takes an event from the outbox puts it off for a
while, so that a dead worker's come again; two who look at once both send it, which has to be harmless anyway.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from deals.payments import SimulatedPayments
from deals.webhooks import sign
from livecommerce.tasks import Periodic

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

#: how often the outbox is looked at
LOOK_S = 0.25
#: events sent at once
AT_ONCE = 20
#: how long the shop may take to answer
TIMEOUT_S = 5.0
#: after so long an event that was refused (or taken by who died) is sent again
AGAIN_MS = 10_000
#: an event this much older than its time is given up
GIVE_UP_MS = 600_000


class WebhookCourier:
    """Sends what is due to ``url``, signed with ``secret``."""

    def __init__(self, redis: Redis, url: str, secret: bytes) -> None:
        self._redis = redis
        self._url = url
        self._secret = secret
        self._http: aiohttp.ClientSession | None = None
        self._looking = Periodic("simulated-payments", LOOK_S, self.look)

    async def start(self) -> None:
        """Begin to send; safe to call twice."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
            self._looking.start()

    async def aclose(self) -> None:
        """Stop sending; safe to call twice."""
        await self._looking.aclose()
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def look(self) -> None:
        """Send what is due now."""
        # Nearly always there is nothing to send: the clock is asked only where there is.
        if not await self._ask("EXISTS", SimulatedPayments.OUTBOX):
            return
        now = await self._now_ms()
        due = await self._ask("ZRANGEBYSCORE", SimulatedPayments.OUTBOX, "-inf", now, "LIMIT", 0, AT_ONCE)
        await asyncio.gather(*(self._send(member, now) for member in due))

    async def _send(self, member: bytes, now: int) -> None:
        await self._ask("ZADD", SimulatedPayments.OUTBOX, "XX", now + AGAIN_MS, member)
        head, _, body = member.partition(b" ")
        headers = {SimulatedPayments.SIGNATURE: sign(self._secret, body, now), "Content-Type": "application/json"}
        assert self._http is not None
        try:
            async with self._http.post(self._url, data=body, headers=headers) as answer:
                done = answer.status < 300
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("a webhook did not arrive: %r", error)
            done = False
        if done or now > int(head.partition(b".")[2]) + GIVE_UP_MS:
            await self._ask("ZREM", SimulatedPayments.OUTBOX, member)

    async def _ask(self, *words: Any) -> Any:
        return await cast(Any, self._redis).execute_command(*words)

    async def _now_ms(self) -> int:
        seconds, micros = await self._ask("TIME")
        return int(seconds) * 1000 + int(micros) // 1000
