"""The README's performance tables in one go: a list of commands, and which of their figures are shown.

To add a row, add it to ``BENCHMARKS``: the words of a command of this tool that takes ``--json``, and the names of its
figures. ``quick`` are the words of a run of a few seconds, of which only the checks count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from load_tests.compare import load
from load_tests.markdown import cell
from load_tests.report import Figure, machine

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
#: a benchmark that takes longer than this is broken
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One command of the tool, and what of it stands in the table."""

    name: str
    words: Sequence[str]
    #: names of figures, in the order of the table
    figures: Sequence[str]
    #: about how long it takes, in seconds
    takes_s: int
    #: the words of a small run; none: it has no small form
    quick: Sequence[str] = ()


_RUSH = ("flash-sale", "--claims", "50", "--limit", "50", "--replay", "0")
_FLOORS = ("floor: bare script calls", "floor: the claim lane, no network")
BENCHMARKS: list[Benchmark] = [
    Benchmark(
        name="durable claims over WebSocket",
        words=(*_RUSH, "--over", "websocket", "--buyers", "400", "--units", "20000", "--in-flight", "4", "--runs", "3"),
        figures=("of these durable", "p99 of a yes", "server CPU a claim", "Valkey's CPU a claim", *_FLOORS),
        takes_s=45,
        quick=("flash-sale", "--buyers", "40", "--units", "20", "--claims", "2", "--replay", "0.5", "--no-floor"),
    ),
    Benchmark(
        name="durable claims over HTTP",
        words=(*_RUSH, "--over", "http", "--buyers", "400", "--units", "20000", "--no-floor", "--runs", "3"),
        figures=("of these durable", "p99 of a yes", "server CPU a claim"),
        takes_s=60,
    ),
    Benchmark(
        name="sold-out answers over WebSocket",
        words=(
            *("flash-sale", "--over", "websocket", "--buyers", "400", "--units", "100", "--claims", "150"),
            *("--in-flight", "4", "--no-floor", "--runs", "3"),
        ),
        figures=("sold out", "server CPU a claim"),
        takes_s=45,
    ),
    Benchmark(
        name="an event to one viewer, 1,000 in the room",
        words=("chat-storm", "--viewers", "1000", "--seconds", "6", "--messages", "50"),
        figures=(
            *("livecommerce, 50/s: CPU a delivery", "livecommerce, 50/s: CPU a delivery, times the floor"),
            *("livecommerce, 50/s: p99 to a viewer", "plain, 50/s: CPU a delivery", "floor: socket.send to all, 50/s"),
        ),
        takes_s=45,
        quick=("chat-storm", "--viewers", "20", "--seconds", "0.5", "--messages", "20", "--driver", "livecommerce"),
    ),
    Benchmark(
        name="5,000 viewers cut off and back",
        words=("reconnect-storm", "--viewers", "5000", "--workers", "2"),
        figures=("all back in the room after, the slowest storm", "commands to Valkey a join", "workers' CPU a join"),
        takes_s=60,
    ),
    Benchmark(
        name="deals open and close, 2 workers",
        words=("deal-timers",),
        figures=("opened, in front of a viewer, p99", "closed, in front of a viewer, p99"),
        takes_s=35,
    ),
    Benchmark(
        name="from command to ready",
        words=("startup", "--runs", "3"),
        figures=("livecommerce serve, command to ready",),
        takes_s=10,
    ),
    Benchmark(
        name="the generator itself",
        words=("generator",),
        figures=("as fast as it can: claims/s", "as fast as it can: a core of generator offers"),
        takes_s=20,
        quick=("generator", "--buyers", "20", "--claims", "50", "--open-rate", "2000", "--seconds", "0.2"),
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a benchmark's command left: its report, or why there is none."""

    benchmark: Benchmark
    report: Mapping[str, Any] | None
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is a report and all its checks passed."""
        return self.report is not None and bool(self.report["passed"])


def run(benchmark: Benchmark, words: Sequence[str]) -> Outcome:
    """Run the command in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="livecommerce-bench-") as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", "load_tests", *words, "--json", str(path)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return Outcome(benchmark, None, f"no end within {TIMEOUT_S:.0f} s")
        if not path.exists():
            return Outcome(benchmark, None, (ended.stderr or ended.stdout)[-2000:])
        return Outcome(benchmark, load(path))


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a row for each figure; what failed says so in place of figures."""
    lines = ["| what | figure | command (`.venv/bin/python -m load_tests …`) |", "|---|---|---|"]
    for outcome in outcomes:
        command = f"`{' '.join(outcome.benchmark.words)}`"
        if outcome.report is None or not outcome.passed:
            lines.append(f"| {outcome.benchmark.name} | **failed** | {command} |")
            continue
        for name in outcome.benchmark.figures:
            figure = outcome.report["figures"].get(name, "**missing**")
            lines.append(f"| {outcome.benchmark.name}: {cell(name)} | {cell(_said(figure))} | {command} |")
            command = "the same"
    facts = machine()
    where = f"{facts['processor']}, {facts['cores']} cores that generator, server and Valkey share; {facts['system']}"
    lines += ["", f"{where}; load average before: {facts['load before']}. Of several runs: the median, and the range."]
    return "\n".join(lines)


def _said(figure: Any) -> str:
    if not isinstance(figure, dict):
        return str(figure)
    low_high = figure["spread"] and tuple(figure["spread"])
    # the note of one run says nothing about the median of several
    return str(Figure(figure["value"], figure["unit"], figure["better"], "" if low_high else figure["note"], low_high))


def write_between(text: str, made: str) -> str:
    """The text with what is between its markers replaced; raises ValueError where they are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"it needs {BEGIN} and, after it, {END}, once each")
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n{made}\n{text[text.index(END) :]}"


