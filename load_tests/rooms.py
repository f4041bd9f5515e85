"""Rooms under load: what a delivery costs beside a bare loop, storms, stalled readers; every history checked."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import uvloop

from livecommerce.client.room import Room
from load_tests.baselines.aiohttp_room import measure_baseline
from load_tests.report import Report
from load_tests.rooms_floor import measure_floor
from load_tests.rooms_server import Crowds, RoomServer, missing, room_server
from load_tests.rooms_viewers import Crowd, Tally

#: of a message's text, about what people write
FILLER = "this lamp looks great on my desk " * 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    viewers: int
    seconds: float
    workers: int = 1
    processes: int = 1


@contextmanager
def _crowds(server: RoomServer, size: Size) -> Iterator[Crowds]:
    crowds = Crowds(server, size.viewers, size.processes)
    try:
        yield crowds
    finally:
        crowds.aclose()


def _note_load(report: Report) -> None:
    """What else ran is part of what was seen."""
    report.figures["load average of the machine before"] = f"{os.getloadavg()[0]:.1f}"


def _check_history(report: Report, tally: Tally) -> None:
    report.check("no event was lost", tally.lost == 0, f"{tally.lost}")
    report.check("no event came twice or out of order", tally.doubled == 0, f"{tally.doubled}")
    report.check("all viewers saw the same log", tally.forks == 0, f"{tally.forks}")
    report.check("every viewer has the newest event", tally.behind == 0, f"{tally.behind} behind")


def fanout(size: Size, rates: tuple[float, ...], *, baseline: bool = True) -> Report:
    """CPU of the workers for one event to one viewer, at some rates; bare send loops before and after each."""
    report = Report("rooms fanout", {"viewers": size.viewers, "seconds": size.seconds, "workers": size.workers})
    _note_load(report)
    with room_server(size.workers) as server, _crowds(server, size) as crowds:
        crowds.order("join")
        crowds.until_joined()
        server.emit_paced(20, 1, FILLER)
        for rate in rates:
            frame = 145 + len(FILLER)
            before = measure_floor(size.viewers, frame, min(rate, 50), min(size.seconds, 5))
            crowds.order("restart")
            crowds.result()
            cpu_s = server.cpu_s()
            top = server.emit_paced(rate, size.seconds, FILLER)
            tally = crowds.until_at(top)
            cpu_s = server.cpu_s() - cpu_s
            after = measure_floor(size.viewers, frame, min(rate, 50), min(size.seconds, 5))
            _fanout_figures(report, rate, size, tally, cpu_s, (before, after))
            _check_history(report, tally)
        if baseline:
            cost = measure_baseline(size.viewers, FILLER, rates[0], min(size.seconds, 10))
            report.figures[f"{rates[0]:g}/s: aiohttp send_str loop, µs CPU a delivery"] = round(cost, 2)
    return report


def _fanout_figures(
    report: Report, rate: float, size: Size, tally: Tally, cpu_s: float, floors: tuple[float, float]
) -> None:
    deliveries = rate * size.seconds * size.viewers
    floor, cost = sum(floors) / 2, cpu_s / deliveries * 1e6
    report.figures |= {
        f"{rate:g}/s: server, µs CPU a delivery": f"{cost:.2f}",
        f"{rate:g}/s: bare send loop, µs CPU a send (before, after)": f"{floors[0]:.2f}, {floors[1]:.2f}",
        f"{rate:g}/s: ratio": f"{cost / floor:.2f}",
        f"{rate:g}/s: deliveries per core·second": f"{deliveries / cpu_s:,.0f}",
        f"{rate:g}/s: events a frame": f"{tally.deliveries / max(1, tally.frames):.1f}",
        f"{rate:g}/s: p50, p99 delivery, ms": f"{tally.percentile_ms(50):.1f}, {tally.percentile_ms(99):.1f}",
    }


def crowd(size: Size, messages_per_s: float) -> Report:
    """Many viewers, some of whom chat: time from sending a message to each viewer's reading it."""
    settings = {"viewers": size.viewers, "messages_per_s": messages_per_s, "seconds": size.seconds}
    report = Report("rooms crowd", settings | {"workers": size.workers})
    _note_load(report)
    with room_server(size.workers) as server, _crowds(server, size) as crowds:
        crowds.order("join")
        joined = crowds.until_joined()
        crowds.order("restart")
        crowds.result()
        cpu_s = server.cpu_s()
        said = uvloop.run(_chat(server, messages_per_s, size.seconds))
        tally = crowds.until_at(max(offset for offset, _ in said))
        report.figures |= {
            "joined in, s": f"{joined.join_s:.1f}",
            "p50, p99, worst delivery, ms": ", ".join(f"{tally.percentile_ms(p):.1f}" for p in (50, 99, 100)),
            "reach, %": f"{tally.deliveries / (len(said) * size.viewers) * 100:.2f}",
            "workers' CPU, share of a core": f"{(server.cpu_s() - cpu_s) / size.seconds:.2f}",
        }
        _check_history(report, tally)
        report.check("every acknowledged message reached all", missing(tally, said) == 0, f"{len(said)} messages")
        report.check("p99 is at most 100 ms", tally.percentile_ms(99) <= 100, f"{tally.percentile_ms(99):.1f} ms")
    return report


async def _chat(server: RoomServer, messages_per_s: float, seconds: float) -> list[tuple[int, str]]:
    """Say things as the host by WebSocket; (offset, id) of what was acknowledged."""
    said = []
    async with (
        aiohttp.ClientSession() as session,
        Room(session, server.server.url, server.stream_id, server.host_token) as room,
    ):
        started_s, sent = time.monotonic(), 0
        while sent < messages_per_s * seconds:
            await asyncio.sleep(max(0.0, started_s + sent / messages_per_s - time.monotonic()))
            sent += 1
            # Told apart by their numbers: a duplicate filter must not meet them.
            answer = await room.chat(f"t:{time.monotonic_ns()} {sent} {FILLER}")
            said.append((answer["offset"], answer["id"]))
    return said


