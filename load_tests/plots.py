"""Which plots a report has: what a scenario drew itself, and what was sampled each second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from load_tests.report import Curve, Report
from load_tests.svg import Line, Plot

Row = dict[str, Any]
#: a curve that never comes above this share of the highest looks like none
_FLAT = 0.03
#: fewer samples say nothing over time
_FEWEST = 3


def plots_of(report: Report) -> list[Plot]:
    """All plots, a scenario's own first."""
    plots: list[Plot] = []
    own: dict[str, list[Curve]] = {}
    for curve in report.curves:
        own.setdefault(curve.plot or curve.name, []).append(curve)
    for title, curves in own.items():
        lines = [Line(curve.name, curve.points) for curve in curves if curve.points]
        if lines:
            steps = len(lines) == 1 and not curves[0].plot
            plots.append(Plot(title, curves[0].unit, lines, report.phases, report.events, steps, _zoom(lines)))
    if len(report.timeline) < _FEWEST:
        return plots
    made = [
        *_rates(report),
        _losses(report),
        *_latencies(report),
        *_gauges(report),
        _sampled(report, "CPU by process", "cores", lambda row: row["cpu"]),
        _sampled(report, "Memory by process", "MiB", lambda row: row["memory_mib"]),
    ]
    return plots + [plot for plot in made if plot.lines]


def _zoom(lines: Iterable[Line]) -> tuple[float, float] | None:
    """The time around a scenario's own curves."""
    xs = [x for line in lines for x, _ in line.points]
    return (min(xs), max(xs)) if xs else None


def _sampled(report: Report, title: str, unit: str, read: Callable[[Row], dict[str, float]]) -> Plot:
    """What was sampled each second; names that were never above 0 are left out."""
    return _over(report, title, unit, _lines(report.timeline, read))


def _rates(report: Report) -> list[Plot]:
    """Those that would lie flat under the largest have a plot of their own."""
    lines = _lines(report.timeline, lambda row: {n: r for n, r in row["rates"].items() if not _is_loss(n)})
    most = {line.name: max(y for _, y in line.points) for line in lines}
    visible = max(most.values(), default=0.0) * _FLAT
    groups = (
        [line for line in lines if most[line.name] >= visible],
        [line for line in lines if most[line.name] < visible],
    )
    titles = ("Rates", "Rates, the smaller ones")
    return [_over(report, title, "a second", group) for title, group in zip(titles, groups, strict=True)]


def _is_loss(name: str) -> bool:
    return name.startswith("packets ")


def _losses(report: Report) -> Plot:
    """Packets that were lost and came again; a line at 0 says that they were looked for."""
    lines = _lines(report.timeline, lambda row: {n: r for n, r in row["rates"].items() if _is_loss(n)}, even_zero=True)
    return _over(report, "Packet loss", "packets a second", lines)


def _over(report: Report, title: str, unit: str, lines: list[Line], *, steps: bool = False) -> Plot:
    span = (0.0, float(report.timeline[-1]["t_s"]))
    return Plot(title, unit, lines, report.phases, report.events, steps, span)


def _lines(rows: list[Row], read: Callable[[Row], dict[str, float]], *, even_zero: bool = False) -> list[Line]:
    names = list(dict.fromkeys(name for row in rows for name in read(row)))
    return [
        Line(name, [(row["t_s"], float(read(row)[name])) for row in rows if name in read(row)])
        for name in names
        if even_zero or any(read(row).get(name) for row in rows)
    ]


def _latencies(report: Report) -> list[Plot]:
    plots = []
    for name in report.latency_us:
        seen = [row for row in report.timeline if name in row["latency_us"]]
        if len(seen) >= _FEWEST:
            lines = [
                Line(percent, [(row["t_s"], row["latency_us"][name][percent] / 1000) for row in seen])
                for percent in ("p50", "p90", "p99", "max")
            ]
            plots.append(_over(report, f"Latency: {name}", "ms", lines))
    return plots


def _gauges(report: Report) -> list[Plot]:
    drawn = {curve.name for curve in report.curves}
    lines = _lines(report.timeline, lambda row: row["gauges"])
    return [_over(report, line.name.capitalize(), "", [line], steps=True) for line in lines if line.name not in drawn]
