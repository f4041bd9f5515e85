"""The README's performance tables in one go: every command of ``bench_list.py``, and the tables of their figures."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psutil

from load_tests.bench_list import BENCHMARKS, Benchmark
from load_tests.bench_table import Outcome, said, tables
from load_tests.compare import load

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
#: a benchmark that takes longer than this is broken
TIMEOUT_S = 300.0


def run(benchmark: Benchmark, words: Sequence[str]) -> Outcome:
    """Run the command in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="livecommerce-bench-") as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", "load_tests", *words, "--json", str(path)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return Outcome(benchmark, None, f"no end within {TIMEOUT_S:.0f} s", words)
        if not path.exists():
            return Outcome(benchmark, None, (ended.stderr or ended.stdout)[-2000:], words)
        return Outcome(benchmark, load(path), words=words)


def words_of(benchmark: Benchmark, outcomes: Sequence[Outcome]) -> Sequence[str]:
    """What to run, with a rate that depends on what was found before; raises click.ClickException without that."""
    share = benchmark.rate
    if share is None:
        return benchmark.words
    for outcome in outcomes:
        if outcome.benchmark.name == share.benchmark and outcome.report is not None:
            rate = share.share * outcome.report["figures"][share.figure]["value"]
            return (*benchmark.words, "--rate", f"{rate:.0f}")
    raise click.ClickException(f"{benchmark.name} needs a figure of {share.benchmark}: choose both")


def write_between(text: str, made: str) -> str:
    """The text with what is between its markers replaced; raises ValueError where they are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"it needs {BEGIN} and, after it, {END}, once each")
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n{made}\n{text[text.index(END) :]}"


def stolen(before: Any) -> float:
    """The share of the CPU since ``before`` that a virtual machine wanted and its host gave to others (0 to 1)."""
    spent = [late - early for late, early in zip(psutil.cpu_times(), before, strict=True)]
    taken: float = getattr(psutil.cpu_times(), "steal", 0.0) - getattr(before, "steal", 0.0)
    return max(0.0, taken) / max(float(sum(spent)), 1e-9)


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
    if readme is not None and only:
        raise click.UsageError("--readme writes all tables: it does not go with --only")
    if readme is not None:
        try:
            write_between(readme.read_text("utf-8"), "")
        except ValueError as error:
            raise click.UsageError(f"{readme}: {error}") from error
    chosen = [b for b in BENCHMARKS if (not only or only in b.name) and (b.quick or not quick)]
    if not quick:
        click.echo(f"{len(chosen)} benchmarks, about {sum(b.takes_s for b in chosen) / 60:.0f} minutes", err=True)
    outcomes: list[Outcome] = []
    before = psutil.cpu_times()
    for benchmark in chosen:
        began_s = time.monotonic()
        outcomes.append(outcome := run(benchmark, benchmark.quick if quick else words_of(benchmark, outcomes)))
        _tell(outcome, time.monotonic() - began_s)
    made = tables(outcomes, stolen(before))
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
    figures = outcome.report["figures"]
    shown = {row.figure: said(figures[row.figure]) for row in outcome.benchmark.rows if row.figure in figures}
    click.echo(f"     {json.dumps(shown, ensure_ascii=False)}", err=True)
