"""A flash sale under load: more buyers than units, all at once, and every promise checked afterwards."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from livecommerce.client import Client
from load_tests.claim_floor import measure_floor
from load_tests.claims import Claims
from load_tests.history import Window
from load_tests.processes import Generators
from load_tests.report import Report
from load_tests.run import Options, Run
from load_tests.sale_checks import Sale, judge
from load_tests.sale_crowd import Share, crowd
from load_tests.sale_figures import show
from load_tests.session import execute
from load_tests.stock_watch import StockListener, StockSequence, StockWatch

HOST = "load-host"
#: long enough that nothing expires while the sale is checked
HOLD_S, DURATION_S = 900, 900
#: claims before the opening and after the end, of each generator
OUTSIDE = 50
#: how long what the room was told may lag behind the last answer
TOLD_S = 10.0
#: what the floors are measured with
FLOOR_CLAIMS = 6000
#: limits that are not what is measured
LIMITS = ("user=1000000/1000000", "claims=1000000/1000000", "commands=1000000/1000000")
SERVER_OPTIONS = tuple(word for limit in LIMITS for word in ("--limit", limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do; see the command's help."""

    buyers: int = 2000
    units: int = 100
    claims: int = 3
    limit: int = 1
    over: str = "both"
    connections: int = 200
    in_flight: int = 1
    replay: float = 0.02
    floor: bool = True


def measure(plan: Plan, options: Options) -> Report:
    """Run the sale on our own server, or on the given one."""

    async def scenario(run: Run) -> None:
        await FlashSale(run, plan).play()

    settings = {name: value for name, value in asdict(plan).items() if name != "floor"}
    return execute("flash-sale", scenario, settings, options, SERVER_OPTIONS)


