"""The README's tables of benchmarks, as Markdown: one a subject. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from load_tests.bench_list import Benchmark, Row
from load_tests.markdown import cell
from load_tests.report import Figure, machine, number

_HEAD = ("| what | figure | beside it, in the same run |", "|---|---:|---|")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a benchmark's command left: its report, or why there is none."""

    benchmark: Benchmark
    report: Mapping[str, Any] | None
    why: str = ""
    #: the words that were run, a rate that was taken from an earlier figure among them
    words: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether there is a report and all its checks passed."""
        return self.report is not None and bool(self.report["passed"])


#: what is worth saying
LEAST_STOLEN = 0.005


def tables(outcomes: Iterable[Outcome], stolen: float = 0.0) -> str:
    """A table for each subject, the commands behind it, and where it ran; what failed says so in place of figures.

    ``stolen`` is the share of the CPU that the host gave to other machines meanwhile: figures of time suffer from it.
    """
    parts = []
    for subject, of_subject in groupby(outcomes, key=lambda outcome: outcome.benchmark.subject):
        group = list(of_subject)
        lines = [f"**{subject}**", "", *_HEAD, *(line for outcome in group for line in _lines(outcome)), ""]
        commands = [f".venv/bin/python -m load_tests {shlex.join(outcome.words)}" for outcome in group]
        summary = "the command" if len(commands) == 1 else "the commands"
        lines += [f"<details><summary>{summary}</summary>", "", "```", *commands, "```", "", "</details>", ""]
        parts.append("\n".join(lines))
    facts = machine()
    where = f"{facts['processor']}, {facts['cores']} cores that load, server and Valkey share; {facts['system']}"
    said = f"{where}; load average before: {facts['load before']}. Of several runs: the median, and the range."
    if stolen >= LEAST_STOLEN:
        said += f" The host gave {stolen:.0%} of the CPU to other machines meanwhile."
    return "\n".join([*parts, said])


def _lines(outcome: Outcome) -> list[str]:
    if outcome.report is None or not outcome.passed:
        return [f"| {cell(outcome.benchmark.name)} | **failed** | |"]
    figures = outcome.report["figures"]
    return [f"| {cell(row.what)} | {cell(said(figures.get(row.figure)))} | {_beside(row, figures)} |"
            for row in outcome.benchmark.rows]  # fmt: skip


def _beside(row: Row, figures: Mapping[str, Any]) -> str:
    """The floor in words, and how many times worse we are."""
    ours, floor = figures.get(row.figure), figures.get(row.beside)
    if not isinstance(ours, dict) or not isinstance(floor, dict) or not ours["value"] or not floor["value"]:
        return ""
    lower = ours["better"] == "lower"
    times = ours["value"] / floor["value"] if lower else floor["value"] / ours["value"]
    return cell(f"{number(floor['value'])} {floor['unit']}, {row.beside_is}: {number(times)} ×")


def said(figure: Any) -> str:
    """A figure of a report; of several runs the note of one says nothing."""
    if not isinstance(figure, dict):
        return "**missing**" if figure is None else str(figure)
    low_high = figure["spread"] and tuple(figure["spread"])
    return str(Figure(figure["value"], figure["unit"], figure["better"], "", low_high))
