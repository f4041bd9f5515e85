"""What random histories are checked against: a sale in the plainest words, and what drives the real one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from hypothesis.stateful import RuleBasedStateMachine
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deals.errors import DealsError
from deals.models import Deal
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, Till, tick

T = TypeVar("T")

STOCK, LIMIT, DURATION_MS, HOLD_MS, GRACE_MS = 2, 2, 60_000, 8_000, 30_000


@dataclass
class ModelOrder:
    buyer: int
    units: int
    state: str
    until: int
    id: str
    extended: bool = False


@dataclass
class ModelDeal:
    """What the scripts have to agree with, in the plainest words."""

    state: str = "scheduled"
    closes: int = 0
    opens: int | None = None
    orders: dict[tuple[int, str], ModelOrder] = field(default_factory=dict)
    queue: list[int] = field(default_factory=list)
    offers: list[ModelOrder] = field(default_factory=list)

    def units(self, *states: str) -> int:
        return sum(o.units for o in self.orders.values() if o.state in states)

    @property
    def left(self) -> int:
        return STOCK - self.units("held", "paid")

    @property
    def shown(self) -> str:
        return "sold_out" if self.state == "open" and self.left == 0 else self.state

    def advance(self, now: int) -> None:
        if self.state == "scheduled" and self.opens is not None and self.opens <= now:
            self.state, self.closes = "open", self.opens + DURATION_MS
        if self.state == "open" and self.closes <= now:
            self.state = "closed"
        if self.state != "open":
            self.queue.clear()

    def mine(self, buyer: int) -> int:
        return sum(o.units for o in self.orders.values() if o.buyer == buyer and o.state in ("held", "paid"))

    def serve(self, now: int) -> None:
        """Units that came back go to who waits."""
        while self.state == "open" and self.left > 0 and self.queue:
            buyer = self.queue.pop(0)
            if self.mine(buyer) < LIMIT:
                order = ModelOrder(buyer, 1, "held", now + HOLD_MS, "")
                self.orders[buyer, f"offer {len(self.offers)}"] = order
                self.offers.append(order)

    def tick(self, now: int) -> None:
        self.advance(now)
        for order in self.orders.values():
            if order.state == "held" and (self.state == "cancelled" or order.until <= now):
                order.state = "cancelled" if self.state == "cancelled" else "expired"
            elif order.state == "paid" and self.state == "cancelled":
                order.state = "refunded"
        self.serve(now)

    def refusal(self, buyer: int, units: int, now: int) -> str | None:
        self.advance(now)
        if self.state != "open":
            return "not_open" if self.state == "scheduled" else "closed"
        if self.mine(buyer) + units > LIMIT:
            return "limit_reached"
        return "sold_out" if units > self.left else None


class Machine(RuleBasedStateMachine):
    """A service on the real Valkey whose time stands in the test's hand."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.do(self._connect())

    def do(self, call: Awaitable[T]) -> T:
        """Wait for a call."""

        async def run() -> T:
            return await call

        return self.loop.run_until_complete(run())

    def refusal(self, call: Awaitable[T]) -> tuple[T | None, str | None]:
        """What a call answered, or the code of its refusal."""
        try:
            return self.do(call), None
        except DealsError as error:
            return None, error.code

    async def _connect(self) -> None:
        self.redis = Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))
        self.clock = ScriptClock(ScriptRunner(self.redis), self.redis)
        self.service = DealService(self.redis, self.clock, Till(), now_ms=lambda: self.clock.now_ms, new_id=new_id)

    async def tick(self, deal: Deal) -> None:
        """What any worker's ticker does, and the repairs that follow."""
        await tick(self.service, deal)
        await asyncio.gather(*self.service._cashier._tasks)

    def teardown(self) -> None:
        self.do(self.service.aclose())
        self.do(self.redis.aclose())
        self.loop.close()
