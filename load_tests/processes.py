"""Generator processes: N copies of one async function, their meters streamed to the run each second.

The function is importable (spawned processes look it up by name) and gets its ``Generator`` and its share of the work:

>>> async def buyers(generator: Generator, share: list[str]) -> int:
...     connections = await connect(share)
...     start_s = await generator.ready()          # barrier: everybody begins at this moment of the monotonic clock
...     while not generator.stopped.is_set():
...         generator.meter.count("offered")
...     return len(connections)

>>> async with Generators(run, buyers, shares) as generators:
...     await generators.until_ready()
...     generators.go()
...     results = await generators.results()
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import multiprocessing
import os
import random
import resource
import signal
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import uvloop

from load_tests.meter import Meter
from load_tests.run import Run

#: between two snapshots of a generator
EVERY_S = 1.0
#: from the barrier's fall to the first work: all have heard of it by then
LEAD_S = 0.1
#: a spawned interpreter imports what the scenario needs; on a busy machine that takes seconds
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
#: a generator answers between two turns of its work
ANSWER_TIMEOUT_S = 60.0


class GeneratorFailed(Exception):
    """A generator process ended without a result; the text is its traceback."""


class Generator:
    """One generator process, seen from inside."""

    def __init__(self, number: int, seed: int, pipe: Connection) -> None:
        self.number = number
        self.random = random.Random(f"{seed}/{number}")
        self.meter = Meter()
        #: set when no more load is to be offered: the end, or Ctrl-C
        self.stopped = asyncio.Event()
        #: what the parent told by :meth:`Generators.tell`; at most a few
        self.messages: asyncio.Queue[Any] = asyncio.Queue(maxsize=100)
        self._pipe = pipe
        self._start: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def ready(self) -> float:
        """Say that all is prepared, and wait for the others; when to begin, by the monotonic clock of all."""
        self._pipe.send(("ready", self.meter.take()))
        # What was prepared lives as long as the process does: no collection looks at it again.
        gc.collect()
        gc.freeze()
        start_s = await self._start
        await asyncio.sleep(max(0.0, start_s - time.monotonic()))
        return start_s

    def answer(self, value: Any) -> None:
        """Answer what the parent asked by :meth:`Generators.ask`; one answer a question, in their order."""
        self._pipe.send(("answer", value))

    def hear(self) -> None:
        """Take what the parent says."""
        try:
            while self._pipe.poll():
                kind, value = self._pipe.recv()
                if kind == "go" and not self._start.done():
                    self._start.set_result(value)
                elif kind == "stop":
                    self._stop()
                elif kind == "tell":
                    self.messages.put_nowait(value)
        except (EOFError, OSError):
            # The parent is gone: there is nobody to work for.
            raise SystemExit(1) from None

    def _stop(self) -> None:
        self.stopped.set()
        if not self._start.done():
            self._start.set_result(time.monotonic())

    async def stream(self) -> None:
        """Send the meter each second."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._pipe.send(("meter", self.meter.take()))


Work = Callable[[Generator, Any], Awaitable[Any]]


def _listen(pipe: Connection, hear: Callable[[], None]) -> None:
    asyncio.get_running_loop().add_reader(pipe.fileno(), hear)
    # libuv makes what it watches non-blocking; a message larger than the buffer would then break in its middle.
    os.set_blocking(pipe.fileno(), True)


async def _main(number: int, seed: int, pipe: Connection, work: Work, share: Any) -> None:
    generator = Generator(number, seed, pipe)
    loop = asyncio.get_running_loop()
    _listen(pipe, generator.hear)
    streaming = loop.create_task(generator.stream(), name="meter")
    try:
        result = await work(generator, share)
        loop.remove_reader(pipe.fileno())
        pipe.send(("result", (generator.meter.take(), result)))
    except Exception:
        pipe.send(("failed", traceback.format_exc()))
    finally:
        streaming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await streaming


def _process(number: int, seed: int, pipe: Connection, work: Work, share: Any) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_file_limit()
    with contextlib.suppress(BrokenPipeError):
        uvloop.run(_main(number, seed, pipe, work, share))


