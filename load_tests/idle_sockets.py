"""Thousands of viewers who only listen: what each costs in memory, and all of them in CPU while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from load_tests import rooms_checks, stage_checks
from load_tests.arrivals import Pace
from load_tests.chat_storm import Driver, Livecommerce, settled
from load_tests.rooms_generator import Crowds, Seats, shares_of
from load_tests.run import Run
from load_tests.server_metrics import counted
from load_tests.usage import role_of

#: a joined connection may take so much of its worker's memory
GOAL_KB = 40.0
#: viewers who come and go before anything is measured: what is loaded on first use is loaded then
WARM_UP = 20
#: from the last join to the first measurement
SETTLE_S = 3.0
#: for everybody to hear one message
PATIENCE_S = 30.0
#: one loopback address has 28,000 ports of its own, of which some may still be in use
MOST_OF_AN_ADDRESS = 20_000
SERVER_OPTIONS = ("--limit", "seats=200000")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many, and for how long they are watched."""

    sockets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Second:
    """CPU of all workers in one second, and pings that viewers answered in it."""

    cpu_s: float
    pings: int


async def scenario(run: Run, plan: Plan) -> None:
    """Everybody joins; then a stretch in which nobody says anything; then one message to all."""
    async with contextlib.AsyncExitStack() as stack:
        driver = await stack.enter_async_context(Livecommerce.started(run))
        async with _room(run, driver, WARM_UP, "guest") as guests:
            guests.join()
            await guests.until_joined()
        before = await _emptied(run)
        room = await stack.enter_async_context(_room(run, driver, plan.sockets, "idle"))
        with run.phase("joining"):
            used_s = driver.cpu_s()
            room.join()
            tally = await room.until_joined()
            used_s = driver.cpu_s() - used_s
        run.judge(stage_checks.entered(tally.joined, plan.sockets, tally.join_s))
        run.figure("joins a second", tally.joined / max(tally.join_s, 1e-9), "", "higher")
        run.figure("workers' CPU a join", used_s / max(1, tally.joined) * 1000, "ms", "lower")
        await run.sleep(SETTLE_S)
        after = _memory(run)
        with run.phase("idle"):
            seconds = await _watch(run, plan, driver, room)
        await _tell_stops(run)
        with run.phase("one message to all"):
            began_s = time.monotonic()
            await run.sleep(room.talk(Pace.constant(1), 0.5))
            deeds, tally = await settled(room)
            heard_s = time.monotonic() - began_s
    _figures(run, plan.sockets, before, after, seconds)
    run.figure("one message read by all after", heard_s, "s", "lower")
    run.judge(stage_checks.kept(plan.sockets - tally.joined, tally.dropped))
    run.judge(*rooms_checks.histories(tally, deeds), *rooms_checks.answers(deeds))


def _room(run: Run, driver: Driver, count: int, name: str) -> Crowds:
    """Viewers on as many loopback addresses as there are generators, each with ports of its own."""
    shares = [
        Seats(
            address=driver.address,
            path=driver.path,
            tokens=[driver.token(number) for number in numbers],
            name=f"{name}{part}",
            seed=run.seed * 1000 + part,
            source=f"127.0.0.{2 + part % 250}",
        )
        for part, numbers in enumerate(shares_of(count, run.options.generators))
    ]
    return Crowds(run, shares, name=f"{name} viewers")


async def _emptied(run: Run) -> tuple[float, float]:
    """The workers' memory once those who came first have left."""
    await run.sleep(SETTLE_S)
    return _memory(run)


def _memory(run: Run) -> tuple[float, float]:
    """Resident, and unshared, bytes of all workers; zeros where they are not ours to look at."""
    resident = unshared = 0.0
    for process in run.target.supervisor.children(recursive=True) if run.target.supervisor else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            if role_of(process) == "worker":
                memory = process.memory_full_info()
                resident, unshared = resident + memory.rss, unshared + memory.uss
    return resident, unshared


async def _watch(run: Run, plan: Plan, driver: Driver, room: Crowds) -> list[_Second]:
    seconds: list[_Second] = []
    pings, used_s, end_s = (await room.glance())[0].pings, driver.cpu_s(), time.monotonic() + plan.seconds
    while time.monotonic() < end_s and await run.sleep(1.0):
        now_pings, now_s = (await room.glance())[0].pings, driver.cpu_s()
        seconds.append(_Second(now_s - used_s, now_pings - pings))
        pings, used_s = now_pings, now_s
        await asyncio.sleep(0)
    return seconds


async def _tell_stops(run: Run) -> None:
    [longest_s] = await asyncio.to_thread(counted, run.target.url, "livecommerce_collector_longest_seconds")
    if longest_s:
        run.figure("the cycle collector stopped a worker for", longest_s * 1000, "ms at most", "lower")


def _figures(
    run: Run, sockets: int, before: tuple[float, float], after: tuple[float, float], seconds: Sequence[_Second]
) -> None:
    if before[0]:
        resident, unshared = ((b - a) / sockets / 1000 for a, b in zip(before, after, strict=True))
        run.figure("resident memory an idle joined connection", resident, "KB", "lower")
        run.figure("of it not shared with other processes", unshared, "KB", "lower")
        run.judge(stage_checks.light(resident, GOAL_KB))
        run.figure("workers' resident memory with all of them", after[0] / 2**20, "MiB", "lower")
    quiet = [second.cpu_s for second in seconds if not second.pings]
    if not quiet or not before[0]:
        run.note("There was no second without pings: nothing is said of CPU while idle.")
        return
    calm = statistics.median(quiet)
    run.figure("workers' CPU while nothing happens", calm * 100, "% of a core", "lower")
    run.figure("the same, a connection and second", calm / sockets * 1e6, "µs", "lower")
    if pings := sum(second.pings for second in seconds):
        spent = sum(second.cpu_s - calm for second in seconds if second.pings)
        run.figure("pings sent and answered", pings)
        run.figure("workers' CPU a ping and its answer", max(0.0, spent) / pings * 1e6, "µs", "lower")
        run.figure("the busiest second of a ping round", max(s.cpu_s for s in seconds) * 100, "% of a core", "lower")
