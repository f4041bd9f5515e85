"""A soak: a busy room, a picture, one flash deal after the other, for as long as is asked; memory must stay flat."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from load_tests.checker import check
from load_tests.report import Check
from load_tests.rooms_people import Deeds
from load_tests.run import Run
from load_tests.show import SERVER_OPTIONS, Show
from load_tests.show_checks import STALE_S, Evidence, judge
from load_tests.show_plan import ShowPlan
from load_tests.usage import role_of

__all__ = ["SERVER_OPTIONS", "SoakPlan", "flat", "scenario"]

#: samples of memory in a run, however long it is
SAMPLES = 80
#: what "flat" allows: a share of what there was, and a little more
GROWTH, SLACK_MIB = 0.03, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """A show that goes on, with a deal again and again."""

    show: ShowPlan
    minutes: float
    deal_every_s: float = 30.0

    @property
    def takes_s(self) -> float:
        """About how long it takes, all in all."""
        return self.show.ramp_s + self.minutes * 60 + 15


async def scenario(run: Run, plan: SoakPlan) -> None:
    """The show, its memory beside it, and the verdict."""
    run.headline = "delivery"
    memory: list[float] = []
    broken: list[str] = []
    async with Show(run, replace(plan.show, live_s=0.0)) as show:
        with run.phase("ramp up"):
            await show.ramp_up()
        await show.live()
        sampling = asyncio.create_task(_sample(run, plan, memory), name="memory")
        try:
            sales = await _sell_on(run, plan, show, broken)
        finally:
            sampling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sampling
        with run.phase("wind down"):
            evidence = await show.wind_down()
    run.judge(*judge_soak(evidence, sales, broken))
    if memory:
        early, late = quarters(memory)
        run.figure("workers' memory, second quarter", early, "MiB", "lower")
        run.figure("workers' memory, last quarter", late, "MiB", "lower")
        run.judge(flat(memory))


async def _sell_on(run: Run, plan: SoakPlan, show: Show, broken: list[str]) -> int:
    """One deal after the other until the time is over; how many."""
    loop, sales = asyncio.get_running_loop(), 0
    end_s = loop.time() + plan.minutes * 60
    while loop.time() < end_s:
        next_s = min(loop.time() + plan.deal_every_s, end_s)
        if sales:
            await show.next_deal()
        await show.sell()
        sales += 1
        deeds: Deeds = await show.deeds()
        broken += [f"{v.rule}: {v.detail}" for v in check(await show.history(deeds), stale_s=STALE_S)]
        if not await run.sleep(max(0.0, next_s - loop.time())):
            break
    run.figure("deals sold", sales)
    return sales


async def _sample(run: Run, plan: SoakPlan, memory: list[float]) -> None:
    supervisor = run.target.supervisor
    if supervisor is None:
        run.note("The server is not ours to look at: its memory was not measured.")
        return
    while True:
        await asyncio.sleep(plan.minutes * 60 / SAMPLES)
        memory.append(workers_mib(supervisor))


def workers_mib(supervisor: psutil.Process) -> float:
    """What the workers alone hold."""
    total = 0.0
    for process in supervisor.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if role_of(process) == "worker":
                total += process.memory_full_info().uss / 2**20
    return total


def quarters(memory: Sequence[float]) -> tuple[float, float]:
    """The medians of the second and of the last quarter: the first one fills rings and pools. Pure."""
    quarter = max(1, len(memory) // 4)
    return statistics.median(memory[quarter : 2 * quarter] or memory), statistics.median(memory[-quarter:])


def flat(memory: Sequence[float]) -> Check:
    """Memory did not grow between the second and the last quarter."""
    early, late = quarters(memory)
    return Check("memory is flat", late <= early * (1 + GROWTH) + SLACK_MIB, f"{late - early:+.1f} MiB")


def judge_soak(evidence: Evidence, sales: int, broken: Sequence[str]) -> list[Check]:
    """Everything that a show must keep, and every sale's history; the books hold all sales, a deal only its own."""
    several = ("the journal and the deal agree",) if sales > 1 else ()
    right = sales > 0 and not broken
    return [
        *(one for one in judge(evidence) if one.name not in several),
        Check("every sale's history is right", right, f"{sales} sales {'; '.join(broken[:3])}".strip()),
    ]
