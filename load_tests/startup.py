"""How long a start takes: of ``livecommerce serve``, of ``make run``, or of a fresh clone."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from load_tests import stage_checks
from load_tests.own_server import own_server
from load_tests.report import Report, spread

CHECKOUT = Path(__file__).parents[1]
MAKE_RUN = ["make", "--no-print-directory", "run", "ARGS="]
#: a slow network installs slowly: the check says so, the command goes on
INSTALL_TIMEOUT_S = 540.0


def measure(runs: int, *, demo: bool, by_make: bool, clone: bool) -> Report:
    """Start ``runs`` times; a clone only once, for it installs everything. ``make run`` always has the demo."""
    demo = demo or by_make or clone
    how = "a fresh clone" if clone else "make run" if by_make else "livecommerce serve"
    report = Report("startup", {"runs": 1 if clone else runs, "how": how, "demo": demo})
    if clone:
        _measure_clone(report)
        return report
    times_s, live_s = [], []
    options = ["--demo"] if demo and not by_make else []
    for _ in range(runs):
        command, folder = (MAKE_RUN, CHECKOUT) if by_make else (None, None)
        with own_server(*options, command=command, folder=folder) as server:
            times_s.append(server.start_s)
            if demo:
                live_s.append(server.until_live_s())
    report.figures[f"{how}, command to ready"] = spread([t * 1000 for t in times_s], "ms")
    if demo:
        report.figures[f"{how}, command to the demo being live"] = spread([t * 1000 for t in live_s], "ms")
    report.judge(stage_checks.started(len(times_s), runs, statistics.median(times_s)))
    return report


def _measure_clone(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="livecommerce-clone-") as folder:
        started_s = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), folder], check=True)
        with own_server(command=MAKE_RUN, folder=Path(folder), timeout_s=INSTALL_TIMEOUT_S) as server:
            ready_s = time.monotonic() - started_s
            server.until_live_s()
            live_s = time.monotonic() - started_s
    report.figures["git clone, make run, to ready"] = f"{ready_s:.1f} s"
    report.figures["git clone, make run, to the demo being live"] = f"{live_s:.1f} s"
    report.judge(stage_checks.newcomer(live_s))
