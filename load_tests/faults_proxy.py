"""A network that can break: a TCP proxy in a process of its own, between a part of the crowd and the server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from load_tests.processes import Generator, Generators

#: bytes that may wait on one side before the other is no longer read
HIGH_WATER = 1 << 18
_READ = 1 << 16


class Proxy:
    """Forwards connections to ``upstream`` until they are cut."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self.address = ("127.0.0.1", 0)
        #: connections that were cut
        self.cuts = 0

    async def start(self) -> None:
        """Listen on any free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096, limit=_READ)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def aclose(self) -> None:
        """Stop; twice is safe."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.gather(*self._open, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection on both sides, as a router that lost its table does."""
        for task, writers in list(self._open.items()):
            self.cuts += 1
            for writer in writers:
                writer.transport.abort()
            task.cancel()

    def hold(self, seconds: float) -> None:
        """Forward nothing for so long; what was sent meanwhile comes afterwards."""
        self._flows.clear()
        asyncio.get_running_loop().call_later(seconds, self._flows.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        writers = self._open[task] = [writer]
        try:
            upstream_reader, upstream = await asyncio.open_connection(*self._upstream, limit=_READ)
            writers.append(upstream)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, upstream))
                both.create_task(self._copy(upstream_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # a connection that ended, or was cut: that is what this is for
        finally:
            self._open.pop(task, None)
            for one in writers:
                one.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=HIGH_WATER)
        while data := await reader.read(_READ):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        # One side is done: both are.
        raise ConnectionResetError


async def proxy(generator: Generator, upstream: tuple[str, int]) -> int:
    """A process with one proxy; how many connections were cut."""
    one = Proxy(upstream)
    await one.start()
    try:
        await generator.ready()
        while (message := await generator.messages.get())[0] != "end":
            order, *arguments = message
            if order == "address":
                generator.answer(one.address)
            else:
                getattr(one, order)(*arguments)
        return one.cuts
    finally:
        await one.aclose()


class ProxyHandles:
    """A running proxy process, for :class:`load_tests.faults.Hands`."""

    def __init__(self, generators: Generators) -> None:
        self._generators = generators

    async def address(self) -> tuple[str, int]:
        """Where it listens."""
        [found] = await self._generators.ask(("address",))
        host, port = found
        return str(host), int(port)

    def cut(self) -> None:
        """See :meth:`Proxy.cut`."""
        self._tell("cut")

    def hold(self, seconds: float) -> None:
        """See :meth:`Proxy.hold`."""
        self._tell("hold", seconds)

    def _tell(self, *message: Any) -> None:
        with contextlib.suppress(OSError):
            self._generators.tell(message)
