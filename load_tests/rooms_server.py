"""A server of our own with one stream, seen from outside: its viewers, its log, its processes."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

import msgspec
import psutil
from redis import Redis

from livecommerce import keys
from livecommerce.auth import TokenAuthority
from livecommerce.data_dir import DataDirectory
from livecommerce.scripting import PRELUDE
from load_tests.own_server import OwnServer, own_server
from load_tests.rooms_viewers import Tally, crowd_process

#: what one worker of a group would do: one event by the script that all use
_EMIT = f"{PRELUDE}\nreturn emit(KEYS[1], KEYS[2], now_ms(), 'chat.message', ARGV[1])"
#: how long anything may take that should take seconds
PATIENCE_S = 120.0
#: limits that are not what is measured
_LIMITS = ("--limit", "user=1000000/1000000", "--limit", "chat=1000/1000", "--limit", "commands=1000/1000")


class RoomServer:
    """A running server, one stream in it, and its Valkey."""

    def __init__(self, server: OwnServer) -> None:
        self.server = server
        self.tokens = TokenAuthority(server.secret)
        self.host_token = self.tokens.mint("host", "Host", ["watch", "chat", "host"])
        request = urllib.request.Request(
            f"{server.url}/api/v1/streams",
            data=b'{"title":"Load"}',
            headers={"Authorization": f"Bearer {self.host_token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.stream_id: str = json.load(answer)["id"]
        socket = DataDirectory(Path(server.log.parent, "data")).socket()
        self.redis = Redis.from_url(f"unix://{quote(str(socket))}")
        self._emit = self.redis.register_script(_EMIT)
        self._keys = [keys.room(self.stream_id), keys.log(self.stream_id)]
        self._number = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.server.url.removeprefix("http://").partition(":")
        return host, int(port)

    def emit(self, filler: str) -> int:
        """One message in the log, by nobody's command; its offset."""
        self._number += 1
        text = f"t:{time.monotonic_ns()} {filler}"
        user = {"id": "robot", "name": "Robot", "roles": []}
        message = msgspec.json.encode({"id": f"m{self._number}", "user": user, "text": text})
        return int(self._emit(keys=self._keys, args=[message]))

    def emit_paced(self, events_per_s: float, seconds: float, filler: str) -> int:
        """Events at an even pace; the last one's offset."""
        started_s, sent, offset = time.monotonic(), 0, 0
        while sent < events_per_s * seconds:
            time.sleep(max(0.0, started_s + sent / events_per_s - time.monotonic()))
            offset = self.emit(filler)
            sent += 1
        return offset

    def cpu_s(self) -> float:
        """CPU of the workers so far, from the scheduler's own clock (ns, not ticks)."""
        return sum(_cpu_ns(pid) for pid in self.workers()) / 1e9

    def workers(self) -> list[int]:
        """The workers' processes."""
        return [p.pid for p in self.server.tree() if "livecommerce.worker" in p.cmdline()]

    def memory_mib(self) -> float:
        """What the workers alone hold."""
        return sum(psutil.Process(pid).memory_full_info().uss for pid in self.workers()) / 2**20

    def log_reads(self) -> int:
        """How often the room's log was read so far."""
        stats = self.redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("xrange", "xrevrange"))

    def commands(self) -> int:
        """How many commands Valkey has had so far."""
        return int(self.redis.info("stats")["total_commands_processed"])

    def metric(self, name: str) -> float:
        """One figure of /metrics; 0 when it is not there."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _cpu_ns(pid: int) -> int:
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


@contextlib.contextmanager
def room_server(workers: int) -> Iterator[RoomServer]:
    """Run a server with one stream until the block ends."""
    with own_server("--workers", str(workers), "--log-level", "warning", *_LIMITS) as server:
        yield RoomServer(server)


class Crowds:
    """Viewers in processes of their own."""

    def __init__(self, server: RoomServer, viewers: int, processes: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.viewers = viewers
        self._pipes: list[Connection] = []
        self._processes = []
        tokens = [server.tokens.mint(f"v{i}", f"Viewer {i}", ["watch", "chat", "buy"]) for i in range(viewers)]
        for index in range(processes):
            ours, theirs = spawn.Pipe()
            arguments = (theirs, server.address, f"/ws/{server.stream_id}", tokens[index::processes])
            process = spawn.Process(target=crowd_process, args=arguments, daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def order(self, *orders: str) -> None:
        """Tell all."""
        for order in orders:
            for pipe in self._pipes:
                pipe.send((order,))

    def result(self, top: int = 0) -> Tally:
        """What they have seen so far, as one."""
        for pipe in self._pipes:
            pipe.send(("result", top))
        total = Tally()
        for pipe in self._pipes:
            total.add(pipe.recv())
        return total

    def until_joined(self) -> Tally:
        """Wait until everybody has joined."""
        return self._until(lambda tally: tally.joined >= self.viewers, 0)

    def until_at(self, top: int) -> Tally:
        """Wait until everybody has the event of this offset."""
        return self._until(lambda tally: tally.behind == 0, top)

    def _until(self, done: Callable[[Tally], bool], top: int) -> Tally:
        deadline = time.monotonic() + PATIENCE_S
        while not done(tally := self.result(top)):
            if time.monotonic() > deadline:
                return tally
            time.sleep(0.05)
        return tally

    def aclose(self) -> None:
        """End them."""
        self.order("end")
        for process in self._processes:
            process.join(10)


def missing(tally: Tally, acknowledged: Sequence[tuple[int, str]]) -> int:
    """Acknowledged messages that are not, as that message, at their place in what viewers saw."""
    return sum(tally.ids.get(offset) != name for offset, name in acknowledged)
