"""How long a start takes: of ``livecommerce serve``, of ``make run``, or of a fresh clone."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from load_tests.own_server import own_server
from load_tests.report import Report, spread

CHECKOUT = Path(__file__).parents[1]
MAKE_RUN = ["make", "--no-print-directory", "run", "ARGS="]
#: a slow network installs slowly: the check says so, the command goes on
INSTALL_TIMEOUT_S = 540.0


def measure(runs: int, *, by_make: bool, clone: bool) -> Report:
    """Start ``runs`` times; a clone only once, for it installs everything."""
    how = "a fresh clone" if clone else "make run" if by_make else "livecommerce serve"
    report = Report("startup", {"runs": 1 if clone else runs, "how": how, "demo": by_make or clone})
    if clone:
        _measure_clone(report)
        return report
    times_s = []
    for _ in range(runs):
        with own_server(command=MAKE_RUN if by_make else None, folder=CHECKOUT if by_make else None) as server:
            times_s.append(server.start_s)
    report.figures[f"{how}, command to ready"] = spread([t * 1000 for t in times_s], "ms")
    report.check("became ready every time", len(times_s) == runs, f"median {statistics.median(times_s):.2f} s")
    return report


def _measure_clone(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="livecommerce-clone-") as folder:
        started_s = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), folder], check=True)
        with own_server(command=MAKE_RUN, folder=Path(folder), timeout_s=INSTALL_TIMEOUT_S):
            took_s = time.monotonic() - started_s
    report.figures["git clone, make run, to ready"] = f"{took_s:.1f} s"
    report.check("within the minute that a newcomer waits", took_s < 60)
