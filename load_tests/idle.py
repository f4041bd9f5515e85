"""What a server costs while nobody is there, and what the demo costs: by process, from the kernel's own counters."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from load_tests import stage_checks
from load_tests.own_server import OwnServer, own_server
from load_tests.report import Report
from load_tests.usage import role_of

#: the demo's part of one core that must not be passed
DEMO_CORE = 1 / 3


@dataclass(frozen=True, slots=True)
class Usage:
    """One process over the time measured."""

    name: str
    cpu_percent: float
    #: proportional set size: shared pages are counted once among those who share them
    memory_mib: float


def measure(*, settle_s: float, idle_s: float, demo_s: float, workers: int = 1) -> Report:
    """An idle server, then one with the demo."""
    report = Report("idle", {"settle_s": settle_s, "idle_s": idle_s, "demo_s": demo_s, "workers": workers})
    words = ("--workers", str(workers))
    with own_server(*words) as server:
        time.sleep(settle_s)
        _write(report, "idle", usage(server, idle_s))
    with own_server(*words, "--demo") as server:
        time.sleep(settle_s)
        used = usage(server, demo_s)
    _write(report, "demo", used)
    robots = sum(process.cpu_percent for process in used if process.name == "demo")
    report.judge(stage_checks.robots(robots, DEMO_CORE * 100))
    return report


def usage(server: OwnServer, seconds: float) -> list[Usage]:
    """Each process of the server over ``seconds``; one that was started or ended meanwhile is left out."""
    before = {process: _cpu_s(process) for process in server.tree()}
    started_s = time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - started_s
    used = []
    for process, cpu_s in before.items():
        try:
            memory = process.memory_full_info().pss / 2**20
            used.append(Usage(role_of(process), (_cpu_s(process) - cpu_s) / took_s * 100, memory))
        except psutil.NoSuchProcess:
            continue
    return used


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _write(report: Report, state: str, used: list[Usage]) -> None:
    for process in used:
        report.figures[f"{state}: {process.name}"] = f"{process.cpu_percent:.1f} % CPU, {process.memory_mib:.0f} MiB"
    cpu = sum(process.cpu_percent for process in used)
    report.figures[f"{state}: all"] = f"{cpu:.1f} % CPU, {sum(p.memory_mib for p in used):.0f} MiB"
