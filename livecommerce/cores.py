"""How many workers a server has unless it is told."""

from __future__ import annotations

import os
from pathlib import Path

#: each idle worker costs about 60 MiB and 0.8 % of a core: who has more cores than this says what they are for
MAX_WORKERS_UNASKED = 16
#: of a container: "<microseconds> <of how many>", or "max <…>"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """The cores this process may use: those it may run on, and no more than its control group may keep busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        allowed = int(share) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max": no quota
        return cores
    return max(1, min(cores, int(allowed)))


def default_workers(*, demo: bool) -> int:
    """One worker a core; with the demo one, whose robots and browser share a laptop with it."""
    return 1 if demo else min(MAX_WORKERS_UNASKED, usable_cores())
