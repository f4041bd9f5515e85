"""Pipes of one relay: streams served to other workers, and streams pulled from them for viewers here.

A stream has one origin. A worker with viewers but without the host pulls the stream once, whatever its viewers; they
cost the origin nothing more. When the origin dies, falls silent or says goodbye, the puller asks anew who it is: to its
viewers that is a host that reconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from streams.broadcast import Broadcast
from streams.errors import StreamEnded, StreamNotFound
from streams.pipe import PipeIn, PipeTransport
from streams.pipe_ticket import Ticket

log = logging.getLogger(__name__)

#: seconds the first viewer waits for a pipe; then it is sent elsewhere
FIRST_ANSWER_S = 1.5
#: seconds after a failure in which viewers are sent elsewhere at once (a firewall that stops UDP does so for long)
AGAIN_S = 5.0
#: seconds between two questions for the origin
RETRY_S = 0.5
#: seconds without a viewer after which a pipe is closed
IDLE_S = 5.0


class PipeExchange(Protocol):
    """How tickets come from the origin; implemented by the application."""

    async def pull(self, stream_id: str) -> Ticket | None:
        """A fresh ticket of the stream's origin; None when there is no other worker to ask now.

        Raises StreamEnded or StreamNotFound when there never will be one.
        """


class Pipes:
    """Keeps a puller for each stream that is watched here and published elsewhere."""

    def __init__(
        self,
        exchange: PipeExchange | None,
        *,
        bind_host: str,
        broadcast: Callable[[str], Broadcast],
        new_id: Callable[[], str],
        on_ended: Callable[[str], Awaitable[None]],
    ) -> None:
        self._exchange = exchange
        self._bind_host = bind_host
        self._broadcast = broadcast
        self._new_id = new_id
        self._on_ended = on_ended
        self._pullers: dict[str, _Puller] = {}
        self._failed_s: dict[str, float] = {}

    def pull_by(self, exchange: PipeExchange) -> None:
        """Pull by this exchange from now on."""
        self._exchange = exchange

    async def ready(self, stream_id: str) -> bool:
        """Whether the stream is pulled here, beginning to if need be."""
        if self._exchange is None or stream_id in self._failed_s:
            return False
        puller = self._pullers.get(stream_id)
        if puller is None or puller.done:
            puller = self._pullers[stream_id] = _Puller(
                stream_id, self._exchange, self._open, self._broadcast, self._on_ended
            )
        if not await puller.ready():
            self._failed_s[stream_id] = time.monotonic()
            return False
        # It may have ended, for want of viewers, while this one waited for its turn.
        return await self.ready(stream_id) if puller.done else True

    def pulling(self, stream_id: str) -> bool:
        """Whether there is a puller for the stream."""
        return stream_id in self._pullers

    def _open(self, stream_id: str, ticket: Ticket, on_up: Callable[[], None], on_over: Callable[[], None]) -> PipeIn:
        broadcast = self._broadcast(stream_id)
        transport = PipeTransport(self._bind_host, 0)
        transport.open()
        return PipeIn(
            transport,
            self._new_id(),
            stream_id,
            ticket,
            on_up=on_up,
            on_over=on_over,
            tracks=broadcast.tracks,
            layer=broadcast.layer,
            on_packet=broadcast.packet,
        )

    def tick(self, now_s: float) -> None:
        """Every 50 ms."""
        for stream_id in [each for each, failed_s in self._failed_s.items() if now_s - failed_s > AGAIN_S]:
            del self._failed_s[stream_id]
        for stream_id, puller in list(self._pullers.items()):
            if puller.done:
                del self._pullers[stream_id]
            elif puller.pipe is not None:
                puller.pipe.keep(now_s)

    async def stop(self, stream_id: str) -> None:
        """Pull the stream no more."""
        puller = self._pullers.pop(stream_id, None)
        if puller is not None:
            await puller.aclose()

    async def aclose(self) -> None:
        """Close all pipes; safe to call twice."""
        for stream_id in list(self._pullers):
            await self.stop(stream_id)


class _Puller:
    """The task that keeps one stream's pipe up while somebody watches."""

    def __init__(
        self,
        stream_id: str,
        exchange: PipeExchange,
        open_pipe: Callable[[str, Ticket, Callable[[], None], Callable[[], None]], PipeIn],
        broadcast: Callable[[str], Broadcast],
        on_ended: Callable[[str], Awaitable[None]],
    ) -> None:
        self.pipe: PipeIn | None = None
        self._stream_id = stream_id
        self._exchange = exchange
        self._open = open_pipe
        self._broadcast = broadcast
        self._on_ended = on_ended
        self._first: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"pull-{stream_id}")

    @property
    def done(self) -> bool:
        """Whether it has ended by itself."""
        return self._task.done()

    async def ready(self) -> bool:
        """Whether the origin answered through the pipe, within :data:`FIRST_ANSWER_S`: else UDP does not pass."""
        await asyncio.wait([self._first], timeout=FIRST_ANSWER_S)
        return self._first.done() and self._first.result()

    async def aclose(self) -> None:
        """Stop and close the pipe; safe to call twice."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._settle(False)

    def _settle(self, found: bool) -> None:
        if not self._first.done():
            self._first.set_result(found)

    async def _run(self) -> None:
        try:
            while self._watched():
                ticket = await self._ask()
                pipe = None if ticket is None else self._opened(ticket)
                if pipe is None:
                    self._settle(False)
                    await asyncio.sleep(RETRY_S)
                else:
                    await self._pull(pipe)
        except (StreamEnded, StreamNotFound):
            self._settle(False)
            await self._on_ended(self._stream_id)
        finally:
            self._settle(False)

    async def _ask(self) -> Ticket | None:
        try:
            return await self._exchange.pull(self._stream_id)
        except (StreamEnded, StreamNotFound):
            raise
        except Exception as error:
            # Valkey or the origin may be away: whatever it is, the viewers wait and we ask again.
            log.info("no pipe for %s yet: %r", self._stream_id, error)
            return None

    def _opened(self, ticket: Ticket) -> PipeIn | None:
        try:
            return self._open(self._stream_id, ticket, lambda: self._settle(True), self._over.set)
        except OSError as error:  # no port or no file to be had now: the viewers wait and we ask again
            log.warning("no socket for a pipe of %s: %s", self._stream_id, error)
            return None

    def _watched(self) -> bool:
        """Whether somebody watches, or is about to; at the first look nobody can yet."""
        return not self._first.done() or bool(self._broadcast(self._stream_id).viewers)

    async def _pull(self, pipe: PipeIn) -> None:
        self._over.clear()
        self.pipe = pipe
        broadcast = self._broadcast(self._stream_id)
        broadcast.take_over(pipe)
        pipe.keep(time.monotonic())
        watched_s = time.monotonic()
        try:
            while not self._over.is_set() and time.monotonic() - watched_s < IDLE_S:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._over.wait()
                if broadcast.viewers:
                    watched_s = time.monotonic()
        finally:
            self.pipe = None
            self._settle(False)
            broadcast.publisher_left(pipe)
            pipe.close()
