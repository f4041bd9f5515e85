"""Real WHEP viewers against a server: CPU for each packet, loss, delay, joins, memory; beside the bare floor.

python -m load_tests.viewers --viewers 200                   # our own server, 200 packets/s of 1100 bytes
python -m load_tests.viewers --viewers 500 --megabits 2      # a 2 Mbit/s host with sound
python -m load_tests.viewers --sweep 100,200,500,1000        # what one more viewer costs
python -m load_tests.viewers --whip URL --whep URL --token T --pid 123    # any other server
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import click
import psutil
import uvloop

from load_tests.options import json_option
from load_tests.relay_floor import measure_floor
from load_tests.run import Options
from load_tests.session import finish
from load_tests.viewers_host import Rate, SyntheticHost, split_frame
from load_tests.viewers_peers import Crowd
from load_tests.viewers_report import report
from load_tests.viewers_server import Target, own_server
from load_tests.whep_peer import Shared

#: parameters that the report does not show
_NOT_TOLD = ("token", "json_path")
#: bytes of a synthetic packet: RTP header included
PACKET_BYTES = 1100
#: seconds in which nobody joins: what the server takes then, for viewers who are there, is no part of a join
IDLE_S = 4.0


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    viewers: int
    rate: Rate
    seconds: float
    join_per_s: float
    processes: int
    floor: bool
    pause: bool
    verify_every: int = 1


async def _crowd(pipe: Connection, count: int, verify_every: int) -> None:
    """A process of viewers, told by the pipe what to do."""
    loop = asyncio.get_running_loop()
    crowd = Crowd(count, verify_every)
    connector = aiohttp.TCPConnector(limit=32)
    async with aiohttp.ClientSession(connector=connector) as http:
        while True:
            command, *arguments = await loop.run_in_executor(None, pipe.recv)
            if command == "join":
                await crowd.join(http, *arguments)
            elif command == "restart":
                crowd.restart()
            result = crowd.result()
            if command == "end":
                await crowd.aclose()
            pipe.send(result)
            if command == "end":
                return


def _crowd_process(pipe: Connection, count: int, verify_every: int) -> None:
    uvloop.run(_crowd(pipe, count, verify_every))


class Crowds:
    """Viewers in processes of their own."""

    def __init__(self, viewers: int, processes: int, verify_every: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for index in range(processes):
            ours, theirs = spawn.Pipe()
            count = viewers // processes + (index < viewers % processes)
            process = spawn.Process(target=_crowd_process, args=(theirs, count, verify_every), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    async def tell(self, *command: Any) -> dict[str, Any]:
        """Tell all, wait for all; their results as one."""
        for pipe in self._pipes:
            pipe.send(command)
        loop = asyncio.get_running_loop()
        return _joined([await loop.run_in_executor(None, pipe.recv) for pipe in self._pipes])


def _joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    total = dict(results[0])
    for other in results[1:]:
        for name, value in other.items():
            total[name] = max(total[name], value) if name.startswith("delay_") else total[name] + value
    return total


class _Usage:
    """What the server's process used; zeros where it is not ours to look at."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid) if pid else None
        self.cpu_s = self.seconds = self.bytes = 0.0
        self._last = (0.0, 0.0, 0.0)
        self.lap()

    def lap(self) -> None:
        """What was used since the last lap."""
        now = (0.0, time.monotonic(), 0.0)
        if self._process is not None:
            times = self._process.cpu_times()
            now = (times.user + times.system, now[1], float(self._process.memory_full_info().uss))
        self.cpu_s, self.seconds, self.bytes = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now


async def _idle_share(usage: _Usage) -> float:
    """The share of a core that the server takes while nobody joins."""
    usage.lap()
    await asyncio.sleep(IDLE_S)
    usage.lap()
    return usage.cpu_s / usage.seconds


