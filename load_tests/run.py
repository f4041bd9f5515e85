"""A run: what a scenario is given, and the only thing it talks to.

A scenario is ``async def scenario(run: Run) -> None``. It sets the stage on ``run.target``, moves through
``run.phase(…)``, lets ``processes.Generators`` do the hammering, and then judges with ``run.check(…)``. Progress, the
report, Ctrl-C, several runs and servers of our own are ``session.py``'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load_tests.arrivals import Pace
from load_tests.meter import Meter, Timeline
from load_tests.report import Better, Check, Curve, Figure, Report, Rows
from load_tests.target import Target
from load_tests.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every scenario's command line has; see ``options.py``."""

    url: str | None = None
    secret: str | None = None
    workers: int = 1
    generators: int = 1
    #: arrivals of an open loop; ``None`` is a closed loop
    pace: Pace | None = None
    #: mean seconds between an answer and the next question of the closed loop
    think_s: float = 0.0
    seed: int = 1
    runs: int = 1
    json_path: Path | None = None
    html_path: Path | None = None
    markdown_path: Path | None = None
    #: no progress, no tables: what a test wants
    quiet: bool = False


class Run:
    """One run of one scenario."""

    def __init__(self, name: str, settings: dict[str, Any], options: Options, target: Target) -> None:
        self.name, self.options, self.target = name, options, target
        self.seed = options.seed
        #: the run's only source of chance; generators derive theirs from the seed and their number
        self.random = random.Random(options.seed)
        self.report = Report(name, settings)
        #: this process's own; those of generators are added as they come
        self.meter = Meter()
        self.usage = Usage(target.supervisor)
        self.began_s = time.monotonic()
        self.timeline = Timeline(self.began_s)
        #: set by the first Ctrl-C: stop offering load, judge what there is
        self.stopping = asyncio.Event()
        self.phase_name = "starting"
        #: the histogram that progress and the report show first
        self.headline = ""

    @property
    def settings(self) -> dict[str, Any]:
        """What the report says was asked for; a scenario may add to it."""
        return self.report.settings

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A named stretch of the run."""
        before, self.phase_name, began_s = self.phase_name, name, self.elapsed_s
        try:
            yield
        finally:
            self.report.phases.append((name, round(began_s, 3), round(self.elapsed_s, 3)))
            self.phase_name = before

    def mark(self, what: str) -> None:
        """Something happened at this moment, a fault say: a mark on every plot."""
        self.report.events.append((round(self.elapsed_s, 3), what))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began: the time axis of every plot."""
        return time.monotonic() - self.began_s

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        """Something that must be so, or the command ends with status 1."""
        self.report.check(name, passed, detail)

    def judge(self, *checks: Check) -> None:
        """Checks that were made elsewhere: pure functions, so that a test can see them fail."""
        self.report.judge(*checks)

    def figure(self, name: str, value: float, unit: str = "", better: Better = "", note: str = "") -> None:
        """A number of the report."""
        self.report.figures[name] = Figure(value, unit, better, note)

    def floor(self, name: str, value: float, floor: float, unit: str, what: str, *, better: Better = "lower") -> None:
        """A cost or a rate beside the bare floor measured in the same run, and their ratio (above 1: worse)."""
        self.report.figures.setdefault(name, Figure(value, unit, better))
        self.figure(f"floor: {what}", floor, unit)
        if floor and value:
            self.figure(f"{name}, times the floor", value / floor if better == "lower" else floor / value, "×", "lower")

    def curve(self, name: str, unit: str, points: Sequence[tuple[float, float]], *, plot: str = "") -> None:
        """A curve of (seconds from the start, value); those of one ``plot`` are drawn together."""
        self.report.curves.append(Curve(name, unit, points, plot))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]], note: str = "") -> None:
        """A table of its own."""
        self.report.tables.append(Rows(title, columns, rows, note))

    def note(self, sentence: str) -> None:
        """What a reader of the figures has to know."""
        self.report.notes.append(sentence)

    async def sleep(self, seconds: float) -> bool:
        """Wait; False when Ctrl-C cut it short."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return not self.stopping.is_set()


Scenario = Callable[[Run], Awaitable[None]]
