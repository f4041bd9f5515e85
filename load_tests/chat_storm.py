"""A chat storm: so many viewers, so many messages a second; what a delivery costs and how long it takes.

Drivers say who is hammered: our server, and a plain WebSocket broadcast server to compare with. Both are measured in
the same run, by the same viewers, beside the bare loop of ``socket.send`` that no server in Python can beat.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from load_tests import rooms_checks, stage_checks
from load_tests.arrivals import Pace
from load_tests.baselines.plain import plain_server
from load_tests.histogram import Histogram
from load_tests.rooms_floor import measure_floor
from load_tests.rooms_generator import Crowds, Seats, shares_of
from load_tests.rooms_hearing import arrival, spoken
from load_tests.rooms_people import FILLER, Deeds
from load_tests.rooms_tally import Tally
from load_tests.run import Run
from load_tests.server_metrics import counted
from load_tests.usage import cpu_s

#: what our server counts of its ticks
_FAN_OUT = ("livecommerce_room_fan_out_seconds_total", "livecommerce_room_frames_total")
#: bytes of a message's event around its text
_AROUND = 145
#: the room's own rhythm, before anything is measured
_WARM_UP_S = 0.5
#: the longest wait for what was said to reach everybody
PATIENCE_S = 60.0
#: limits that are not what is measured
LIMITS = ("user=1000000/1000000", "chat=1000/1000", "chatroom=100000/100000", "commands=1000/1000")
SERVER_OPTIONS = tuple(word for limit in LIMITS for word in ("--limit", limit))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; see the command's help."""

    viewers: int
    paces: tuple[Pace, ...]
    seconds: float
    drivers: tuple[str, ...]
    floor: bool = True


@dataclass(frozen=True, slots=True)
class _Row:
    driver: str
    pace: Pace
    said: int
    took_s: float
    deliveries: int
    frames: int
    used_s: float
    floor: float
    #: what the server says of its ticks: CPU, and frames that they wrote; zeros where it says nothing
    fan_out_s: float = 0.0
    sends: float = 0.0


class Driver(Protocol):
    """A server with one room."""

    name: str
    address: tuple[str, int]
    path: str

    def token(self, number: int) -> str:
        """What lets this viewer in."""

    def cpu_s(self) -> float:
        """CPU of the processes that hold the viewers' connections, so far; 0 where it is not ours to look at."""

    def fan_out(self) -> tuple[float, float]:
        """CPU seconds of writing to viewers, and frames written, so far, by its own count; zeros: it counts none."""


class Livecommerce:
    """Our server: that of the run."""

    name = "livecommerce"

    def __init__(self, run: Run, stream_id: str) -> None:
        self._run = run
        self.address, self.path = run.target.address, f"/ws/{stream_id}"

    def token(self, number: int) -> str:
        """A viewer's, who may chat."""
        return self._run.target.mint(f"v{number}", f"Viewer {number}", ["watch", "chat"])

    def cpu_s(self) -> float:
        """That of the workers."""
        return self._run.usage.used_s(["worker"])

    def fan_out(self) -> tuple[float, float]:
        """From its metrics."""
        seconds, frames = counted(self._run.target.url, *_FAN_OUT)
        return seconds, frames

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, run: Run) -> AsyncIterator[Driver]:
        """With a stream of its own, which is ended afterwards."""
        async with run.target.client(run.target.mint("storm-host", "Host", ["host", "watch", "chat"])) as host:
            stream_id = (await host.create_stream("Chat storm"))["id"]
            try:
                yield cls(run, stream_id)
            finally:
                await host.end_stream(stream_id)


class Plain:
    """The usual way: see ``baselines/plain.py``."""

    name = "plain"
    path = "/ws/plain"

    def __init__(self, address: tuple[str, int], pid: int) -> None:
        self.address, self._pid = address, pid

    def token(self, number: int) -> str:
        """It asks for none."""
        return ""

    def cpu_s(self) -> float:
        """That of its one process."""
        return cpu_s(self._pid)

    def fan_out(self) -> tuple[float, float]:
        """It does not count."""
        return 0.0, 0.0

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, run: Run) -> AsyncIterator[Driver]:
        """In a process of its own."""
        with plain_server() as server:
            run.usage.watch("plain server", server.pid)
            yield cls(server.address, server.pid)


DRIVERS: Mapping[str, Callable[[Run], contextlib.AbstractAsyncContextManager[Driver]]] = {
    Livecommerce.name: Livecommerce.started,
    Plain.name: Plain.started,
}


async def scenario(run: Run, plan: Plan) -> None:
    """Each driver at each rate, with the floor before and after."""
    run.headline = _named(plan.drivers[0], plan.paces[0])
    floors: dict[Pace, float] = {}
    if plan.floor:
        with run.phase("floor"):
            for pace in plan.paces:
                floors[pace] = await _floor(plan, pace)
    rows: list[_Row] = []
    for name in plan.drivers:
        async with DRIVERS[name](run) as driver:
            rows += await _measure(run, plan, driver, floors)
    _figures(run, rows)
    if plan.floor:
        run.note("The floor is a loop of socket.send of one frame to each viewer, and nothing else, before the rest.")
    run.note("A delivery's CPU is all that the workers used: commands, Valkey's client, sweeps and collections, too.")


async def _floor(plan: Plan, pace: Pace) -> float:
    loop = asyncio.get_running_loop()
    # More than this would not cost less: each send is the same.
    rate, seconds = min(pace.end, 50), min(plan.seconds, 5.0)
    return await loop.run_in_executor(None, measure_floor, plan.viewers, _AROUND + len(FILLER), rate, seconds)


