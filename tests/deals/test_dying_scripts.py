"""A script that dies at any of its writes: Lua takes nothing back, and still no unit is sold twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deals import keys
from deals.errors import Closed, CodeUsedUp, DealsError, SoldOut
from deals.models import Order, OrderState
from deals.reconcile import reconcile
from deals.scripts import SOURCES, Command
from deals.service import DealService
from deals.store import Store, read_order
from deals.terms import BundlePart, CodeSpec, ItemSpec
from livecommerce.ids import new_id
from tests.deals.helpers import (
    ScriptClock,
    Till,
    a_buyer,
    crash_after_capture,
    now_ms,
    open_deal,
    pay,
    repair,
    tick,
)

#: put before a script: its n-th write, or word to the room, is its end. One unit goes to who waits in one step, so
#: that what came back beyond it is given out by the next
DYING = """
local real, real_emit, real_tell, writes = redis, emit, tell, 0
local last = tonumber(real.call('GET', '{key}') or '0')
local function write()
  writes = writes + 1
  if writes == last then error('the script died here') end
end
local reads = {{HGET = 1, HMGET = 1, HLEN = 1, HEXISTS = 1, EXISTS = 1, ZRANGE = 1, ZRANGEBYSCORE = 1, ZCARD = 1}}
local redis = setmetatable({{call = function(verb, ...)
  if not reads[verb] then write() end
  return real.call(verb, ...)
end}}, {{__index = real}})
local emit = function(...) write() return real_emit(...) end
local tell = function(...) write() return real_tell(...) end
"""
STOCK = 3
COUNTED = (OrderState.HELD, OrderState.PAYING, OrderState.PAID)


class DyingRunner:
    """A runner in which one script dies where the test says."""

    def __init__(self, run: ScriptClock, redis: Redis) -> None:
        self._run = run
        self._redis = redis
        self._prelude = DYING.format(key=(key := f"test:dies:{new_id()}"))
        self.key = key
        self.verb = ""
        self.died = False

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        if source != SOURCES.get(self.verb):
            return await self._run(source, keys, args, before)
        try:
            return await self._run(
                self._prelude + source.replace("local OFFERS = 10", "local OFFERS = 1"), keys, args, before
            )
        except ResponseError as error:
            self.died = "the script died here" in str(error)
            raise

    async def dying(self, verb: str, at: int, step: Awaitable[object]) -> bool:
        """Do something of which this script dies at its ``at``-th write; whether it had so many."""
        await self._redis.set(self.key, at)
        self.verb, self.died = verb, False
        with contextlib.suppress(DealsError):
            await step
        self.verb = ""
        return self.died


@pytest.fixture
def runner(clock: ScriptClock, redis: Redis) -> DyingRunner:
    return DyingRunner(clock, redis)


@pytest.fixture
async def shop(redis: Redis, runner: DyingRunner, clock: ScriptClock, till: Till) -> AsyncIterator[DealService]:
    service = DealService(redis, runner, till, now_ms=lambda: clock.now_ms, new_id=new_id)
    yield service
    await service.aclose()


class Stage:
    """A bundle of which there are three, with a code that two may use."""

    def __init__(self, shop: DealService, runner: DyingRunner, clock: ScriptClock, till: Till, redis: Redis) -> None:
        self.shop, self.runner, self.clock, self.till, self.redis = shop, runner, clock, till, redis

    async def begin(self) -> None:
        self.stream_id = new_id("s")
        await self.shop.rules.put_item(self.stream_id, "mug", ItemSpec("Mug", STOCK))
        await self.shop.rules.put_item(self.stream_id, "tea", ItemSpec("Tea", 2 * STOCK))
        await self.shop.rules.put_code(self.stream_id, "TEN", CodeSpec(percent=10, total_limit=2))
        parts = BundlePart("mug", 1), BundlePart("tea", 2)
        self.deal = await open_deal(
            self.shop, self.stream_id, stock=STOCK, bundle=parts, hold_s=10, duration_s=3600, per_buyer_limit=1
        )

    async def buy(self, number: int, code: str | None = None) -> Order:
        buyer = a_buyer(number)
        return await self.shop.claim(self.stream_id, self.deal.id, buyer=buyer, units=1, key="k", code=code)

    async def join(self, *numbers: int) -> None:
        for number in numbers:
            await self.shop.join_waitlist(self.stream_id, self.deal.id, buyer=a_buyer(number))

    async def orders(self) -> list[Order]:
        fields: Any = await self.redis.hgetall(keys.ledger(self.stream_id, self.deal.id))
        return [read_order(text) for name, text in fields.items() if name.startswith(b"o:")]


#: a step, and the script of it that dies; what comes before the step is made by whole scripts
Scene = Callable[[Stage], Awaitable[tuple[str, Awaitable[object]]]]


async def _claims(stage: Stage) -> tuple[str, Awaitable[object]]:
    codes = ("TEN", "TEN", None)
    return "claim", asyncio.gather(*(stage.buy(n, code) for n, code in enumerate(codes)), return_exceptions=True)


async def _all_held(stage: Stage, *waiting: int) -> list[Order]:
    orders = [await stage.buy(number, "TEN" if number < 2 else None) for number in range(STOCK)]
    await stage.join(*waiting)
    return orders


async def _a_cancellation(stage: Stage) -> tuple[str, Awaitable[object]]:
    first, *_ = await _all_held(stage, 8, 9)
    return "cancel_order", stage.shop.cancel_order(first.id, buyer_id=first.buyer.id)


async def _a_refund(stage: Stage) -> tuple[str, Awaitable[object]]:
    first, *_ = await _all_held(stage, 9)
    await pay(stage.shop, first)
    return "refund", stage.shop.refund(first.id)


async def _holds_that_expire(stage: Stage) -> tuple[str, Awaitable[object]]:
    await _all_held(stage, 8, 9)
    stage.clock.now_ms += 10_000
    return "tick", tick(stage.shop, stage.deal)


async def _units_that_were_left_for_who_waits(stage: Stage) -> tuple[str, Awaitable[object]]:
    verb, before = await _holds_that_expire(stage)
    await stage.runner.dying(verb, 0, before)
    return "tick", tick(stage.shop, stage.deal)


async def _a_payment(stage: Stage) -> tuple[str, Awaitable[object]]:
    first, *_ = await _all_held(stage)
    return "pay_confirm", pay(stage.shop, first)


async def _late_money(stage: Stage, *instead: int) -> tuple[str, Awaitable[object]]:
    first, *_ = await _all_held(stage)
    await crash_after_capture(stage.shop, stage.till, first)
    stage.clock.now_ms += 40_000
    stage.shop._cashier._closed = True  # the worker that ticks dies before it looks at the money
    await tick(stage.shop, stage.deal)
    stage.shop._cashier._closed = False
    for number in instead:
        await stage.buy(number)
    stage.clock.now_ms += 5_000
    return "pay_confirm", repair(stage.shop, stage.deal)


async def _money_that_is_too_late(stage: Stage) -> tuple[str, Awaitable[object]]:
    return await _late_money(stage, 4, 5, 6)


async def _a_deal_that_is_cancelled(stage: Stage) -> tuple[str, Awaitable[object]]:
    first, *_ = await _all_held(stage)
    await pay(stage.shop, first)
    await stage.shop.cancel(stage.stream_id, stage.deal.id)
    return "tick", tick(stage.shop, stage.deal)


SCENES: tuple[Scene, ...] = (
    *(_claims, _a_cancellation, _a_refund, _holds_that_expire, _units_that_were_left_for_who_waits),
    *(_a_payment, _late_money, _money_that_is_too_late, _a_deal_that_is_cancelled),
)


@pytest.mark.parametrize("scene", SCENES)
async def test_a_script_that_dies_at_any_write_may_undersell_which_reconcile_finds_but_never_oversells(
    scene: Scene, shop: DealService, runner: DyingRunner, clock: ScriptClock, till: Till, redis: Redis
) -> None:
    at, died = 0, True
    while died:
        at += 1
        stage = Stage(shop, runner, clock, till, redis)
        await stage.begin()
        died = await runner.dying(*_with(at, await scene(stage)))
        # Life goes on: who waited goes, and others buy whatever there is.
        for number in (8, 9):
            await shop.leave_waitlist(stage.stream_id, stage.deal.id, buyer_id=f"user-{number}")
        for _ in range(2):
            await tick(shop, stage.deal)
        with contextlib.suppress(SoldOut, Closed):
            for number in range(100, 100 + 2 * STOCK):
                try:
                    await stage.buy(number, "TEN")
                except CodeUsedUp:
                    await stage.buy(number)
        placed = [o for o in await stage.orders() if o.state in COUNTED]
        units, coded = len(placed), sum(o.code is not None for o in placed)
        _, differences = await reconcile(Store(redis, now_ms), stage.stream_id)
        assert units <= STOCK, f"{units} of {STOCK} are out after write {at}"
        assert coded <= 2, f"{coded} orders have the code after write {at}"
        on_sale = scene is not _a_deal_that_is_cancelled
        assert differences or not on_sale or units == STOCK, f"nobody noticed what was lost after write {at}"
        assert died or differences == []
    assert at > 5


def _with(at: int, one: tuple[str, Awaitable[object]]) -> tuple[str, int, Awaitable[object]]:
    return one[0], at, one[1]
