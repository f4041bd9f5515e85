"""What the relay sees becomes the stream's state: live while media arrives, interrupted when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from redis.exceptions import RedisError

from livecommerce.tasks import Periodic, stop
from streams.errors import StreamsError

if TYPE_CHECKING:
    from livecommerce.workers import WorkerDirectory
    from streams.service import StreamService

log = logging.getLogger(__name__)

#: between two tries while Valkey is away
RETRY_S = 0.5
#: how often each local publisher is compared with the catalogue: finds streams ended or swept behind our back
COMPARE_S = 5.0
#: how often to look for dead workers' streams
SWEEP_S = 1.0
#: a worker is dead when it was missing this many times: after Valkey's restart the survivors announce themselves anew
MISSES = 3


class _News(NamedTuple):
    session_id: str
    started: bool


class MediaReporter:
    """The relay's :class:`RelayEvents`: takes its news without blocking it, and tells the catalogue until it heard.

    Pending news is one entry a stream, the newest: bounded by the worker's publishers. ``end_media`` is called when
    the catalogue says that a stream whose media still arrives is over.
    """

    def __init__(
        self, streams: StreamService, *, worker_id: str, end_media: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        self._streams = streams
        self._worker_id = worker_id
        self.end_media = end_media
        #: called now and then for each stream whose media arrives here: others may have taken this worker for dead
        self.keep_home: Callable[[str], Awaitable[None]] | None = None
        self._live: dict[str, str] = {}
        self._pending: dict[str, _News] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def media_started(self, stream_id: str, session_id: str) -> None:
        """Media of this session arrives (for the first time, or again)."""
        self._live[stream_id] = session_id
        self._put(stream_id, _News(session_id, started=True))

    async def media_stopped(self, stream_id: str, session_id: str) -> None:
        """This session fell silent or left."""
        if self._live.get(stream_id, session_id) != session_id:
            return  # a newer publisher has taken over
        self._live.pop(stream_id, None)
        self._put(stream_id, _News(session_id, started=False))

    async def start(self) -> None:
        """Begin to report."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="media-reporter")

    async def aclose(self) -> None:
        """Stop, and leave no stream of ours "live" (one try: others' sweeps find the rest); safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        await stop(task)
        for stream_id, session_id in self._live.items():
            self._pending[stream_id] = _News(session_id, started=False)
        self._live.clear()
        await self._report()

    def _put(self, stream_id: str, news: _News) -> None:
        self._pending[stream_id] = news
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        compare_s = loop.time() + COMPARE_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(compare_s):
                    await self._wake.wait()
            self._wake.clear()
            if not await self._report():
                await asyncio.sleep(RETRY_S)
                self._wake.set()
            if loop.time() >= compare_s:
                compare_s = loop.time() + COMPARE_S
                await self._compare()

    async def _report(self) -> bool:
        """Tell all pending news; whether nothing has to be told again."""
        for stream_id, news in list(self._pending.items()):
            try:
                if news.started:
                    await self._streams.went_live(stream_id, worker_id=self._worker_id, session_id=news.session_id)
                else:
                    await self._streams.interrupted(stream_id, session_id=news.session_id)
            except StreamsError as refusal:
                await self._over(stream_id, refusal)
            except (RedisError, OSError) as error:
                log.warning("could not report the media of %s, trying again: %s", stream_id, error)
                return False
            if self._pending.get(stream_id) is news:
                del self._pending[stream_id]
        return True

    async def _compare(self) -> None:
        for stream_id, session_id in list(self._live.items()):
            with contextlib.suppress(RedisError, OSError):
                origin = await self._streams.origin(stream_id)
                if origin is None:
                    self._put(stream_id, _News(session_id, started=True))
                elif origin.session_id == session_id and self.keep_home is not None:
                    await self.keep_home(stream_id)

    async def _over(self, stream_id: str, refusal: StreamsError) -> None:
        log.info("media of %s is refused: %s", stream_id, refusal.detail)
        if self._live.pop(stream_id, None) is not None and self.end_media is not None:
            await self.end_media(stream_id)


class Sweeper:
    """Finds the streams whose worker died, and interrupts them; every worker sweeps, exactly one finds each."""

    def __init__(self, streams: StreamService, workers: WorkerDirectory) -> None:
        self._streams = streams
        self._workers = workers
        self._seen: deque[set[str]] = deque(maxlen=MISSES)
        self._sweeping = Periodic("sweeper", SWEEP_S, self.sweep)

    async def start(self) -> None:
        """Begin to sweep."""
        self._sweeping.start()

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        await self._sweeping.aclose()

    async def sweep(self) -> None:
        """Look once; acts only after :data:`MISSES` looks."""
        self._seen.append(await self._workers.live())
        if len(self._seen) == MISSES:
            for stream_id in await self._streams.sweep(set().union(*self._seen)):
                log.warning("the worker of stream %s is gone: interrupted", stream_id)
