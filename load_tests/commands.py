"""The commands of the flash sale and of a server's start, rest and first picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from load_tests.options import common_options, json_option, options_of, pace_options
from load_tests.report import Report
from load_tests.run import Options
from load_tests.session import finish

_LIVE = "A running server with a live stream, like http://localhost:8080; otherwise one of our own with the demo."

FLASH_SALE_EXAMPLES = """\b
Examples:
  python -m load_tests flash-sale --html report.html
      2,000 buyers at once on a server of our own; then open report.html
  python -m load_tests flash-sale --buyers 500 --units 2000 --claims 10 --limit 2 --ramp 200:2500:8
      an open loop that goes from 200 to 2,500 claims a second
  python -m load_tests flash-sale --url http://localhost:8080 --secret "$(cat .livecommerce/secret)"
      a development server of yours that runs already
"""


@click.command()
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1, 100), help="Starts to take the median of.")
@click.option("--demo", is_flag=True, help="With the demo: also the time until its stream is live.")
@click.option("--make", "by_make", is_flag=True, help="Start by `make run` in this checkout (installed already).")
@click.option("--clone", is_flag=True, help="One start by `make run` in a fresh clone, installation included.")
@json_option
def startup(runs: int, demo: bool, by_make: bool, clone: bool, json_path: Path | None) -> None:
    """Time from the command to a server that is ready (/readyz answers 200), and to the demo's stream being live."""
    from load_tests.startup import measure

    _finish(measure(runs, demo=demo, by_make=by_make, clone=clone), json_path)


@click.command()
@click.option(
    "--settle", default=10.0, show_default=True, type=click.FloatRange(0, 600), help="Seconds to wait before measuring."
)
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(1, 86_400),
              help="Seconds to measure the idle server.")  # fmt: skip
@click.option("--demo-seconds", default=62.0, show_default=True, type=click.FloatRange(1, 86_400),
              help="Seconds to measure the demo; one round is 62.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Workers of both servers.")
@json_option
def idle(settle: float, seconds: float, demo_seconds: float, workers: int, json_path: Path | None) -> None:
    """Memory and CPU of a server with nothing to do, then of one with the demo, by process."""
    from load_tests.idle import measure

    _finish(measure(settle_s=settle, idle_s=seconds, demo_s=demo_seconds, workers=workers), json_path)


@click.command("first-frame")
@click.option("--url", metavar="URL", help=_LIVE)
@click.option("--joins", default=20, show_default=True, type=click.IntRange(1, 1000), help="Joins to measure.")
@click.option(
    "--warm-up", default=3, show_default=True, type=click.IntRange(0, 100), help="Joins before these, not counted."
)
@click.option("--chromium", default="chromium", show_default=True, help="The browser: its path, or its name.")
@json_option
def first_frame(url: str | None, joins: int, warm_up: int, chromium: str, json_path: Path | None) -> None:
    """Time from a viewer's WHEP POST to the first picture on the screen, in Chromium."""
    from load_tests.first_frame import measure

    _finish(measure(url, joins=joins, warm_up=warm_up, chromium=chromium), json_path)


@click.command("join-delay")
@click.option("--url", metavar="URL", help=_LIVE)
@click.option("--joins", default=10, show_default=True, type=click.IntRange(1, 1000), help="Viewers who join.")
@click.option("--seed", default=1, show_default=True, help="Random seed: how old the replayed keyframes are.")
@click.option("--chromium", default="chromium", show_default=True, help="The browser: its path, or its name.")
@json_option
def join_delay(url: str | None, joins: int, seed: int, chromium: str, json_path: Path | None) -> None:
    """How far a viewer who joined is behind one who was there before, and its sound behind its picture, in Chromium."""
    from load_tests.join_delay import measure

    _finish(measure(url, joins=joins, chromium=chromium, seed=seed), json_path)


@click.command()
@click.option("--rounds", default=300, show_default=True, type=click.IntRange(1, 100_000), help="Batches of each kind.")
@json_option
def strangers(rounds: int, json_path: Path | None) -> None:
    """What datagrams of nobody cost a relay: CPU for each, by kind, reading included, beside the bare reading."""
    from load_tests.strangers import measure

    _finish(measure(rounds), json_path)


@click.command("flash-sale", epilog=FLASH_SALE_EXAMPLES)
@click.option("--buyers", default=2000, show_default=True, type=click.IntRange(1, 50_000), help="Concurrent buyers.")
@click.option("--units", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="Stock.")
@click.option("--claims", default=3, show_default=True, type=click.IntRange(1, 10_000), help="Claims of each buyer.")
@click.option("--limit", default=1, show_default=True, type=click.IntRange(1, 50), help="Units a buyer may have.")
@click.option(
    "--over", type=click.Choice(["both", "websocket", "http"]), default="both", show_default=True, help="The way in."
)
@click.option("--connections", default=200, show_default=True, type=click.IntRange(1, 10_000), help="HTTP connections.")
@click.option(
    "--in-flight",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Claims a buyer sends without waiting for an answer (closed loop).",
)
@click.option(
    "--replay",
    default=0.02,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of accepted claims sent once more under the same key.",
)
@click.option("--floor/--no-floor", default=True, help="Also measure the bare script calls, before the sale.")
@click.option(
    "--think", "think_s", default=0.0, show_default=True, type=click.FloatRange(0, 3600),
    help="Closed loop: mean seconds between an answer and the next claim.",
)  # fmt: skip
@pace_options
@common_options
def flash_sale(**values: Any) -> None:
    """Many buyers, few units: who gets one, how fast, and whether every promise was kept.

    All buyers claim one unit at once (or at --rate), each under an idempotency key of its own, then again under new
    keys. Meanwhile the stock's sum is sampled and its events are followed; some claims come before the opening and
    after the end; then the deal, the journal and every accepted key are read back and the history is checked.
    """
    from load_tests.flash_sale import Plan, measure

    options = options_of(values)
    finish(measure(Plan(**values), options), options)


@click.command("generator")
@click.option("--buyers", default=200, show_default=True, type=click.IntRange(1, 20_000), help="Connections.")
@click.option(
    "--claims", default=1000, show_default=True, type=click.IntRange(1, 100_000), help="Claims of each connection."
)
@click.option(
    "--in-flight", default=4, show_default=True, type=click.IntRange(1, 64), help="Claims of each without an answer."
)
@click.option("--open-rate", "rate", default=30_000.0, show_default=True, type=click.FloatRange(1, 1e6),
              help="Claims a second of the open loop that follows.")  # fmt: skip
@click.option("--seconds", default=4.0, show_default=True, type=click.FloatRange(0.01, 600), help="Seconds of it.")
@click.option("--generators", default=1, show_default=True, type=click.IntRange(1, 64), help="Generator processes.")
@json_option
def generator(generators: int, json_path: Path | None, **values: Any) -> None:
    """What the generator itself can offer, against a server that says yes to everything and keeps nothing."""
    from load_tests.generator_limit import Plan, measure

    options = Options(generators=generators, json_path=json_path)
    finish(measure(Plan(**values), options), options)


def _finish(report: Report, json_path: Path | None) -> None:
    report.show(Console())
    if json_path is not None:
        report.write(json_path)
    if not report.passed:
        sys.exit(1)
