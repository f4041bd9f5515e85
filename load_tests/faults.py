"""Faults by plan: a seed says what breaks when, and hands that only touch what this run started break it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil
from redis.exceptions import RedisError

from load_tests.own_server import OwnServer
from load_tests.own_valkey import own_valkey
from load_tests.usage import role_of

#: how long somebody sleeps who is stopped: longer than a heartbeat, shorter than what makes a server give up
SLEEP_S = (1.0, 4.0)

#: what can break, and what the report calls it
KINDS: Mapping[str, str] = {
    "kill-worker": "kill -9 of a worker",
    "stop-worker": "SIGSTOP of a worker",
    "kill-valkey": "kill -9 of Valkey",
    "stop-valkey": "SIGSTOP of Valkey",
    "cut-bus": "CLIENT KILL of every pub/sub connection",
    "cut-network": "every connection through the proxy cut",
    "hold-network": "a network that swallows everything",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that breaks: so long after the first moment, and for how long where it lasts."""

    at_s: float
    kind: str
    lasts_s: float = 0.0

    def __str__(self) -> str:
        lasts = f", for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.at_s:6.1f} s  {KINDS[self.kind]}{lasts}"


def plan(seed: int, seconds: float, *, kinds: Sequence[str] = tuple(KINDS), every_s: float = 8.0) -> list[Fault]:
    """What breaks within ``seconds``: every kind before any comes twice, with time to recover in between. Pure."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ValueError(f"there is no fault {unknown[0]!r}; there are {', '.join(KINDS)}")
    chance = random.Random(f"faults/{seed}")
    faults, at_s, left = list[Fault](), chance.uniform(0.2, 0.5) * every_s, list[str]()
    while at_s < seconds:
        if not left:
            left = chance.sample(list(kinds), len(kinds))
        kind = left.pop()
        lasts_s = round(chance.uniform(*SLEEP_S), 1) if kind.startswith(("stop", "hold")) else 0.0
        faults.append(Fault(round(at_s, 1), kind, lasts_s))
        at_s += lasts_s + every_s * chance.uniform(0.7, 1.3)
    return faults


class Network(Protocol):
    """The proxy's handles."""

    def cut(self) -> None:
        """Cut every connection at once."""

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long."""


class Hands:
    """Breaks things of a server that this run started: only processes below its supervisor, by their pids."""

    def __init__(self, server: OwnServer, network: Network, chance: random.Random) -> None:
        self._server, self._network, self._chance = server, network, chance

    async def inject(self, fault: Fault) -> str:
        """Break one thing, and wait while that lasts; what exactly was done."""
        return await self._verbs()[fault.kind](fault.lasts_s)

    def _verbs(self) -> Mapping[str, Callable[[float], Awaitable[str]]]:
        return {
            "kill-worker": lambda _: self._kill("worker"),
            "stop-worker": lambda lasts_s: self._stop("worker", lasts_s),
            "kill-valkey": lambda _: self._kill("valkey"),
            "stop-valkey": lambda lasts_s: self._stop("valkey", lasts_s),
            "cut-bus": lambda _: self._cut_bus(),
            "cut-network": self._cut_network,
            "hold-network": self._hold_network,
        }

    def processes(self, role: str) -> list[psutil.Process]:
        """Those of our server that have this role now."""
        found = []
        for process in self._server.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                if role_of(process) == role:
                    found.append(process)
        return found

    async def _one(self, role: str) -> psutil.Process | None:
        # A worker that died a moment ago is not there yet.
        for _ in range(50):
            if found := self.processes(role):
                return self._chance.choice(found)
            await asyncio.sleep(0.1)
        return None

    async def _kill(self, role: str) -> str:
        process = await self._one(role)
        if process is None:
            return f"no {role} to kill"
        process.kill()
        return f"{role} {process.pid} killed"

    async def _stop(self, role: str, lasts_s: float) -> str:
        process = await self._one(role)
        if process is None:
            return f"no {role} to stop"
        process.suspend()
        try:
            await asyncio.sleep(lasts_s)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGCONT)
        return f"{role} {process.pid} stopped for {lasts_s:.1f} s"

    async def _cut_bus(self) -> str:
        try:
            async with own_valkey(self._server) as valkey:
                killed = await valkey.redis.client_kill_filter(_type="pubsub")
        except (RedisError, OSError, TimeoutError) as error:
            return f"CLIENT KILL failed: {error}"
        return f"{killed} pub/sub connections killed"

    async def _cut_network(self, _: float) -> str:
        self._network.cut()
        return "connections cut"

    async def _hold_network(self, lasts_s: float) -> str:
        self._network.hold(lasts_s)
        await asyncio.sleep(lasts_s)
        return f"nothing came through for {lasts_s:.1f} s"
