"""Around a scenario: the server, the clock that ticks each second, progress, Ctrl-C, several runs, and the report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import uvloop
from rich.console import Console

from load_tests import html, markdown
from load_tests.live import Progress, progress
from load_tests.own_server import ServerError, own_server
from load_tests.processes import raise_file_limit
from load_tests.report import Report, codes_of, median_of
from load_tests.run import Options, Run, Scenario
from load_tests.target import Target

#: between two rows of the timeline
EVERY_S = 1.0
#: after the first Ctrl-C a scenario stops offering load and judges; this long
WIND_UP_S = 60.0


def execute(
    name: str,
    scenario: Scenario,
    settings: dict[str, Any],
    options: Options,
    server_options: Sequence[str] = (),
    *,
    stand_in: Callable[[], AbstractContextManager[Target]] | None = None,
) -> Report:
    """Run a scenario as often as asked for; raises ServerError when no server is there to hammer.

    ``server_options`` go to the server of our own: limits that are not what is measured, say. ``stand_in`` is hammered
    instead of any livecommerce server.
    """
    raise_file_limit()
    console = Console(stderr=True)
    reports = []
    for number in range(options.runs):
        title = name if options.runs == 1 else f"{name}, run {number + 1} of {options.runs}"
        where = stand_in() if stand_in is not None else _target(options, server_options)
        with where as target, progress(console, title, quiet=options.quiet) as shown:
            run = Run(name, _all_settings(settings, options), options, target)
            if stand_in is None:
                run.report.server |= server_facts(target.url)
            uvloop.run(_drive(run, scenario, shown))
        reports.append(run.report)
        if run.report.interrupted:
            break
    return median_of(reports)


@contextlib.contextmanager
def _target(options: Options, server_options: Sequence[str]) -> Iterator[Target]:
    if options.url is not None:
        yield Target(options.url.rstrip("/"), options.secret or "")
        return
    words = ("--workers", str(options.workers), "--log-level", "warning", *server_options)
    with own_server(*words) as server:
        yield Target(server.url, server.secret, server)


def _all_settings(settings: dict[str, Any], options: Options) -> dict[str, Any]:
    loop = f"open, {options.pace}" if options.pace else "closed"
    if options.pace is None and options.think_s:
        loop += f", thinking {options.think_s:g} s"
    common: dict[str, Any] = {"loop": loop, "generators": options.generators, "seed": options.seed}
    return (
        settings | common | ({"url": options.url} if options.url else {"url": "own server", "workers": options.workers})
    )


def server_facts(url: str) -> dict[str, Any]:
    """What a server says of itself that figures depend on; raises ServerError when it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
            said = json.load(answer)
    except (OSError, ValueError) as error:
        raise ServerError(f"{url}/readyz does not answer: {getattr(error, 'reason', error)}") from error
    durable = said.get("durable")
    fsync = "every yes is on disk first (appendfsync always)" if durable else said.get("why") or "not known"
    return {"durable": durable, "fsync": fsync}


async def _drive(run: Run, scenario: Scenario, shown: Progress) -> None:
    """The scenario beside its clock; what both leave is in the report afterwards."""
    loop = asyncio.get_running_loop()
    work = loop.create_task(_scenario(run, scenario), name=run.name)
    ticker = loop.create_task(_tick(run, shown), name="ticker")
    with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread (a test): no Ctrl-C there
        loop.add_signal_handler(signal.SIGINT, _interrupt, run, work)
    try:
        await work
    except asyncio.CancelledError:
        if not run.report.interrupted:
            raise
    except Exception as error:
        if not run.report.interrupted:
            raise
        run.check("what ran before the interruption could be judged", False, f"{type(error).__name__}: {error}")
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        with contextlib.suppress(ValueError, RuntimeError):
            loop.remove_signal_handler(signal.SIGINT)
        _finish(run)


async def _scenario(run: Run, scenario: Scenario) -> None:
    await scenario(run)


def _interrupt(run: Run, work: asyncio.Task[None]) -> None:
    """The first Ctrl-C stops the load, the second the judging, too."""
    run.report.interrupted = True
    if run.stopping.is_set():
        work.cancel()
        return
    run.stopping.set()
    asyncio.get_running_loop().call_later(WIND_UP_S, work.cancel)


async def _tick(run: Run, shown: Progress) -> None:
    run.usage.sample()
    next_s = time.monotonic()
    while True:
        next_s += EVERY_S
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        run.timeline.add("", run.meter.take())
        row = run.timeline.tick(time.monotonic(), run.phase_name, *run.usage.sample())
        note = "stopping: judging what there is; Ctrl-C again ends at once" if run.stopping.is_set() else ""
        shown.show(row, note)


def _finish(run: Run) -> None:
    """Put what was measured into the report."""
    run.timeline.add("", run.meter.take())
    run.timeline.tick(time.monotonic(), run.phase_name, *run.usage.sample())
    report, total = run.report, run.timeline.total
    report.timeline = run.timeline.rows
    report.latency_us = {name: histogram.summary() for name, histogram in total.histograms.items()}
    report.codes = codes_of(total.codes)
    if run.target.server is not None:
        report.server["workers"] = run.options.workers


def finish(report: Report, options: Options) -> None:
    """Print the report and write its files; ends the program with status 1 when a check failed."""
    console = Console()
    if not options.quiet:
        report.show(console)
    if options.json_path is not None:
        report.write(options.json_path)
    if options.html_path is not None:
        html.write(report, options.html_path)
    if options.markdown_path is not None:
        markdown.write(report, options.markdown_path)
    for path in (options.json_path, options.html_path, options.markdown_path):
        if path is not None and not options.quiet:
            console.print(f"written: {path.resolve()}", highlight=False, soft_wrap=True)
    if not report.passed:
        sys.exit(1)
