"""CPU and memory of the processes that take part in a run, from the kernel's own counters."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """CPU a process has used so far, from the scheduler's clock (ns, not ticks); raises OSError when it is gone."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def memory_mib(pid: int) -> float:
    """Resident memory; shared pages count in each process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def role_of(process: psutil.Process) -> str:
    """What a process of a server is: supervisor, valkey, worker, demo; raises psutil's errors when it is gone."""
    words = process.cmdline()
    if not words or "valkey" in words[0]:
        return "valkey"
    modules = [word.removeprefix("livecommerce.") for word in words if word.startswith("livecommerce.")]
    return modules[0] if modules else "supervisor"


class Usage:
    """Samples named processes; those of a server are looked up anew each time, for it may replace its workers."""

    def __init__(self, server: psutil.Process | None = None) -> None:
        self._server = server
        self._names: dict[int, str] = {}
        self._others: dict[str, int] = {}
        self._last: dict[str, tuple[float, float]] = {}
        self._gone_s: dict[str, float] = {}
        self._workers = 0

    def watch(self, name: str, pid: int) -> None:
        """Also sample this process, until it ends."""
        self._others[name] = pid

    def pids(self) -> dict[str, int]:
        """Every process by name: those of the server are ``supervisor``, ``valkey``, ``worker 1``…, ``demo``."""
        found = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._server is not None:
                for process in [self._server, *self._server.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        found[self._name(process)] = process.pid
        return found | self._others

    def _name(self, process: psutil.Process) -> str:
        name = self._names.get(process.pid)
        if name is None:
            name = role_of(process)
            if name == "worker":
                self._workers += 1
                name = f"worker {self._workers}"
            self._names[process.pid] = name
        return name

    def sample(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU in cores since the last sample, and memory in MiB, each by name."""
        cpu: dict[str, float] = {}
        memory: dict[str, float] = {}
        for name, pid in self.pids().items():
            with contextlib.suppress(OSError, ValueError):
                now_s, used_s = time.monotonic(), cpu_s(pid)
                memory[name] = round(memory_mib(pid), 1)
                then_s, before_s = self._last.get(name, (now_s, used_s))
                if now_s > then_s:
                    cpu[name] = round(max(0.0, used_s - before_s) / (now_s - then_s), 3)
                self._last[name] = (now_s, used_s)
        return cpu, memory

    def used_s(self, kinds: Iterable[str]) -> float:
        """CPU so far of all processes whose name begins with one of ``kinds``, those that ended included."""
        for name, pid in self.pids().items():
            with contextlib.suppress(OSError, ValueError):
                self._gone_s[name] = cpu_s(pid)
        return sum(used for name, used in self._gone_s.items() if name.startswith(tuple(kinds)))