def raise_file_limit() -> None:
    """Allow as many sockets as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Generators:
    """Generator processes, seen from the run. One for each share."""

    def __init__(self, run: Run, work: Work, shares: Sequence[Any], *, name: str = "generator") -> None:
        self._run, self._work, self._shares, self._name = run, work, shares, name
        self._pipes: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._ready = [asyncio.Event() for _ in shares]
        self._results: list[asyncio.Future[Any]] = []
        self._asked: list[deque[asyncio.Future[Any]]] = [deque() for _ in shares]
        self._stopper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        spawn, loop = multiprocessing.get_context("spawn"), asyncio.get_running_loop()
        for number, share in enumerate(self._shares):
            ours, theirs = spawn.Pipe()
            arguments = (number, self._run.seed, theirs, self._work, share)
            process = spawn.Process(target=_process, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._run.usage.watch(f"{self._name} {number + 1}", process.pid or 0)
            self._pipes.append(ours)
            self._processes.append(process)
            self._results.append(loop.create_future())
            _listen(ours, functools.partial(self._hear, number))
        self._stopper = loop.create_task(self._on_stop(), name="stop generators")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until all have called ``ready()``; raises :class:`GeneratorFailed`, or TimeoutError."""
        everybody = asyncio.gather(*(event.wait() for event in self._ready))
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([everybody, *self._results], return_when=asyncio.FIRST_COMPLETED)
            while not everybody.done():
                for result in self._results:
                    if result.done():
                        everybody.cancel()
                        await asyncio.gather(everybody, return_exceptions=True)
                        result.result()  # raises where it failed
                        raise GeneratorFailed("a generator ended before it was ready")
                await asyncio.wait([everybody, *self._results], return_when=asyncio.FIRST_COMPLETED)

    def go(self) -> float:
        """Let all begin together; when that is, by the monotonic clock."""
        start_s = time.monotonic() + LEAD_S
        self._send("go", start_s)
        return start_s

    def tell(self, message: Any) -> None:
        """Put a message into every generator's queue."""
        self._send("tell", message)

    async def ask(self, message: Any, timeout_s: float = ANSWER_TIMEOUT_S) -> list[Any]:
        """Put a message into every generator's queue; their answers, in the order of the shares.

        Raises :class:`GeneratorFailed` when one of them ends instead, and TimeoutError.
        """
        loop, answers = asyncio.get_running_loop(), []
        for asked, result in zip(self._asked, self._results, strict=True):
            answers.append(answer := loop.create_future())
            asked.append(answer)
            if result.done():
                result.result()  # raises where it failed
                raise GeneratorFailed("a generator that has ended was asked")
        self.tell(message)
        async with asyncio.timeout(timeout_s):
            return list(await asyncio.gather(*answers))

    def stop(self) -> None:
        """Ask all to offer no more load."""
        self._send("stop", None)

    async def results(self) -> list[Any]:
        """What each returned, in the order of the shares; raises :class:`GeneratorFailed`."""
        return list(await asyncio.gather(*self._results))

    async def aclose(self) -> None:
        """End them; twice is safe."""
        loop = asyncio.get_running_loop()
        if self._stopper is not None:
            self._stopper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._stopper
            self._stopper = None
        for pipe in self._pipes:
            loop.remove_reader(pipe.fileno())
            pipe.close()
        self._pipes = []
        for result in (*self._results, *(answer for asked in self._asked for answer in asked)):
            if not result.cancel() and not result.cancelled():
                result.exception()  # seen, even if nobody asked
        for process in self._processes:
            await loop.run_in_executor(None, process.join, STOP_TIMEOUT_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._processes = []

    def _send(self, kind: str, value: Any) -> None:
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.send((kind, value))

    async def _on_stop(self) -> None:
        await self._run.stopping.wait()
        self.stop()

    def _hear(self, number: int) -> None:
        pipe, result = self._pipes[number], self._results[number]
        source = f"{self._name} {number + 1}"
        try:
            while pipe.poll():
                kind, value = pipe.recv()
                if kind == "failed":
                    self._fail(number, value)
                elif kind == "answer":
                    answer = self._asked[number].popleft()
                    if not answer.done():
                        answer.set_result(value)
                elif kind == "result":
                    self._run.timeline.add(source, value[0])
                    if not result.done():
                        result.set_result(value[1])
                else:
                    self._run.timeline.add(source, value)
                    if kind == "ready":
                        self._ready[number].set()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            self._fail(number, "the process ended")

    def _fail(self, number: int, text: str) -> None:
        error = GeneratorFailed(f"{self._name} {number + 1}: {text}")
        for waiting in (self._results[number], *self._asked[number]):
            if not waiting.done():
                waiting.set_exception(error)
