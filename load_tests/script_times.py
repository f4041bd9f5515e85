"""How long each script of a deal holds Valkey up, at its stated batch size: by Valkey's own clock, without the fsync.

A script is the unit in which Valkey serves: while one runs, everybody else's claim, chat message and heartbeat waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from deals.claims import ClaimDesk
from deals.lane import MAX_BATCH
from deals.models import Buyer, Deal, DealSpec, Money
from deals.payments import SimulatedPayments
from deals.scripts import SOURCES, Command, Scripts
from deals.service import DealService
from deals.sold_out import SoldOutBoard
from deals.store import Store
from livecommerce.ids import new_id
from livecommerce.scripting import PRELUDE, ScriptRunner
from load_tests.claim_floor import fresh_valkey
from load_tests.options import json_option
from load_tests.report import Report, Rows, percentile

GOAL_US = 1000
_ROUNDS_A_STREAM = 12
EUR = Money(1999, "EUR")
SPEC = DealSpec("Lamp", EUR, stock=100_000, per_buyer_limit=1000, duration_s=3600, hold_s=600)


class _Runner:
    """Runs scripts an hour later when told, and keeps what their texts are called by."""

    def __init__(self, redis: Any) -> None:
        self._run = ScriptRunner(redis)
        self.later_ms = 0
        self.verbs: dict[str, str] = {}

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        verb = _VERBS[source]
        if self.later_ms:
            source = f"local real = now_ms\nnow_ms = function() return real() + {self.later_ms} end\n{source}"
        sha = hashlib.sha1(f"{PRELUDE}\n{source}".encode(), usedforsecurity=False).hexdigest()
        self.verbs[sha] = verb
        return await self._run(source, keys, args, before)


_VERBS = {source: verb for verb, source in SOURCES.items()}


@dataclass
class Stage:
    """A shop on a Valkey of its own, and what each case took: (case, verb) -> µs of each call."""

    redis: Any
    took_us: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.runner = _Runner(self.redis)
        self.stream = ""
        payments = SimulatedPayments(self.redis, development=True)
        self.deals = DealService(self.redis, self.runner, payments, now_ms=_now_ms, new_id=new_id)
        store = Store(self.redis, _now_ms)
        self.desk = ClaimDesk(store, Scripts(self.runner), SoldOutBoard(store, _now_ms), now_ms=_now_ms, new_id=new_id)
        self._users = 0

    def buyers(self, count: int) -> list[Buyer]:
        """As many who never were here."""
        self._users += count
        return [Buyer(f"user-{n}", f"Name {n}") for n in range(self._users - count, self._users)]

    async def opened(self, **changes: Any) -> Deal:
        """An open deal."""
        deal = await self.deals.create(self.stream, replace(SPEC, **changes))
        return await self.deals.open(self.stream, deal.id)

    async def claimed(self, deal: Deal, buyers: Sequence[Buyer], *, units: int = 1, code: str = "") -> list[Any]:
        """One batch, through the desk: an order or a refusal each."""
        claims = [self.desk.prepare(self.stream, deal.id, buyer, units, "k", "", code) for buyer in buyers]
        return list(await self.desk.submit(self.stream, deal.id, claims))

    async def in_batches(self, deal: Deal, count: int) -> list[Any]:
        """So many orders, in batches as large as they may be."""
        orders: list[Any] = []
        while len(orders) < count:
            orders += await self.claimed(deal, self.buyers(min(MAX_BATCH, count - len(orders))))
        return orders

    async def paid(self, orders: Sequence[Any]) -> None:
        """Paid, one after the other."""
        for order in orders:
            await self.deals.pay(order.id, buyer_id=order.buyer.id, payment_token="pm_ok")

    async def tick(self, deal: Deal, later_ms: int = 0) -> None:
        """What any worker's ticker does."""
        self.runner.later_ms = later_ms
        await self.deals._ticker.tick(self.stream, deal.id)
        self.runner.later_ms = 0

    @contextlib.asynccontextmanager
    async def timed(self, case: str, *verbs: str) -> AsyncIterator[None]:
        """Note the longest call of each of these scripts within the block."""
        await self.redis.execute_command("SLOWLOG", "RESET")
        yield
        longest: dict[str, int] = {}
        for entry in await self.redis.slowlog_get(10_000):
            words = entry["command"].split(b" ", 2)
            verb = self.runner.verbs.get(words[1].decode()) if words[0].upper() == b"EVALSHA" else None
            if verb in verbs:
                longest[verb] = max(entry["duration"], longest.get(verb, 0))
        for verb, took_us in longest.items():
            self.took_us[case, verb].append(took_us)


def _now_ms() -> int:
    return int(time.time() * 1000)


async def measure(rounds: int) -> Report:
    """Every case, so many times after a first time that does not count."""
    from load_tests.script_cases import CASES, furnish

    report = Report("script-times", {"rounds": rounds})
    async with fresh_valkey() as (redis, _):
        await redis.config_set("slowlog-log-slower-than", 0)
        await redis.config_set("slowlog-max-len", 10_000)
        stage = Stage(redis)
        for round_ in range(rounds + 1):
            if round_ % _ROUNDS_A_STREAM == 0:  # a stream takes only so many unfinished deals
                stage.stream = new_id("s")
                await furnish(stage)
            if round_ == 1:
                stage.took_us.clear()  # the texts were sent, the showcase was filled
            for case in CASES:
                await case(stage, round_)
        await stage.deals.aclose()
    _judge(report, stage.took_us)
    return report


def _judge(report: Report, took_us: Mapping[tuple[str, str], Sequence[int]]) -> None:
    rows: list[Sequence[str | float]] = []
    for (case, verb), took in sorted(took_us.items(), key=lambda one: -percentile(one[1], 50)):
        rows.append([f"{verb}.lua", case, *(round(percentile(took, p)) for p in (10, 50, 99))])
        # What else the machine does only makes a script longer: the goal is the script's own.
        if (alone_us := percentile(took, 10)) > GOAL_US:
            report.check(f"{verb}.lua, {case}: within 1 ms", False, f"{alone_us:.0f} µs")
    missing = set(SOURCES) - {verb for _, verb in took_us}
    report.check("every script was measured", not missing, ", ".join(sorted(missing)) or f"{len(SOURCES)} scripts")
    columns = ("script", "at what size", "p10, µs", "median, µs", "p99, µs")
    report.tables.append(Rows("Time of a script in Valkey, the fsync not counted", columns, rows, ""))


@click.command("script-times")
@click.option("--rounds", default=40, show_default=True, type=click.IntRange(1, 10_000), help="Times each is called.")
@json_option
def main(rounds: int, json_path: Path | None) -> None:
    """How long each script of a deal holds Valkey up, at the size that its code states; more than 1 ms fails."""
    report = asyncio.run(measure(rounds))
    console = Console()
    report.show(console)
    [rows] = report.tables
    table = Table(*rows.columns, title=rows.title, title_justify="left")
    for row in rows.rows:
        table.add_row(*map(str, row))
    console.print(table)
    if json_path is not None:
        report.write(json_path)
    if not report.passed:
        sys.exit(1)
