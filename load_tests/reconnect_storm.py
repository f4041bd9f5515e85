"""A reconnect storm: everybody's connection is cut, everybody comes back at once, and the room goes on meanwhile."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from load_tests import rooms_checks, stage_checks
from load_tests.arrivals import Pace
from load_tests.chat_storm import SERVER_OPTIONS, Driver, Livecommerce, crowds, settled
from load_tests.own_valkey import OwnValkey, own_valkey
from load_tests.rooms_generator import Crowds, Seats
from load_tests.run import Run

__all__ = ["SERVER_OPTIONS", "Plan", "scenario"]

#: who talks while everybody else is away
SPEAKERS = 4
#: how long everybody is away
AWAY_S = 0.5
#: how long coming back may take before the run goes on without those who did not
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; see the command's help."""

    viewers: int
    pace: Pace
    storms: int


@dataclass
class _Seen:
    """What one storm left; ``reads`` and ``commands`` of Valkey only where it is ours to look at."""

    back_s: float
    whole_s: float
    recovered: int
    reads: int = 0
    commands: int = 0
    used_s: float = 0.0


async def scenario(run: Run, plan: Plan) -> None:
    """Join, then storm after storm; the histories are those of all."""
    async with contextlib.AsyncExitStack() as stack:
        driver = await stack.enter_async_context(Livecommerce.started(run))
        server = run.target.server
        valkey = await stack.enter_async_context(own_valkey(server)) if server else None
        speakers = await stack.enter_async_context(_speakers(run, driver))
        room = await stack.enter_async_context(crowds(run, driver, plan.viewers))
        speakers.join()
        await speakers.until_joined()
        with run.phase("joining"):
            room.join()
            tally = await room.until_joined()
        run.judge(stage_checks.entered(tally.joined, plan.viewers, tally.join_s))
        await run.sleep(speakers.talk(plan.pace, 1))
        storms = []
        for number in range(plan.storms):
            if not run.stopping.is_set():
                with run.phase(f"storm {number + 1}"):
                    storms.append(await _storm(run, plan, driver, (room, speakers), valkey))
        deeds, heard = await settled(speakers)
        await room.until_at(heard.top, PATIENCE_S)
        tally = await room.result(heard.top)
        tally.add(heard)
    _figures(run, plan, storms, valkey is not None)
    run.judge(*rooms_checks.histories(tally, deeds), *rooms_checks.answers(deeds))


def _speakers(run: Run, driver: Driver) -> Crowds:
    tokens = [driver.token(1_000_000 + number) for number in range(SPEAKERS)]
    seats = Seats(address=driver.address, path=driver.path, tokens=tokens, name="speaker", comes_back=True)
    return Crowds(run, [seats], name="speakers")


async def _storm(run: Run, plan: Plan, driver: Driver, rooms: tuple[Crowds, Crowds], valkey: OwnValkey | None) -> _Seen:
    room, speakers = rooms
    reads, commands = (await valkey.log_reads(), await valkey.commands()) if valkey else (0, 0)
    said = (await speakers.glance())[1].done
    used_s = driver.cpu_s()
    speakers.talk(plan.pace, AWAY_S + PATIENCE_S)
    room.drop()
    await run.sleep(AWAY_S)
    began_s = time.monotonic()
    room.join()
    tally = await room.until_joined(PATIENCE_S)
    _, heard = await settled(speakers)
    await room.until_at(heard.top, PATIENCE_S)
    seen = _Seen(tally.join_s, time.monotonic() - began_s, (await room.glance())[0].recovered)
    seen.used_s = driver.cpu_s() - used_s
    if valkey:
        seen.reads = await valkey.log_reads() - reads
        # Each message is a command, too.
        seen.commands = await valkey.commands() - commands - ((await speakers.glance())[1].done - said)
    return seen


def _figures(run: Run, plan: Plan, storms: list[_Seen], looked: bool) -> None:
    worst = max(storms, key=lambda seen: seen.back_s)
    run.figure("all back in the room after, the slowest storm", worst.back_s, "s", "lower")
    run.figure("and with the newest message after", max(seen.whole_s for seen in storms), "s", "lower")
    run.figure("joins a second", plan.viewers / worst.back_s, "", "higher")
    if looked:
        joins = plan.viewers * len(storms)
        run.figure("commands to Valkey a join", sum(seen.commands for seen in storms) / joins, "", "lower")
        run.figure("workers' CPU a join", sum(seen.used_s for seen in storms) / joins * 1000, "ms", "lower")
        reads = max(seen.reads for seen in storms)
        run.figure("reads of the log in a storm", reads, "", "lower")
        run.judge(stage_checks.log_reads(reads, run.options.workers))
    run.judge(stage_checks.recovered([seen.recovered for seen in storms], plan.viewers))
