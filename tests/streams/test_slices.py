"""What a large audience is sent leaves room for others, and what waited too long is left out."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from streams import fanout
from streams.fanout import MAX_WAITING_RUNS, FanOut, prepare
from tests.streams.peers import until
from tests.streams.receivers import BUFFER, RENDERING, Receiver, expected, frame


async def test_large_audiences_are_served_in_slices_in_order(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)  # every look at the clock ends a slice
    fan = FanOut(sock, asyncio.get_running_loop())
    packets = [frame(100, 300, 300), frame(102, 200)]
    turns = 0
    for each in packets:
        fan.send(prepare(each, RENDERING, 99, BUFFER), receivers)
    receivers[-1].context = None  # one leaves meanwhile
    while receivers[-2].packets_sent < 3:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    for viewer in receivers[:-1]:
        assert viewer.received(3) == expected([*packets[0], *packets[1]])
    assert receivers[-1].packets_sent == 0


async def test_what_waited_too_long_is_dropped_but_never_the_newest(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)
    fan = FanOut(sock, asyncio.get_running_loop())
    old, new = frame(100, 10), frame(101, 10)
    for packet in old + new:
        packet.arrived_s = time.monotonic() - 2 * fanout.MAX_WAIT_S
    first = frame(99, 10)
    for packets in (first, old, new):
        fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers)
    await until("the newest is sent", lambda: receivers[-1].packets_sent == 2)
    assert fan.runs_dropped == 1
    assert receivers[-1].received(2) == expected([*first, *new])
    assert {viewer.packets_dropped for viewer in receivers} == {len(old)}
    fan.close()


@pytest.mark.parametrize(("waited_s", "slices"), [(fanout.LATE_S / 2, 0), (2 * fanout.LATE_S, 1)])
async def test_what_is_late_may_hold_the_loop_for_longer(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch, waited_s: float, slices: int
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)
    monkeypatch.setattr(fanout, "LATE_SLICE_S", 60.0)
    fan = FanOut(sock, asyncio.get_running_loop())
    packets = frame(100, 10)
    for packet in packets:
        packet.arrived_s = time.monotonic() - waited_s
    fan.send(prepare(packets, RENDERING, 99, BUFFER), receivers)
    assert (fan.slices if receivers[-1].packets_sent else 0) == slices
    fan.close()


async def test_an_overloaded_worker_drops_the_oldest_runs_and_stays_bounded(
    sock: socket.socket, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_S", 0.0)
    fan = FanOut(sock, asyncio.get_running_loop())
    for index in range(MAX_WAITING_RUNS + 20):
        fan.send(prepare(frame(100 + index, 10), RENDERING, 99, BUFFER), receivers)
    assert 0 < fan.runs_dropped <= 20
    # Each is missing what it was not sent: who had the first run before it was dropped, one less.
    assert {viewer.packets_dropped for viewer in receivers} <= {fan.runs_dropped, fan.runs_dropped - 1}
    fan.close()
