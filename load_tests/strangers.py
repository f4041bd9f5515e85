"""What datagrams of nobody cost a relay: CPU for each, by kind, reading included; beside the bare reading.

A worker's media socket is on the open internet: who floods it must not cost more than the reading, and no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import struct
import time
from collections.abc import Callable, Mapping

from load_tests.report import Check, Figure, Report
from streams import stun
from streams.transport import Transport

#: sent, then read at once
BATCH = 64
#: µs CPU that one of them may take, reading included
MOST_US = 5.0
_MAGIC = b"\x21\x12\xa4\x42"


def kinds() -> dict[str, bytes]:
    """One datagram of each kind that gets furthest."""
    many = b"".join(struct.pack("!HH", 0x8022, 0) for _ in range(130))
    return {
        "RTP": b"\x80\x60" + bytes(1100),
        "RTCP": b"\x80\xc9" + bytes(60),
        "DTLS ClientHello": b"\x16\xfe\xfd" + bytes(200),
        "STUN check of nobody": stun.request("0123456789abcdef01", "wrong", os.urandom(12)),
        "STUN check of 130 attributes": struct.pack("!HH", 1, len(many)) + _MAGIC + bytes(12) + many,
        "noise": b"\xff" + bytes(60),
    }


def cheap(costs_us: Mapping[str, float]) -> Check:
    """No kind costs more than it may."""
    worst = max(costs_us, key=costs_us.__getitem__)
    return Check("a stranger's datagram is cheap", costs_us[worst] <= MOST_US, f"{worst}: {costs_us[worst]:.1f} µs")


def unanswered(sent: int, thrown_away: int, kept: int) -> Check:
    """All were thrown away, and nothing was kept of any."""
    said = f"{thrown_away:,} of {sent:,} thrown away, {kept} addresses kept"
    return Check("strangers are forgotten", thrown_away == sent and not kept, said)


def silent(answers: int) -> Check:
    """Nobody was answered."""
    return Check("strangers get no answer", not answers, f"{answers} answers")


def _cost_us(sock: socket.socket, read: Callable[[], None], datagram: bytes, address: tuple[str, int]) -> float:
    """µs CPU for one datagram of a batch."""
    for _ in range(BATCH):
        sock.sendto(datagram, address)
    began = time.process_time_ns()
    read()
    return (time.process_time_ns() - began) / BATCH / 1000


def _bare(receiver: socket.socket, view: memoryview) -> None:
    for _ in range(BATCH):
        receiver.recvfrom_into(view)


def _best_tenth(costs_us: list[float]) -> float:
    return statistics.quantiles(costs_us, n=10)[0]


async def _measure(rounds: int, report: Report) -> None:
    transport, view = Transport("127.0.0.1", 0), memoryview(bytearray(2048))
    transport.open()
    media, loop = transport.media, asyncio.get_running_loop()
    assert media.sock is not None
    loop.remove_reader(media.sock.fileno())  # read when we say so, not when the loop gets to it
    costs: dict[str, list[float]] = {}
    floors: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as bare:
        bare.bind(("127.0.0.1", 0))
        for _ in range(rounds):
            for kind, datagram in kinds().items():
                costs.setdefault(kind, []).append(_cost_us(sock, media._readable, datagram, ("127.0.0.1", media.port)))
                floors.append(_cost_us(sock, lambda: _bare(bare, view), datagram, bare.getsockname()))
        # An answer would be waiting here.
        sock.setblocking(False)
        answers = 0
        with contextlib.suppress(BlockingIOError):
            while sock.recv(2048):
                answers += 1
        report.judge(silent(answers))
    # The best tenth: what others on this machine take is not the relay's.
    best = {kind: _best_tenth(each) for kind, each in costs.items()}
    for kind, cost_us in best.items():
        report.figures[kind] = Figure(cost_us, "µs", "lower")
    report.figures["the bare reading"] = Figure(_best_tenth(floors), "µs")
    report.judge(cheap(best))
    report.judge(unanswered(rounds * BATCH * len(costs), transport.strangers, len(transport.by_address)))
    transport.close()


def measure(rounds: int) -> Report:
    """So many batches of each kind."""
    report = Report("strangers", {"rounds": rounds, "datagrams a batch": BATCH})
    asyncio.run(_measure(rounds, report))
    return report
