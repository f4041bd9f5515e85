"""What the generator itself can offer: the flash sale's buyers against a server that says yes and keeps nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from load_tests import stage_checks
from load_tests.arrivals import Pace
from load_tests.baselines.sink import sink
from load_tests.claims import Claims
from load_tests.processes import Generators
from load_tests.report import Report, percentile
from load_tests.run import Options, Run
from load_tests.sale_crowd import Share, crowd
from load_tests.session import execute
from load_tests.target import Target

#: what one core has to offer, by itself
GOAL = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to offer."""

    buyers: int = 200
    claims: int = 1000
    in_flight: int = 4
    #: of the open loop that follows, claims/s
    rate: float = GOAL
    seconds: float = 4.0


def measure(plan: Plan, options: Options) -> Report:
    """As fast as answers come, then at a steady rate; the sink shares the machine."""
    pids: dict[str, int] = {}

    @contextlib.contextmanager
    def stand_in() -> Iterator[Target]:
        with sink() as ((host, port), pid):
            pids["sink"] = pid
            yield Target(f"http://{host}:{port}", "")

    async def scenario(run: Run) -> None:
        run.usage.watch("sink", pids["sink"])
        await _offer(run, plan, open_loop=False)
        await _offer(run, plan, open_loop=True)

    settings = {"buyers": plan.buyers, "claims": plan.claims, "in_flight": plan.in_flight, "open_rate": plan.rate}
    return execute("generator", scenario, settings, replace(options, pace=None), stand_in=stand_in)


async def _offer(run: Run, plan: Plan, *, open_loop: bool) -> None:
    name = f"at {plan.rate:,.0f}/s" if open_loop else "as fast as it can"
    parts = run.options.generators
    share = Share(
        address=run.target.address,
        stream_id="stream",
        deal_id="d0123456789ab",
        by_socket=[(number, "token") for number in range(plan.buyers)],
        by_http=[],
        connections=0,
        claims=max(1, round(plan.rate * plan.seconds / plan.buyers)) if open_loop else plan.claims,
        in_flight=plan.in_flight,
        think_s=0.0,
        replay=0.0,
        pace=Pace.constant(plan.rate) if open_loop else None,
        part=0,
        parts=parts,
    )
    shares = [replace(share, part=part, by_socket=share.by_socket[part::parts]) for part in range(parts)]
    with run.phase(name):
        async with Generators(run, crowd, shares) as generators:
            await generators.until_ready()
            generators.go()
            before_s, start_s = run.usage.used_s(["generator"]), time.monotonic() + 0.1
            answers = await generators.ask(("sell", start_s), timeout_s=600)
            used_s = run.usage.used_s(["generator"]) - before_s
            generators.tell(None)
            await generators.results()
    _figures(run, name, [claims for claims, _ in answers], used_s, start_s, plan.rate if open_loop else 0.0)


def _figures(run: Run, name: str, parts: list[Claims], used_s: float, start_s: float, rate: float) -> None:
    answered = sum(outcome == "accepted" for claims in parts for outcome in claims.outcomes)
    asked = sum(len(claims) for claims in parts)
    took_s = max(max(claims.ended_s) for claims in parts) - start_s
    run.judge(stage_checks.answered(name, answered, asked))
    run.figure(f"{name}: claims/s", asked / took_s, "claims/s", "higher", f"{asked:,} in {took_s:.2f} s")
    run.figure(f"{name}: a core of generator offers", asked / used_s, "claims/s", "higher", "by its CPU time alone")
    run.figure(f"{name}: generator's CPU a claim", used_s / asked * 1e6, "µs", "lower")
    if rate:
        late = [(sent - due) * 1000 for claims in parts for sent, due in zip(claims.sent_s, claims.due_s, strict=True)]
        run.figure(f"{name}: sent late by, p50", percentile(late, 50), "ms", "lower")
        run.figure(f"{name}: sent late by, p99", percentile(late, 99), "ms", "lower")