async def measure(settings: Settings, target: Target, http: aiohttp.ClientSession) -> dict[str, Any]:
    """One run: the host, the joins, the steady state."""
    crowds = Crowds(settings.viewers, settings.processes, settings.verify_every)
    host = SyntheticHost(Shared(), settings.rate)
    await host.start(http, target.whip, target.host_token)
    await asyncio.sleep(1)
    found: dict[str, Any] = {}
    if settings.pause:  # without media the cost of joining stands alone
        await host.aclose(http, target.host_token)
        await asyncio.sleep(4)
    usage, began, asked = _Usage(target.pid), time.monotonic(), host.keyframe_requests
    join = ("join", target.whep, target.viewer_tokens, settings.join_per_s / settings.processes)
    await crowds.tell(*join, (0.0, 0.5))
    await asyncio.sleep(2)
    idle_share = await _idle_share(usage) if settings.pause else 0.0
    # The second half tells: whatever a server sets up once is set up by now.
    usage.lap()
    joined = await crowds.tell(*join, (0.5, 1.0))
    found["joins_took_s"] = round(time.monotonic() - began - 2, 2)
    found["keyframe_requests_during_joins"] = host.keyframe_requests - asked
    found |= {name: joined[name] for name in ("connected", "failures")}
    await asyncio.sleep(2)
    usage.lap()
    half = settings.viewers - settings.viewers // 2
    if target.pid:
        found["memory_kib_a_viewer"] = round(usage.bytes / half / 1024, 1)
    if settings.pause and target.pid:
        found["join_cpu_ms"] = round(usage.cpu_s / half * 1000, 2)
        found["join_cpu_ms_above_idle"] = round((usage.cpu_s - idle_share * usage.seconds) / half * 1000, 2)
    if settings.pause:
        host = SyntheticHost(Shared(), settings.rate)
        await host.start(http, target.whip, target.host_token)
        await asyncio.sleep(1)
    first = sorted((await crowds.tell("result"))["first_frame_ms"])
    if first and not settings.pause:
        found["first_frame_ms"] = {"median": first[len(first) // 2], "p95": first[int(len(first) * 0.95)]}
    await crowds.tell("restart")
    usage.lap()
    await asyncio.sleep(settings.seconds)
    usage.lap()
    result = await crowds.tell("end")
    await host.aclose(http, target.host_token)
    left_out = ("connected", "failures", "first_frame_ms")
    found |= {name: value for name, value in result.items() if name not in left_out}
    found["host_late_ms_max"] = round(host.late_s * 1000, 1)
    if target.pid:
        found["server_cpu_share"] = round(usage.cpu_s / usage.seconds, 3)
        found["server_us_a_packet_a_viewer"] = round(usage.cpu_s / max(1, result["packets"]) * 1e6, 3)
    return found


async def run(settings: Settings, target: Target | None) -> dict[str, Any]:
    """Measure, with the floor before and after."""
    sizes = [12 + each for each in split_frame(settings.rate.frame_bytes, settings.rate.packet_bytes)]
    floor = (settings.viewers, sizes, settings.rate.frames_per_s, min(settings.seconds, 8.0))
    loop = asyncio.get_running_loop()
    before = await loop.run_in_executor(None, measure_floor, *floor) if settings.floor else None
    async with aiohttp.ClientSession() as http:
        if target is not None:
            found = await measure(settings, target, http)
        else:
            async with own_server(http, settings.viewers) as own:
                found = await measure(settings, own, http)
    if before is not None:
        after = await loop.run_in_executor(None, measure_floor, *floor)
        found["floor_us"] = [round(before[0], 3), round(after[0], 3)]
        found["floor_arrived"] = round(min(before[1], after[1]), 4)
        if "server_us_a_packet_a_viewer" in found:
            found["times_floor"] = round(found["server_us_a_packet_a_viewer"] / min(before[0], after[0]), 2)
    return found


class _Counts(click.ParamType[list[int]]):
    """Numbers of viewers, by commas."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Each at least two."""
        try:
            counts = [int(each) for each in str(value).split(",")]
        except ValueError:
            counts = [0]
        if min(counts) < 2:
            self.fail(f"{value!r} is no list of numbers of viewers", param, ctx)
        return counts


EXAMPLES = """\b
Examples:
  python -m load_tests viewers --megabits 2 --seconds 8 --no-floor
      200 viewers of a host of 2 Mbit/s, at a server of our own
  python -m load_tests viewers --sweep 100,200,500,1000 --json sweep.json
      what one packet to one viewer costs, by the number of viewers
  python -m load_tests viewers --whip https://relay.example/whip/s1 --whep https://relay.example/whep/s1 --token …
      any other WHIP and WHEP server (yours)
"""


@click.command("viewers", epilog=EXAMPLES)
@click.option("--viewers", "count", default=200, show_default=True, type=click.IntRange(2, 5000), help="Viewers.")
@click.option("--sweep", type=_Counts(), help="Instead: a run for each of so many viewers, such as 100,200,500,1000.")
@click.option("--packets", default=200.0, show_default=True, type=click.FloatRange(1, 5000),
              help="Packets a second of 1100 bytes.")  # fmt: skip
@click.option(
    "--megabits",
    type=click.FloatRange(0.05, 20),
    help="Instead: a host of so many Mbit/s at 30 frames a second, with sound.",
)
@click.option("--seconds", default=15.0, show_default=True, type=click.FloatRange(0.5, 86_400),
              help="Seconds to measure.")  # fmt: skip
@click.option("--joins", default=40.0, show_default=True, type=click.FloatRange(0.1, 1000), help="Joins a second.")
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes the viewers are spread over.",
)
@click.option(
    "--verify-every",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Once its picture is there a viewer decrypts one packet in so many; it reads all headers.",
)
@click.option("--pause", is_flag=True, help="Join while the host is away: what a join costs by itself.")
@click.option("--floor/--no-floor", default=True, help="Measure the bare loop, too, before and after.")
@click.option("--whip", metavar="URL", help="Another server: where to publish.")
@click.option("--whep", metavar="URL", help="Another server: where to watch.")
@click.option("--token", default="", help="Another server: the bearer token for both.")
@click.option("--pid", default=0, help="Another server: the process whose CPU and memory to look at.")
@json_option
def main(count: int, sweep: list[int] | None, packets: float, megabits: float | None, seconds: float, joins: float,
         processes: int, verify_every: int, pause: bool, floor: bool, whip: str | None, whep: str | None, token: str,
         pid: int, json_path: Path | None) -> None:  # fmt: skip
    """Real WHEP viewers: CPU a packet, loss, delay, joins and memory of a relay, beside the bare floor.

    Each viewer has a socket of its own and does ICE, DTLS and SRTP; it checks sequence, authenticity and frames, and
    decodes nothing. The crowd runs on the same machine: its CPU comes on top of the server's.
    """
    if megabits:
        rate = Rate(30.0, int(megabits * 1e6 / 8 / 30), None, audio=True)
    else:
        rate = Rate(25.0, int(packets / 25 * PACKET_BYTES), PACKET_BYTES)
    if bool(whip) != bool(whep):
        raise click.UsageError("--whip and --whep belong together")
    target = Target(whip, whep, token, [token], pid) if whip and whep else None
    given = {name: value for name, value in click.get_current_context().params.items() if name not in _NOT_TOLD}
    runs = {
        each: uvloop.run(run(Settings(each, rate, seconds, joins, processes, floor, pause, verify_every), target))
        for each in sweep or [count]
    }
    finish(report(given, runs), Options(json_path=json_path))


if __name__ == "__main__":
    main()
