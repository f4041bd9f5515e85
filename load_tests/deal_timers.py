"""How late an opening or a closing is: in the room's log, and in front of a viewer; workers may be killed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from livecommerce.auth import TokenAuthority
from livecommerce.client import Client, Room
from load_tests.options import json_option
from load_tests.own_server import OwnServer, own_server
from load_tests.report import Figure, Report, percentile

#: streams that the deals are spread over, and viewers of each: several, so that every worker has some
STREAMS, VIEWERS = 4, 3
#: from the last deal's creation to the first opening
LEAD_S = 3.0
#: each deal is open for so long, the least there is
DURATION_S = 1
#: what a viewer may wait for the last closing
PATIENCE_S = 30.0
#: a worker of this age is at work
SETTLED_S = 4.0
#: what is announced twice would come right after
LINGER_S = 1.0
GOAL_MS = 50.0
_SPEC = {"title": "Timed", "price": {"amount": 100, "currency": "EUR"}, "stock": 5, "per_buyer_limit": 1, "hold_s": 60}
_WHEN = {"deal.opened": "opens_at_ms", "deal.closed": "closes_at_ms"}


class Watch:
    """What the viewers of one stream saw: per viewer, (deal, transition) -> lateness in ms of each time it came."""

    def __init__(self, deals: int) -> None:
        self._expected = deals * len(_WHEN)
        self.missing = VIEWERS * self._expected
        self.complete = asyncio.Event()
        self.seen: list[dict[tuple[str, str], list[float]]] = []
        #: the same by the log's own times; all viewers read one log
        self.announced: dict[tuple[str, str], float] = {}

    async def follow(self, room: Room) -> None:
        """Note events until cancelled."""
        mine: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.seen.append(mine)
        async for event in room:
            if event.type in _WHEN and event.at_ms is not None:
                deal = event.data["deal"]
                due_ms, which = deal[_WHEN[event.type]], (deal["id"], event.type)
                self.missing -= which not in mine
                mine[which].append(time.time() * 1000 - due_ms)
                self.announced[which] = event.at_ms - due_ms
                if self.missing == 0:
                    self.complete.set()


def measure(*, deals: int, seconds: float, workers: int, kills: int, seed: int) -> Report:
    """Open and close ``deals`` at random moments of ``seconds``; kill a worker at ``kills`` of the openings."""
    settings = {"deals": deals, "seconds": seconds, "workers": workers, "kills": kills, "seed": seed}
    report = Report("deal-timers", settings)
    with own_server("--workers", str(workers), "--log-level", "error") as server:
        watches, killed = asyncio.run(_run(server, deals, seconds, kills, random.Random(seed)))
    if kills:
        report.figures["workers killed at an opening"] = killed
    _figures(report, watches, deals, strict=kills == 0)
    return report


async def _run(
    server: OwnServer, deals: int, seconds: float, kills: int, chance: random.Random
) -> tuple[list[Watch], int]:
    token = TokenAuthority(server.secret).mint("host", "Host", ["watch", "host", "admin"])
    async with Client(server.url, token=token) as client:
        ids = [(await client.create_stream(f"Show {n}"))["id"] for n in range(STREAMS)]
        watches = [Watch(deals // STREAMS) for _ in ids]
        rooms = [
            (watch, client.room(stream)) for watch, stream in zip(watches, ids, strict=True) for _ in range(VIEWERS)
        ]
        for _, room in rooms:
            await room.start()
        following = [asyncio.create_task(watch.follow(room)) for watch, room in rooms]
        # Creating takes a while; the openings are planned for after it.
        first_ms = time.time() * 1000 + LEAD_S * 1000 + deals * 20
        opens = [int(first_ms + chance.random() * seconds * 1000) for _ in range(deals)]
        for number, opens_ms in enumerate(opens):
            spec = _SPEC | {"duration_s": DURATION_S, "opens_at_ms": opens_ms}
            await client.create_deal(ids[number % STREAMS], spec)
        killed = await _kill(server, sorted(chance.sample(opens, kills)), chance)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(opens) / 1000 - time.time() + PATIENCE_S):
                await asyncio.gather(*(watch.complete.wait() for watch in watches))
        await asyncio.sleep(LINGER_S)
        for _, room in rooms:
            await room.aclose()
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return watches, killed


async def _kill(server: OwnServer, moments_ms: list[int], chance: random.Random) -> int:
    killed = 0
    for at_ms in moments_ms:
        # From a little before the moment to a little after it: before, within and after the script.
        await asyncio.sleep(max(0.0, at_ms / 1000 + chance.uniform(-0.002, 0.006) - time.time()))
        running = [p for p in server.tree() if "livecommerce.worker" in p.cmdline()]
        # One is left, and is not one that has only just begun: with nobody there, nobody could be on time.
        settled = [p for p in running if time.time() - p.create_time() > SETTLED_S]
        if len(settled) > 1:
            os.kill(chance.choice(settled).pid, signal.SIGKILL)
            killed += 1
    return killed


def _figures(report: Report, watches: list[Watch], deals: int, *, strict: bool) -> None:
    for transition in _WHEN:
        name = transition.partition(".")[2]
        log = [late for watch in watches for (_, what), late in watch.announced.items() if what == transition]
        shown = [late for late, what in _sightings(watches) if what == transition]
        for where, values in ((f"{name}, in the log", log), (f"{name}, in front of a viewer", shown)):
            for percent in (50, 99):
                report.figures[f"{where}, p{percent}"] = Figure(percentile(values, percent), "ms late", "lower")
            report.figures[f"{where}, latest"] = Figure(max(values, default=0.0), "ms late", "lower")
        worst = percentile(shown if strict else log, 99)
        what = "in front of a viewer" if strict else "in the log"
        report.check(f"{name} {what} within {GOAL_MS:.0f} ms at p99", bool(log) and worst <= GOAL_MS, f"{worst:.1f} ms")
        report.check(f"no deal {name} before its time", bool(log) and min(log) >= 0, f"{min(log, default=0):.1f} ms")
        report.check(f"every deal {name} in the log", len(log) == deals, f"{len(log)} of {deals}")
    missed = sum(watch.missing for watch in watches)
    twice = sum(len(times) > 1 for watch in watches for mine in watch.seen for times in mine.values())
    report.check("every viewer saw each of them once", missed == twice == 0, f"{missed} missed, {twice} doubled")


def _sightings(watches: list[Watch]) -> Iterator[tuple[float, str]]:
    for watch in watches:
        for mine in watch.seen:
            for (_, what), times in mine.items():
                yield times[0], what


@click.command("deal-timers")
@click.option("--deals", default=200, show_default=True, type=click.IntRange(4, 800), help="Deals, a multiple of 4.")
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Seconds within which they open.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Workers of our server.")
@click.option("--kills", default=0, show_default=True, type=click.IntRange(0, 100), help="Workers to kill at openings.")
@click.option("--seed", default=1, show_default=True, help="Random seed: moments and victims.")
@json_option
def main(json_path: Path | None, deals: int, **options: Any) -> None:
    """How late deals open and close: in the room's log, and in front of viewers on every worker."""
    if deals % STREAMS:
        raise click.UsageError(f"--deals {deals} is no multiple of {STREAMS}: each of {STREAMS} streams has as many")
    report = measure(deals=deals, **options)
    report.show(Console())
    if json_path is not None:
        report.write(json_path)
    if not report.passed:
        sys.exit(1)
