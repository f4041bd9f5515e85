"""Two reports side by side: which figures are better now, and which are worse."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from load_tests.report import number

Direction = Literal["better", "worse", "same", "changed"]
Range = tuple[float, float] | None
#: changes below this are noise on any shared machine
NOISE = 0.03


class NotAReport(click.ClickException):
    """A file that no command here wrote."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both reports."""

    name: str
    unit: str
    before: float
    after: float
    direction: Direction
    #: least and most of several runs, where there were several
    before_range: Range = None
    after_range: Range = None

    @property
    def share(self) -> float | None:
        """How much it grew; None from nothing."""
        return (self.after - self.before) / abs(self.before) if self.before else None


def load(path: Path) -> dict[str, Any]:
    """A report's JSON; raises :class:`NotAReport`."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotAReport(f"{path}: {error}") from error
    if not isinstance(found, dict) or not {"command", "figures", "latency_us"} <= set(found):
        raise NotAReport(f"{path} is not a report of this tool")
    return found


def numbers(report: Mapping[str, Any]) -> dict[str, tuple[float, str, str, Range]]:
    """Every number: name -> (value, unit, better, range)."""
    found: dict[str, tuple[float, str, str, Range]] = {}
    for name, figure in report["figures"].items():
        if isinstance(figure, dict):
            low_high = figure.get("spread")
            range_ = (float(low_high[0]), float(low_high[1])) if low_high else None
            found[name] = (float(figure["value"]), figure["unit"], figure["better"], range_)
        elif isinstance(figure, (int, float)):
            found[name] = (float(figure), "", "", None)
    for name, summary in report["latency_us"].items():
        for percent in ("p50", "p90", "p99", "p99.9", "max"):
            found.setdefault(f"{name}: {percent}", (summary[percent] / 1000, "ms", "lower", None))
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """What both have, in the order of the second."""
    old = numbers(before)
    for name, (value, unit, better, range_) in numbers(after).items():
        if name in old:
            was, was_range = old[name][0], old[name][3]
            apart = was_range is None or range_ is None or was_range[1] < range_[0] or range_[1] < was_range[0]
            direction = _direction(was, value, better) if apart else "same"
            yield Difference(name, unit, was, value, direction, was_range, range_)


def _direction(before: float, after: float, better: str) -> Direction:
    if abs(after - before) <= NOISE * max(abs(before), abs(after)):
        return "same"
    if not better:
        return "changed"
    return "better" if (after > before) == (better == "higher") else "worse"


def unlike(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Sentences about what differs besides the figures: such runs are compared with care."""
    said = []
    if before["command"] != after["command"]:
        said.append(f"These are two different commands: {before['command']} and {after['command']}.")
    for part in ("settings", "machine", "versions", "server"):
        one, other = before.get(part, {}), after.get(part, {})
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name) and name != "load before":
                said.append(f"{part}: {name} was {one.get(name, 'not given')}, is {other.get(name, 'not given')}")
    return said


_COLOURS: dict[Direction, str] = {
    "better": "[green]▲ better[/]",
    "worse": "[red]▼ worse[/]",
    "same": "[dim]= same[/]",
    "changed": "[yellow]~ changed[/]",
}
#: what is said of single runs
_ONCE = "Of one run each: luck is in it; --runs 3 tells the range."


def _cell(value: float, unit: str, range_: Range) -> str:
    text = f"{number(value)} {unit}".rstrip()
    return text if range_ is None else f"{text}\n[dim]{number(range_[0])} to {number(range_[1])}[/]"


def _count(found: Sequence[Difference]) -> str:
    counts = Counter(one.direction for one in found)
    kinds: tuple[Direction, ...] = ("better", "worse", "same", "changed")
    return ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind]) or "nothing in common"


@click.command("compare")
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(before: Path, after: Path) -> None:
    """Show what changed between two reports (--json of any command); ends with status 0 whatever it finds."""
    old, new = load(before), load(after)
    console = Console()
    table = Table(title=f"{before.name} → {after.name}", title_justify="left")
    table.add_column("what")
    for name in ("before", "after", "change", ""):
        table.add_column(name, justify="right" if name else "left")
    found = list(differences(old, new))
    for one in found:
        change = "–" if one.share is None else f"{one.share * 100:+.1f} %"
        ours, theirs = _cell(one.before, one.unit, one.before_range), _cell(one.after, one.unit, one.after_range)
        table.add_row(one.name, ours, theirs, change, _COLOURS[one.direction])
    console.print(table)
    console.print(
        f"{_count(found)}. {'' if any(o.after_range for o in found) else _ONCE}".rstrip(),
        highlight=False,
        soft_wrap=True,
    )
    for sentence in unlike(old, new):
        console.print(f"note: {sentence}", highlight=False, markup=False)
    for name, report in (("before", old), ("after", new)):
        failed = [check["name"] for check in report.get("checks", []) if not check["passed"]]
        if failed:
            console.print(f"[red]{name}: failed: {', '.join(failed)}[/red]", highlight=False)
