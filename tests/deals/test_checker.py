"""The history checker: a true sale passes, and every seeded bug is called by its name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from deals.errors import DealsError
from deals.models import Buyer
from deals.payments import SimulatedPayments
from deals.scripts import SOURCES, Command
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from load_tests.checker import check, linearizable
from load_tests.history import Final, History, Operation, Recorder, Window
from tests.deals.helpers import now_ms, open_deal


class BrokenRunner:
    """A script runner in which one line of a script is another."""

    def __init__(self, run: ScriptRunner, true: str = "", false: str = "") -> None:
        self._run = run
        self._change = true, false

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        true, false = self._change
        return await self._run(source.replace(true, false) if true else source, keys, args, before)


class Sale:
    """Clients that claim, repeat themselves and change their minds, all written down."""

    def __init__(self, redis: Redis, runner: BrokenRunner, seed: int, *, stock: int, limit: int) -> None:
        payments = SimulatedPayments(redis, development=True)
        self.service = DealService(redis, runner, payments, now_ms=now_ms, new_id=new_id)
        self.recorder = Recorder()
        self.random = random.Random(seed)
        self.stock, self.limit = stock, limit

    async def run(self, *, clients: int, claims: int) -> History:
        self.deal = await open_deal(self.service, new_id("s"), stock=self.stock, per_buyer_limit=self.limit)
        await asyncio.gather(*(self._client(f"c{n}", claims) for n in range(clients)))
        closing_s = self.recorder._now_s()
        await self.service.close(self.deal.stream_id, self.deal.id)
        window = Window(close_invoked_s=closing_s, close_returned_s=self.recorder._now_s())
        await asyncio.gather(*(self._claim("late", f"late{n}", "k", 1) for n in range(3)))
        final = await self._final()
        await self.service.aclose()
        return History(
            stock=self.stock, limit=self.limit, operations=self.recorder.operations, window=window, final=final
        )

    async def _client(self, name: str, claims: int) -> None:
        for _ in range(claims):
            buyer, key, units = f"b{self.random.randrange(12)}", f"k{self.random.randrange(3)}", 1
            order_id = await self._claim(name, buyer, key, units)
            if order_id is not None and self.random.random() < 0.1:
                await self._cancel(name, buyer, order_id)
            await asyncio.sleep(self.random.random() * 0.002)

    async def _cancel(self, client: str, buyer: str, order_id: str) -> None:
        async def call() -> object:
            return await self.service.cancel_order(order_id, buyer_id=buyer)

        await self.recorder.release(client, buyer, order_id, 1, call)

    async def _claim(self, client: str, buyer: str, key: str, units: int) -> str | None:
        order_id: str | None = None

        async def call() -> str:
            nonlocal order_id
            order = await self.service.claim(
                self.deal.stream_id, self.deal.id, buyer=Buyer(buyer, buyer), units=units, key=key
            )
            order_id = order.id
            return order.id

        await self.recorder.claim(client, buyer, key, units, call)
        return order_id

    async def _final(self) -> Final:
        orders: dict[tuple[str, str], str] = {}
        for buyer, key in {(o.buyer, o.key) for o in self.recorder.operations if o.verb == "claim"}:
            try:
                order = await self.service.claim(
                    self.deal.stream_id, self.deal.id, buyer=Buyer(buyer, buyer), units=1, key=key
                )
            except DealsError:
                continue
            orders[buyer, key] = order.id
        now = await self.service.deal(self.deal.stream_id, self.deal.id)
        return Final(left=now.left, held=now.held, sold=now.sold, orders=orders)


@pytest.mark.parametrize("seed", range(3))
async def test_a_true_sale_passes(redis: Redis, run_script: ScriptRunner, seed: int) -> None:
    sale = Sale(redis, BrokenRunner(run_script), seed, stock=15, limit=2)
    history = await sale.run(clients=8, claims=30)
    assert check(history, stale_s=1.0) == []
    assert {"accepted", "sold_out", "limit_reached", "closed", "done"} <= {o.outcome for o in history.operations}


#: what is broken -> (the true text, what stands there instead, how the checker calls it)
BUGS = {
    "stock is not looked at": ("if waited_for or units > on_sale(d) then return REFUSED.sold_out end", "", "oversold"),
    "a key is forgotten": ("  if old then", "  if false then", "one order a key"),
    "a buyer's units are not counted": ("used[who] + units > d.limit or", "", "limit"),
    "a closed deal sells": ("if not DEAL_STEP[d.state].close then return REFUSED.closed end", "", "window"),
    "sold out now and then": (
        "units > on_sale(d) then return",
        "units > on_sale(d) or now % 3 == 0 then return",
        "sold out too soon",
    ),
    "a hold is counted twice": ("d.held + units, taken", "d.held + 2 * units, taken", "conservation"),
    "an order is written under another's key": ("= key, ref .. ' '", "= key .. 'x', ref .. ' '", "lost"),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_seeded_bug_is_called_by_its_name(redis: Redis, run_script: ScriptRunner, bug: str) -> None:
    true, false, rule = BUGS[bug]
    assert true in SOURCES["claim"], "the seeded bug no longer changes anything"
    found: set[str] = set()
    for seed in range(5):
        # These show themselves only while units are left.
        stock = 1000 if rule in ("limit", "window", "sold out too soon") else 15
        sale = Sale(redis, BrokenRunner(run_script, true, false), seed, stock=stock, limit=2)
        found |= {violation.rule for violation in check(await sale.run(clients=6, claims=25), stale_s=0.0)}
        if rule in found:
            break
    assert rule in found


@pytest.mark.parametrize("seed", range(5))
async def test_short_histories_are_linearizable(
    redis: Redis, run_script: ScriptRunner, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deals.sold_out.FRESH_S", -1.0)  # the short cut may be late by its stated time
    sale = Sale(redis, BrokenRunner(run_script), seed, stock=3, limit=2)
    history = await sale.run(clients=4, claims=7)
    whole = [o for o in history.operations if o.outcome != "closed"]
    assert linearizable(History(stock=3, limit=2, operations=whole))


def op(n: float, outcome: str, until: float | None = None, **changes: Any) -> Operation:
    fields: dict[str, Any] = {"client": "c", "verb": "claim", "buyer": f"b{n}", "key": "k", "units": 1}
    end = n + 0.5 if until is None else until
    return Operation(**{**fields, "invoked_s": n, "returned_s": end, "outcome": outcome, "order_id": f"o{n}"} | changes)


def test_a_history_that_no_order_explains_is_not_linearizable() -> None:
    assert linearizable(History(stock=1, limit=1, operations=[op(0, "accepted"), op(1, "sold_out")]))
    assert not linearizable(History(stock=1, limit=1, operations=[op(0, "sold_out"), op(1, "accepted")]))
    assert not linearizable(History(stock=2, limit=1, operations=[op(0, "accepted"), op(1, "sold_out")]))
    overlapping = [op(0, "sold_out", until=2), op(1, "accepted")]
    assert linearizable(History(stock=1, limit=1, operations=overlapping))


def test_what_is_unknown_may_have_happened_or_not() -> None:
    for last in ("accepted", "sold_out"):
        unknown = op(0, "unknown", until=float("inf"))
        assert linearizable(History(stock=1, limit=1, operations=[unknown, op(1, last)]))
        assert check(History(stock=1, limit=1, operations=[unknown, op(1, last)])) == []


def test_a_release_explains_a_later_yes_only_when_it_overlaps() -> None:
    no, yes = op(2, "sold_out"), op(5, "accepted")
    between = op(3, "done", verb="release", buyer="b0")
    before = op(0, "done", verb="release", buyer="b0")
    for release, rules in ((between, []), (before, ["sold out too soon"])):
        history = History(stock=1, limit=1, operations=[no, yes, release])
        assert [v.rule for v in check(history)] == rules
    assert check(History(stock=1, limit=1, operations=[no, yes, before]), stale_s=2.0) == []
