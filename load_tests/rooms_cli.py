"""``python -m load_tests rooms …``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from load_tests import rooms as measured
from load_tests.report import Report

_json = click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON.")
_viewers = click.option("--viewers", default=1000, show_default=True, type=click.IntRange(1, 20_000))
_seconds = click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0.1, 3600))
_workers = click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
_processes = click.option("--processes", default=1, show_default=True, help="Processes of viewers.")


@click.group()
def rooms() -> None:
    """Chat rooms: cost of a delivery, crowds, reconnect storms, stalled readers."""


@rooms.command()
@_viewers
@_seconds
@_workers
@click.option("--rate", "rates", multiple=True, type=float, default=(10.0, 50.0, 200.0), show_default=True)
@click.option("--baseline/--no-baseline", default=True, help="Also aiohttp's send_str loop.")
@_json
def fanout(
    viewers: int, seconds: float, workers: int, rates: tuple[float, ...], baseline: bool, json_path: Path | None
) -> None:
    """CPU of a delivery beside a bare loop of socket.send."""
    _finish(measured.fanout(measured.Size(viewers, seconds, workers), rates, baseline=baseline), json_path)


@rooms.command()
@click.option("--viewers", default=5000, show_default=True, type=click.IntRange(1, 20_000))
@_seconds
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@_processes
@click.option("--rate", default=5.0, show_default=True, help="Messages a second, by chat.send.")
@_json
def crowd(viewers: int, seconds: float, workers: int, processes: int, rate: float, json_path: Path | None) -> None:
    """Time from chat.send to every viewer."""
    _finish(measured.crowd(measured.Size(viewers, seconds, workers, processes), rate), json_path)


@rooms.command()
@click.option("--viewers", default=5000, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@_processes
@click.option("--rate", default=5.0, show_default=True, help="Events a second meanwhile.")
@_json
def storm(viewers: int, workers: int, processes: int, rate: float, json_path: Path | None) -> None:
    """Everybody is cut off and comes back; nothing may be lost."""
    _finish(measured.storm(measured.Size(viewers, 0, workers, processes), rate), json_path)


@rooms.command()
@_viewers
@_seconds
@click.option("--rate", default=200.0, show_default=True, help="Events a second, of about 1 KB.")
@_json
def stalled(viewers: int, seconds: float, rate: float, json_path: Path | None) -> None:
    """One viewer stops reading among many."""
    _finish(measured.stalled(measured.Size(viewers, seconds), rate), json_path)


@rooms.command()
@click.option("--viewers", default=100, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--seconds", default=600.0, show_default=True, type=click.FloatRange(1, 86_400))
@_workers
@click.option("--rate", default=200.0, show_default=True, help="Events a second.")
@_json
def soak(viewers: int, seconds: float, workers: int, rate: float, json_path: Path | None) -> None:
    """Minutes of the same: memory must stay flat."""
    _finish(measured.soak(measured.Size(viewers, seconds, workers), rate), json_path)


def _finish(report: Report, json_path: Path | None) -> None:
    report.show(Console())
    if json_path is not None:
        report.write(json_path)
    if not report.passed:
        sys.exit(1)
