"""Two machines in one: network namespaces joined by a cable that is as slow and as lossy as a test wants.

Real sockets, the kernel's own queues (``tc tbf``) and its own dice: a classic BPF filter at the far end of the cable
drops packets by the kernel's random numbers, which needs no netem (kernels for small machines leave it out). Needs
root and iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
#: a shaper's bucket: no larger than two packets, so that a frame is a burst to it
BURST_BYTES = 3000


class NotPermitted(Exception):
    """This machine lets us make no namespaces, or has no tools for it."""


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotPermitted(str(error)) from error
    if done.returncode:
        raise NotPermitted(f"{' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def _entered(name: str) -> Iterator[None]:
    """Sockets that this thread opens, and processes that it starts, are of that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise NotPermitted(os.strerror(ctypes.get_errno()))
        try:
            yield
        finally:
            assert libc.setns(here, CLONE_NEWNET) == 0
    finally:
        os.close(here)
        os.close(there)


@dataclass
class Machine:
    """One end of the cable."""

    name: str
    address: str
    other: Machine | None = None
    _dice: bool = False

    @property
    def device(self) -> str:
        """Its network card."""
        return f"c{self.name}"[:15]

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Sockets opened and processes started in this block are on this machine."""
        return _entered(self.name)

    def command(self, program: str, folder: Path) -> str:
        """A script that runs a program on this machine."""
        script = folder / f"{self.name}-{Path(program).name}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        script.chmod(0o755)
        return str(script)

    def carries(self, bits_per_s: int | None, *, queue_bytes: int = 48_000) -> None:
        """What it sends passes so narrow a place, with a queue before it as a home router's; None for no limit."""
        words = ("ip", "netns", "exec", self.name, "tc", "qdisc")
        if bits_per_s is None:
            _run(*words, "del", "dev", self.device, "root")
        else:
            shape = ("tbf", "rate", f"{bits_per_s}bit", "burst", str(BURST_BYTES), "limit", str(queue_bytes))
            _run(*words, "replace", "dev", self.device, "root", *shape)

    def loses(self, share: float) -> None:
        """So much of what it sends never arrives, packet by packet by chance."""
        assert self.other is not None
        self.other._drops(share)

    def _drops(self, share: float) -> None:
        words = ("ip", "netns", "exec", self.name, "tc")
        if self._dice:
            _run(*words, "qdisc", "del", "dev", self.device, "clsact")
        self._dice = share > 0
        if self._dice:
            # ld rand; jge #threshold, pass, drop; ret 0 (pass); ret 2 (TC_ACT_SHOT)
            program = f"4,32 0 0 4294963256,53 0 1 {int(share * 2**32)},6 0 0 0,6 0 0 2"
            _run(*words, "qdisc", "add", "dev", self.device, "clsact")
            _run(*words, "filter", "add", "dev", self.device, "ingress", "bpf", "da", "bytecode", program)


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines and a good cable; raises NotPermitted where there can be none."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        raise NotPermitted("needs root and iproute2")
    one, two = (Machine(f"lc{os.getpid()}{end}", f"10.77.0.{number}") for number, end in enumerate("ab", 1))
    one.other, two.other = two, one
    made: list[Machine] = []
    try:
        for machine in (one, two):
            _run("ip", "netns", "add", machine.name)
            made.append(machine)
        cable = ("type", "veth", "peer", "name", two.device, "netns", two.name)
        _run("ip", "link", "add", "name", one.device, "netns", one.name, *cable)
        for machine in made:
            words = ("ip", "-n", machine.name)
            _run(*words, "addr", "add", f"{machine.address}/24", "dev", machine.device)
            # One packet a segment, as on a wire: else a whole frame would be lost, or pass, at once.
            _run(*words, "link", "set", machine.device, "up", "gso_max_segs", "1")
            _run(*words, "link", "set", "lo", "up")
            assert machine.other is not None
            _run(*words, "route", "add", "default", "via", machine.other.address)
        yield one, two
    finally:
        for machine in made:
            _run("ip", "netns", "del", machine.name)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines; the test itself is on the first."""
    with contextlib.ExitStack() as stack:
        try:
            one, two = stack.enter_context(two_machines())
            stack.enter_context(one.inside())
        except NotPermitted as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield one, two
