"""Chaos: a show goes on while its server is killed, stopped and cut off, by a plan that the seed decides.

Afterwards everything that anybody was told must be true: every order that was confirmed is there, every key finds its
order, nothing is oversold, the books agree with the journal, every viewer's history is whole, and the picture is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from load_tests import stage_checks
from load_tests.checker import check
from load_tests.faults import Fault, Hands
from load_tests.faults import plan as plan_faults
from load_tests.faults_proxy import ProxyHandles, proxy
from load_tests.own_server import OwnServer, ready
from load_tests.own_valkey import data_dir
from load_tests.processes import Generators
from load_tests.report import Check
from load_tests.rooms_generator import end
from load_tests.run import Run
from load_tests.show import SERVER_OPTIONS, Show
from load_tests.show_checks import Evidence, judge
from load_tests.show_plan import ShowPlan

__all__ = ["LEAST_WORKERS", "SERVER_OPTIONS", "ChaosPlan", "check", "judge_chaos", "scenario"]

#: with one worker there would be nowhere to go
LEAST_WORKERS = 2
#: what the picture may lose while its worker is dead or asleep
_NOT_IN_CHAOS = ("the picture's sequence is whole",)
#: until the server must be well again after the last fault
WELL_S = 30.0
RECONCILE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan:
    """A show, and how it is disturbed."""

    show: ShowPlan
    faults: Sequence[Fault]

    @classmethod
    def of(cls, show: ShowPlan, seed: int, seconds: float, kinds: Sequence[str], every_s: float) -> ChaosPlan:
        """Faults while the deal is open: its buyers come evenly, all the time."""
        return cls(
            show=replace(show, rush_s=seconds, steady=True),
            faults=plan_faults(seed, seconds, kinds=kinds, every_s=every_s),
        )


async def scenario(run: Run, plan: ChaosPlan) -> None:
    """The show, the faults beside it, and the verdict."""
    server = run.target.server
    assert server is not None, "only a server of our own is broken on purpose"
    run.headline = "delivery"
    async with contextlib.AsyncExitStack() as stack:
        generators = await stack.enter_async_context(Generators(run, proxy, [run.target.address], name="proxy"))
        await generators.until_ready()
        generators.go()
        stack.push_async_callback(end, generators)
        network = ProxyHandles(generators)
        hands = Hands(server, network, run.random)
        show = await stack.enter_async_context(Show(run, plan.show, proxy=await network.address(), comes_back=True))
        with run.phase("ramp up"):
            await show.ramp_up()
        with run.phase("live"):
            await show.live()
        breaking = asyncio.create_task(_break(run, plan.faults, hands), name="faults")
        stack.push_async_callback(_cancelled, breaking)
        await show.sell()
        done = await breaking
        with run.phase("wind down"):
            well = await _well(server)
            evidence = await show.wind_down()
        workers = len(hands.processes("worker"))
    run.judge(*judge_chaos(evidence, plan.faults, done))
    run.judge(stage_checks.well_again(well, workers, run.options.workers))
    run.judge(stage_checks.reconciled(*await _reconcile(server)))


async def _break(run: Run, faults: Sequence[Fault], hands: Hands) -> list[str]:
    began_s, done = run.elapsed_s, []
    for fault in faults:
        if not await run.sleep(began_s + fault.at_s - run.elapsed_s):
            break
        run.mark(str(fault).strip())
        done.append(await hands.inject(fault))
        print(f"      fault: {done[-1]}", file=sys.stderr) if not run.options.quiet else None
    return done


async def _cancelled(task: asyncio.Task[list[str]]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _well(server: OwnServer) -> bool:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + WELL_S
    while not await loop.run_in_executor(None, ready, server.url):
        if loop.time() > deadline_s:
            return False
        await asyncio.sleep(0.2)
    return True


async def _reconcile(server: OwnServer) -> tuple[int | None, str]:
    """How ``livecommerce reconcile`` ends, and what it says of the data."""
    words = ("-m", "livecommerce", "reconcile", "--data-dir", str(data_dir(server)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(RECONCILE_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, f"no answer within {RECONCILE_S:.0f} s"
    return process.returncode, said.decode("utf-8", "replace").strip().replace("\n", "; ")[-300:]


def judge_chaos(evidence: Evidence, faults: Sequence[Fault], done: Sequence[str]) -> list[Check]:
    """What must be so of a show that was disturbed; and disturbed it must have been."""
    injected = [what for what in done if not what.startswith(("no ", "CLIENT KILL failed"))]
    checks = [one for one in judge(evidence) if one.name not in _NOT_IN_CHAOS]
    final = evidence.history.final
    asked = {(o.buyer, o.key) for o in evidence.history.operations if o.verb == "claim" and o.order_id}
    found = asked & set(final.orders) if final is not None else set()
    return [
        Check("every fault was injected", len(injected) == len(faults) > 0, f"{len(injected)} of {len(faults)}"),
        *checks,
        Check("every key that was told yes finds its order", found == asked, f"{len(found)} of {len(asked)}"),
    ]