def crowds(run: Run, driver: Driver, viewers: int, *, comes_back: bool = False) -> Crowds:
    """A driver's viewers, dealt out to the run's generators."""
    shares = [
        Seats(
            address=driver.address,
            path=driver.path,
            tokens=[driver.token(number) for number in numbers],
            name=f"{driver.name}{part}",
            seed=run.seed * 1000 + part,
            comes_back=comes_back,
        )
        for part, numbers in enumerate(shares_of(viewers, run.options.generators))
    ]
    return Crowds(run, shares, name=f"viewers of {driver.name}")


async def _measure(run: Run, plan: Plan, driver: Driver, floors: Mapping[Pace, float]) -> list[_Row]:
    rows = []
    async with crowds(run, driver, plan.viewers) as room:
        with run.phase(f"{driver.name}: joining"):
            room.join()
            tally = await room.until_joined()
        run.judge(stage_checks.entered(tally.joined, plan.viewers, tally.join_s, where=f"{driver.name}: "))
        await run.sleep(room.talk(Pace.constant(20), _WARM_UP_S))
        await settled(room)
        for pace in plan.paces:
            if not run.stopping.is_set():
                with run.phase(f"{driver.name}: {pace}"):
                    rows.append(await _storm(run, plan, driver, room, pace, floors.get(pace, 0.0)))
        # The histories are those of all rates.
        deeds, tally = await settled(room)
    for check in (*rooms_checks.histories(tally, deeds), *rooms_checks.answers(deeds)):
        run.check(f"{driver.name}: {check.name}", check.passed, check.detail)
    return rows


async def settled(room: Crowds) -> tuple[Deeds, Tally]:
    """Wait until all that was asked is answered, and all that was said is read; or as long as patience lasts."""
    room.hush()
    await room.until_answered(PATIENCE_S)
    deeds = await room.deeds()
    top = max((offset for offset, _ in deeds.said), default=0)
    await room.until_at(top, PATIENCE_S)
    return deeds, await room.result(top)


def _named(driver: str, pace: Pace) -> str:
    return f"{driver}, {pace}: to a viewer"


async def _storm(run: Run, plan: Plan, driver: Driver, room: Crowds, pace: Pace, floor: float) -> _Row:
    """Talk at one rate until everybody has everything."""
    said_before = len((await room.deeds()).said)
    room.restart(_named(driver.name, pace))
    fan_out_s, sends = driver.fan_out()
    used_s, began_s = driver.cpu_s(), time.monotonic()
    await run.sleep(room.talk(pace, plan.seconds))
    deeds, tally = await settled(room)
    took_s, used_s = time.monotonic() - began_s, driver.cpu_s() - used_s
    said, (after_s, after) = len(deeds.said) - said_before, driver.fan_out()
    counts = said, took_s, tally.deliveries, tally.frames
    return _Row(driver.name, pace, *counts, used_s, floor, after_s - fan_out_s, after - sends)


def _figures(run: Run, rows: Sequence[_Row]) -> None:
    """Once all meters are in: costs beside the floor as figures, the rest as tables."""
    table: list[Sequence[str | float]] = []
    causes: list[Sequence[str | float]] = []
    for row in rows:
        name, heard = f"{row.driver}, {row.pace}", _named(row.driver, row.pace)
        _costs(run, name, row)
        times = run.timeline.total.histograms.get(heard, Histogram())
        joined = round(row.deliveries / max(1, row.frames), 1)
        table.append([row.driver, str(row.pace), row.said, *_late(times), joined, round(row.took_s, 1)])
        for percent in (50, 99):
            run.figure(f"{name}: p{percent} to a viewer", times.percentile(percent) / 1000, "ms", "lower")
        for until, part in (("it was sent", spoken(heard)), ("it came to a viewer's machine", arrival(heard))):
            so_far = run.timeline.total.histograms.get(part, Histogram())
            causes.append([row.driver, str(row.pace), until, *_late(so_far)])
            run.figure(f"{name}: p99 until {until}", so_far.percentile(99) / 1000, "ms", "lower")
        causes.append([row.driver, str(row.pace), "the generator read it", *_late(times)])
    percentiles = ("p50, ms", "p99, ms", "p99.9, ms", "max, ms")
    columns = ("driver", "messages/s", "said", *percentiles, "events a frame", "done, s")
    run.table("From when a message was due to each viewer's reading it", columns, table)
    note = (
        "The generator shares the machine's cores: what it reads late, the server and the kernel had delivered before."
    )
    run.table("Which side is late: the same time until", ("driver", "messages/s", "until", *percentiles), causes, note)


def _late(times: Histogram) -> list[float]:
    return [round(times.percentile(percent) / 1000, 1) for percent in (50, 99, 99.9, 100)]


def _costs(run: Run, name: str, row: _Row) -> None:
    """What a delivery costs: the worker with all that it does, and its ticks alone."""
    count, what = max(1, row.deliveries), f"socket.send to all, {row.pace}"
    if row.used_s:
        run.floor(f"{name}: CPU a delivery", row.used_s / count * 1e6, row.floor, "µs", what)
        run.figure(f"{name}: deliveries per core·second", count / row.used_s, "", "higher")
    if row.sends and row.fan_out_s:
        run.floor(f"{name}: CPU of a tick's send to a viewer", row.fan_out_s / row.sends * 1e6, row.floor, "µs", what)
        run.figure(f"{name}: deliveries per core·second of ticks", count / row.fan_out_s, "", "higher")
