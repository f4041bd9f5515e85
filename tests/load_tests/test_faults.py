"""Faults: the same seed breaks the same things, and only what was started here is touched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from load_tests.chaos import _reconcile, _well
from load_tests.faults import KINDS, Fault, Hands, plan
from load_tests.faults_proxy import Proxy
from load_tests.stage_checks import reconciled


def test_a_seed_breaks_the_same_things_again_and_every_kind_before_any_twice() -> None:
    faults = plan(7, 200, every_s=8)
    assert faults == plan(7, 200, every_s=8) != plan(8, 200, every_s=8)
    assert {fault.kind for fault in faults[: len(KINDS)]} == set(KINDS)
    assert all(later.at_s - fault.at_s - fault.lasts_s >= 5 for fault, later in itertools.pairwise(faults))
    assert all((fault.lasts_s > 0) == fault.kind.startswith(("stop", "hold")) for fault in faults)
    assert faults[-1].at_s < 200


def test_only_the_faults_that_were_asked_for_happen() -> None:
    assert {fault.kind for fault in plan(1, 100, kinds=["cut-bus"])} == {"cut-bus"}
    with pytest.raises(ValueError, match="no fault 'meteor'"):
        plan(1, 100, kinds=["meteor"])


def test_a_fault_says_what_breaks_when_and_for_how_long() -> None:
    assert str(Fault(12.5, "stop-valkey", 3.0)) == "  12.5 s  SIGSTOP of Valkey, for 3.0 s"
    assert str(Fault(2.0, "kill-worker")) == "   2.0 s  kill -9 of a worker"


class Wire:
    """A network that writes down what was done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def cut(self) -> None:
        self.done.append("cut")

    def hold(self, seconds: float) -> None:
        self.done.append(seconds)


@contextlib.contextmanager
def sleeper() -> Any:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "livecommerce.worker"])
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


async def test_a_worker_is_stopped_and_goes_on_and_one_is_killed() -> None:
    with sleeper() as worker, sleeper() as bystander:
        hands = Hands(SimpleNamespace(tree=lambda: [worker]), Wire(), random.Random(1))  # type: ignore[arg-type]
        stopping = asyncio.create_task(hands.inject(Fault(0, "stop-worker", 30.0)))
        async with asyncio.timeout(20):
            while worker.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - the kernel sets no event
                await asyncio.sleep(0.01)
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        # Cut short, it still lets the worker go on.
        async with asyncio.timeout(20):
            while worker.status() == psutil.STATUS_STOPPED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await hands.inject(Fault(0, "kill-worker")) == f"worker {worker.pid} killed"
        assert worker.wait(20) is not None or not worker.is_running()
        assert bystander.is_running()


async def test_the_network_is_cut_and_held() -> None:
    wire = Wire()
    hands = Hands(SimpleNamespace(tree=list), wire, random.Random(1))  # type: ignore[arg-type]
    await hands.inject(Fault(0, "cut-network"))
    await hands.inject(Fault(0, "hold-network", 0.01))
    assert wire.done == ["cut", 0.01]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    one = Proxy(server.sockets[0].getsockname()[:2])
    await one.start()
    try:
        yield one
    finally:
        await one.aclose()
        server.close()


async def test_a_proxy_forwards_until_it_is_cut(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"again")
    assert await reader.readexactly(5) == b"again"
    assert proxy.cuts == 1
    writer.close()


async def test_a_held_proxy_delivers_afterwards(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(*proxy.address)
    proxy.hold(0.1)
    writer.write(b"late")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.03):
            await reader.readexactly(4)
    async with asyncio.timeout(20):
        assert await reader.readexactly(4) == b"late"
    writer.close()


async def test_a_server_that_is_gone_is_not_well_and_its_books_are_not_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("load_tests.chaos.WELL_S", 0.0)
    gone: Any = SimpleNamespace(url="http://127.0.0.1:1", log=tmp_path / "server.log")
    assert await _well(gone) is False
    code, said = await _reconcile(gone)
    assert code == 1
    assert not reconciled(code, said).passed