class FlashSale:
    """One sale, from the empty stream to the verdict."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self.run, self.plan = run, plan
        self.sale = Sale(plan.units, plan.limit, Window(), foreign=run.target.server is None)
        #: CPU seconds of workers, Valkey and generators while the units were sold
        self._used: dict[str, float] = {}

    async def play(self) -> None:
        """All of it."""
        run, plan = self.run, self.plan
        floor = None
        if plan.floor and not run.stopping.is_set():
            with run.phase("floor"):
                floor = await measure_floor(FLOOR_CLAIMS, FLOOR_CLAIMS)
        token = run.target.mint(HOST, "Load host", ["host", "watch"])
        async with run.target.client(token) as host:
            stream_id = (await host.create_stream("Load test"))["id"]
            try:
                await self._sale(host, stream_id, token)
            finally:
                await host.end_stream(stream_id)
        show(self.sale, run, self._used)
        if floor is not None:
            if run.options.pace is None:
                rate = run.report.numbers()["accepted"]
                run.floor("accepted", rate, floor.bare_per_s, "claims/s", "bare script calls", better="higher")
            else:  # an open loop offers what it was told to: its rate is no limit of the server's
                run.figure("floor: bare script calls", floor.bare_per_s, "claims/s")
            run.figure("floor: the claim lane, no network", floor.lane_per_s, "claims/s")
            run.figure("floor: Valkey's CPU a claim", floor.bare_valkey_us, "µs")
        judge(self.sale, run.report)

    async def _sale(self, host: Client, stream_id: str, token: str) -> None:
        run, plan = self.run, self.plan
        spec = {"title": "Load", "price": {"amount": 100, "currency": "EUR"}, "stock": plan.units}
        spec |= {"per_buyer_limit": plan.limit, "duration_s": DURATION_S, "hold_s": HOLD_S}
        deal_id = (await host.create_deal(stream_id, spec))["id"]
        shares = self._shares(stream_id, deal_id)
        sequence = StockSequence(deal_id, plan.units)
        async with contextlib.AsyncExitStack() as stack:
            with run.phase("buyers enter"):
                generators = await stack.enter_async_context(Generators(run, crowd, shares))
                await generators.until_ready()
                generators.go()
            listener = await stack.enter_async_context(StockListener(host.room(stream_id), sequence))
            watch = StockWatch(host, stream_id, deal_id, on_sample=lambda d: run.meter.gauge("units left", d["left"]))
            with run.phase("before the opening"):
                for claims in await generators.ask(("once each", OUTSIDE)):
                    self.sale.early += claims
            opening = await self._step(host, stream_id, deal_id, "open")
            async with watch:
                await self.sell(generators)
            closing = await self._step(host, stream_id, deal_id, "close")
            self.sale.window = Window(
                open_invoked_s=opening[0],
                open_returned_s=opening[1],
                close_invoked_s=closing[0],
                close_returned_s=closing[1],
            )
            with run.phase("after the end"):
                for claims in await generators.ask(("once each", OUTSIDE)):
                    self.sale.late += claims
            with run.phase("every key asked again"):
                await self._again(generators)
            generators.tell(None)
            await self._read_back(host, stream_id, deal_id)
            await listener.until_left(self.sale.deal["left"], TOLD_S)
        watch.judge(run.report)
        sequence.judge(run.report, self.sale.deal["left"])
        began_s = run.began_s
        run.curve("units left", "units", [(round(at_s - began_s, 3), left) for at_s, left in sequence.points])

    def _shares(self, stream_id: str, deal_id: str) -> list[Share]:
        run, plan = self.run, self.plan
        mint, parts = run.target.mint, min(run.options.generators, plan.buyers)
        buyers = [(n, mint(f"load-{n}", f"Buyer {n}", ["watch", "buy"])) for n in range(plan.buyers)]
        by_socket = buyers[:: 2 if plan.over == "both" else 1] if plan.over != "http" else []
        by_http = buyers[1::2] if plan.over == "both" else buyers if plan.over == "http" else []
        run.random.shuffle(by_socket)
        run.random.shuffle(by_http)
        return [
            Share(
                address=run.target.address,
                stream_id=stream_id,
                deal_id=deal_id,
                by_socket=by_socket[part::parts],
                by_http=by_http[part::parts],
                connections=max(1, min(plan.connections, len(by_http)) // parts),
                claims=plan.claims,
                in_flight=plan.in_flight,
                think_s=run.options.think_s,
                replay=plan.replay,
                pace=run.options.pace,
                part=part,
                parts=parts,
            )
            for part in range(parts)
        ]

    async def _step(self, host: Client, stream_id: str, deal_id: str, step: str) -> tuple[float, float]:
        invoked_s = time.monotonic()
        await host.step_deal(stream_id, deal_id, step)
        return invoked_s, time.monotonic()

    async def sell(self, generators: Generators) -> None:
        """The sale itself, from the first claim to the last answer."""
        run = self.run
        kinds = ("worker", "valkey", "generator")
        with run.phase("sale"):
            used = {kind: run.usage.used_s([kind]) for kind in kinds}
            start_s = time.monotonic() + 0.1
            answers = await generators.ask(("sell", start_s), timeout_s=3600)
            self._used = {kind: run.usage.used_s([kind]) - before for kind, before in used.items()}
        self._columns: list[Claims] = [claims for claims, _ in answers]
        self.sale.lost_connections = sum(lost for _, lost in answers)
        early = {(claim.buyer, claim.key) for claim in self.sale.early}
        self.sale.claims = [
            claim for claims in self._columns for claim in claims if (claim.buyer, claim.key) not in early
        ]

    async def _again(self, generators: Generators) -> None:
        """Which order each key finds that may have one."""
        found: dict[tuple[int, str], str | None] = {}
        for claims, orders in zip(self._columns, await generators.ask(("again",), timeout_s=3600), strict=True):
            for row, order in enumerate(orders[: len(claims)]):
                if order is not None:
                    claim = claims[row]
                    found[claim.buyer, claim.key] = order
        self.sale.found = found

    async def _read_back(self, host: Client, stream_id: str, deal_id: str) -> None:
        self.sale.deal = await host.deal(stream_id, deal_id)
        self.sale.journal = await journal(host, stream_id)


async def journal(host: Client, stream_id: str) -> Counter[str]:
    """How often each order was claimed, by the journal."""
    claimed: Counter[str] = Counter()
    after: str | None = None
    while True:
        page: dict[str, Any] = await host.journal(stream_id, after=after)
        claimed.update(entry["order"]["id"] for entry in page["items"] if entry["what"] == "claimed")
        after = page["next"]
        if after is None:
            return claimed