def storm(size: Size, events_per_s: float) -> Report:
    """Everybody's connection is cut, and everybody comes back, while the room goes on."""
    report = Report("rooms storm", {"viewers": size.viewers, "events_per_s": events_per_s, "workers": size.workers})
    _note_load(report)
    with room_server(size.workers) as server, _crowds(server, size) as crowds:
        crowds.order("join")
        crowds.until_joined()
        server.emit_paced(events_per_s, 1, FILLER)
        time.sleep(1)
        reads, commands, cpu_s = server.log_reads(), server.commands(), server.cpu_s()
        crowds.order("drop")
        server.emit_paced(events_per_s, 0.5, FILLER)
        began_s, emitted = time.monotonic(), 0
        crowds.order("join")
        while (tally := crowds.result()).joined < size.viewers and time.monotonic() - began_s < 60:
            server.emit(FILLER)
            emitted += 1
            time.sleep(1 / events_per_s)
        top = server.emit(FILLER)
        tally = crowds.until_at(top)
        report.figures |= {
            "all back and recovered after, s": f"{tally.join_s:.2f}",
            "and with the newest event after, s": f"{time.monotonic() - began_s:.2f}",
            "recovered": f"{tally.recovered} of {size.viewers}",
            "reads of the log in Valkey": server.log_reads() - reads,
            "commands to Valkey a join": f"{(server.commands() - commands - emitted) / size.viewers:.2f}",
            "workers' CPU, ms a join": f"{(server.cpu_s() - cpu_s) / size.viewers * 1000:.2f}",
        }
        _check_history(report, tally)
        report.check("everybody recovered", tally.recovered == size.viewers and tally.announced == 0)
        report.check("within 5 s", tally.join_s <= 5, f"{tally.join_s:.2f} s")
        allowed = size.workers
        report.check("at most one read of the log a worker", server.log_reads() - reads <= allowed)
    return report


def stalled(size: Size, events_per_s: float) -> Report:
    """One viewer stops reading among many: what the others notice, when it is closed, whether it recovers."""
    report = Report("rooms stalled", {"viewers": size.viewers, "events_per_s": events_per_s, "seconds": size.seconds})
    _note_load(report)
    filler = FILLER * 12
    with room_server(1) as server, _crowds(server, size) as crowds:
        crowds.order("join")
        crowds.until_joined()
        crowds.order("restart")
        calm = crowds.until_at(server.emit_paced(events_per_s, size.seconds, filler))
        sleeper = Crowd(server.address, f"/ws/{server.stream_id}", [server.host_token], receive_buffer=4096)
        sleeper.join()
        _until(sleeper, lambda: sleeper.tally.joined == 1)
        crowds.order("restart")
        crowds.result()
        began_s, closed_s, top = time.monotonic(), 0.0, 0
        while time.monotonic() - began_s < max(60.0, size.seconds) and not closed_s:
            top = server.emit_paced(events_per_s, 0.25, filler)
            if server.metric('livecommerce_room_closed_total{code="3008"'):
                closed_s = time.monotonic() - began_s
        during = crowds.until_at(top)
        _until(sleeper, lambda: sleeper.viewers[0].sock is None or bool(sleeper.tally.closes))
        code = next(iter(sleeper.tally.closes), 0)
        sleeper.drop()
        sleeper.join()
        _until(sleeper, lambda: sleeper.result(top).behind == 0)
        slept = sleeper.result(top)
        sleeper.aclose()
        report.figures |= {
            "others' p50, p99 before, ms": f"{calm.percentile_ms(50):.1f}, {calm.percentile_ms(99):.1f}",
            "others' p50, p99 meanwhile, ms": f"{during.percentile_ms(50):.1f}, {during.percentile_ms(99):.1f}",
            "closed after, s": f"{closed_s:.1f}",
            "close code it read": code,
        }
        _check_history(report, during)
        report.check("it was closed with 3008", bool(closed_s) and code in (3008, 0))
        report.check("it recovered whole", slept.recovered == 1 and slept.lost == slept.doubled == slept.behind == 0)
    return report


def soak(size: Size, events_per_s: float) -> Report:
    """The same again and again: the workers' memory must not grow."""
    report = Report("rooms soak", {"viewers": size.viewers, "events_per_s": events_per_s, "seconds": size.seconds})
    _note_load(report)
    parts = 20
    with room_server(size.workers) as server, _crowds(server, size) as crowds:
        crowds.order("join")
        crowds.until_joined()
        memory = []
        for _ in range(parts):
            top = server.emit_paced(events_per_s, size.seconds / parts, FILLER)
            memory.append(server.memory_mib())
        tally = crowds.until_at(top)
        # The first quarter fills rings and pools.
        early, late = statistics.median(memory[5:10]), statistics.median(memory[15:])
        report.figures |= {
            "deliveries": f"{tally.deliveries:,}",
            "workers' memory, second quarter, MiB": round(early, 1),
            "workers' memory, last quarter, MiB": round(late, 1),
        }
        _check_history(report, tally)
        report.check("memory is flat", late <= early * 1.03 + 1, f"{late - early:+.1f} MiB")
    return report


def _until(crowd: Crowd, done: object, patience_s: float = 20.0) -> None:
    deadline = time.monotonic() + patience_s
    assert callable(done)
    while not done() and time.monotonic() < deadline:
        crowd.turn(0.05)