@click.command("bench")
@click.option("--quick", is_flag=True, help="Small runs: only their checks count. Writes nothing.")
@click.option("--only", help="Only the benchmarks whose name contains this.")
@click.option(
    "--readme",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Write the table into this file, between {BEGIN} and {END}.",
)
def main(quick: bool, only: str | None, readme: Path | None) -> None:
    """Run every benchmark and print the README's performance tables; status 1 when a check failed."""
    if readme is not None:
        try:
            write_between(readme.read_text("utf-8"), "")
        except ValueError as error:
            raise click.UsageError(f"{readme}: {error}") from error
    chosen = [b for b in BENCHMARKS if (not only or only in b.name) and (b.quick or not quick)]
    if not quick:
        click.echo(f"{len(chosen)} benchmarks, about {sum(b.takes_s for b in chosen) / 60:.0f} minutes", err=True)
    outcomes = []
    for benchmark in chosen:
        began_s = time.monotonic()
        outcomes.append(outcome := run(benchmark, benchmark.quick if quick else benchmark.words))
        _tell(outcome, time.monotonic() - began_s)
    made = table(outcomes)
    if not quick:
        click.echo(made)
    if readme is not None and not quick and all(outcome.passed for outcome in outcomes):
        readme.write_text(write_between(readme.read_text("utf-8"), made), "utf-8")
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        sys.exit(1)


def _tell(outcome: Outcome, took_s: float) -> None:
    word = "ok  " if outcome.passed else "FAIL"
    click.echo(f"{word} {outcome.benchmark.name} ({took_s:.0f} s)", err=True)
    if outcome.report is None:
        click.echo(outcome.why, err=True)
        return
    for check in outcome.report["checks"]:
        if not check["passed"]:
            click.echo(f"     {check['name']}: {check['detail']}", err=True)
    figures = {name: _said(figure) for name, figure in outcome.report["figures"].items()}
    shown = {name: figures[name] for name in outcome.benchmark.figures if name in figures}
    click.echo(f"     {json.dumps(shown, ensure_ascii=False)}", err=True)
