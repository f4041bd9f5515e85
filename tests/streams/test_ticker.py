"""The relay's clock: how often it looks, and that nothing stops it."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from streams.relay import Relay
from streams.ticker import A_SECOND, IDLE_TICK_S, TICK_S, Ticker
from tests.streams.peers import until


async def _nothing() -> None:
    return None


async def _until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await condition.wait()


async def test_it_ticks_often_while_there_is_work_and_seldom_while_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.ticker.IDLE_TICK_S", 0.2)
    seen: list[tuple[int, float]] = []
    enough, busy = asyncio.Event(), True

    def on_tick(ticks: int, now_s: float) -> bool:
        seen.append((ticks, now_s))
        if len(seen) >= 4:
            enough.set()
        return busy

    ticker = Ticker(_nothing, on_tick)
    ticker.start()
    await _until(enough)
    assert [ticks for ticks, _ in seen[:4]] == [1, 2, 3, 4]
    seen.clear()
    enough.clear()
    busy = False
    await _until(enough)
    await ticker.aclose()
    idle = seen[1:]
    assert all(ticks % A_SECOND == 0 for ticks, _ in idle), "each ends a second: what is done once a second is done"
    assert all(after - before > 0.1 for (_, before), (_, after) in pairwise(idle))


async def test_work_that_begins_ends_the_idleness_at_once() -> None:
    seen: list[float] = []
    first, enough, busy = asyncio.Event(), asyncio.Event(), False

    def on_tick(ticks: int, now_s: float) -> bool:
        seen.append(now_s)
        first.set()
        if len(seen) >= 3:
            enough.set()
        return busy

    ticker = Ticker(_nothing, on_tick)
    ticker.start()
    await _until(first)
    busy = True
    ticker.hurry()
    ticker.hurry()
    await _until(enough)
    await ticker.aclose()
    assert seen[1] - seen[0] < IDLE_TICK_S / 2
    assert seen[2] - seen[1] > TICK_S / 2, "once is enough"


async def test_what_leaves_is_looked_at_at_once_though_nothing_else_is_at_work() -> None:
    woken, ticked = asyncio.Event(), asyncio.Event()

    async def on_wake() -> None:
        if ticked.is_set():
            woken.set()

    def on_tick(ticks: int, now_s: float) -> bool:
        ticked.set()
        return False

    ticker = Ticker(on_wake, on_tick)
    ticker.start()
    await _until(ticked)
    ticker.wake()
    async with asyncio.timeout(IDLE_TICK_S / 2):
        await woken.wait()
    await ticker.aclose()


async def test_a_broken_tick_is_counted_and_the_clock_goes_on() -> None:
    calls = 0
    again = asyncio.Event()

    def on_tick(ticks: int, now_s: float) -> bool:
        nonlocal calls
        calls += 1
        if calls > 2:
            again.set()
        raise RuntimeError("a stream went wrong")

    ticker = Ticker(_nothing, on_tick)
    ticker.start()
    await _until(again)
    await ticker.aclose()
    assert ticker.failures == calls


async def test_one_broken_stream_does_not_stop_the_others(relay: Relay) -> None:
    """``Relay`` ticks one broadcast after the other."""
    ticked: list[str] = []

    def broken(now_s: float) -> None:
        raise RuntimeError("a stream went wrong")

    for name in ("s1", "s2", "s3"):
        broadcast = relay._broadcast(name)
        broadcast.tick = broken if name == "s2" else lambda _, name=name: ticked.append(name)  # type: ignore
    await until("all had their turn", lambda: {"s1", "s3"} <= set(ticked))
    assert relay._ticker.failures >= 1
    relay._ticker.failures = 0
