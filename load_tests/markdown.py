"""A report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from pathlib import Path

from load_tests.report import Figure, Report


def text(report: Report) -> str:
    """Verdict, figures, latencies, checks, and where it ran."""
    failed = [check for check in report.checks if not check.passed]
    verdict = (
        f"**{len(failed)} of {len(report.checks)} checks failed**" if failed else f"{len(report.checks)} checks passed"
    )
    lines = [f"## {report.command}: {verdict}", ""]
    if report.interrupted:
        lines += ["Interrupted: the figures are those of the part that ran.", ""]
    lines += ["| what | figure |", "|---|---:|"]
    for name, figure in report.figures.items():
        said = str(figure) if isinstance(figure, Figure) else f"{figure:,.1f}" if isinstance(figure, float) else figure
        lines.append(f"| {cell(name)} | {cell(str(said))} |")
    if report.latency_us:
        names = ("p50", "p90", "p99", "p99.9", "max")
        lines += ["", "| latency, ms | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
        for what, summary in report.latency_us.items():
            lines.append(f"| {cell(what)} | " + " | ".join(f"{summary[n] / 1000:,.1f}" for n in names) + " |")
    lines.append("")
    for check in sorted(report.checks, key=lambda check: check.passed):
        detail = f": {check.detail}" if check.detail else ""
        lines.append(f"- {'passed' if check.passed else '**failed**'}: {check.name}{detail}")
    facts = {**report.machine, **{name: f"{value}" for name, value in report.server.items()}}
    lines += ["", ", ".join(f"{name}: {value}" for name, value in facts.items())]
    lines += ["", "Settings: " + ", ".join(f"{name}={value}" for name, value in report.settings.items())]
    lines += ["", " ".join([report.shared, *report.notes])]
    return "\n".join(lines) + "\n"


def cell(said: str) -> str:
    """A text that does not end its cell."""
    return said.replace("|", "\\|").replace("\n", " ")


def write(report: Report, path: Path) -> None:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(report), "utf-8")
