"""The end of a stream: its state, its deals, its media, in this order, and all of them even if a worker dies between.

A stream ends when its host says so, or when the host has been away for ``--end-after``.
What is to be done is written down first (``lc:ending``) and crossed out last. A worker that finds an old entry of a
stream that has ended does the rest; every step may be repeated, so it does not matter how many workers find it.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from livecommerce import keys
from livecommerce.context import Context
from livecommerce.http import placement
from livecommerce.http.proxy import WorkerProxy
from livecommerce.tasks import Periodic
from streams.errors import StreamNotFound
from streams.models import Stream, StreamState

log = logging.getLogger(__name__)

#: how often to look for endings that nobody finishes
SWEEP_S = 1.0
#: an ending takes milliseconds; one this old has lost its worker (or is tried again after a failure)
GRACE_MS = 2_000
#: an entry this old whose stream goes on: the worker died before it ended anything, and its client was told nothing
GIVE_UP_MS = 60_000
#: how often to look for streams whose host has been away for too long
AWAY_SWEEP_S = 5.0
#: endings finished in one sweep
_AT_ONCE = 100


class StreamEnder:
    """Ends streams for this worker's clients, and what dead workers left half ended; owns one task."""

    def __init__(self, context: Context, proxy: WorkerProxy) -> None:
        self._context = context
        self._proxy = proxy
        self._sweeping = Periodic("stream-ender", SWEEP_S, self.sweep)
        self._away_ms = 1000 * context.settings.end_after
        self._looking = Periodic("abandoned-streams", AWAY_SWEEP_S, self.end_abandoned)

    async def start(self) -> None:
        """Begin to look for unfinished endings, and for streams whose host does not come back."""
        self._sweeping.start()
        if self._away_ms:
            self._looking.start()

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        await self._sweeping.aclose()
        await self._looking.aclose()

    async def end(self, stream_id: str) -> Stream:
        """End a stream that exists; asking again repeats every step."""
        context = self._context
        await context.redis.zadd(keys.ENDING, {stream_id: context.clock.now_ms()})
        # The state first: from then on no new deal, viewer or publisher is taken.
        stream = await context.streams.end(stream_id)
        await self._finish(stream_id)
        return stream

    async def sweep(self) -> None:
        """Look once for endings that have to be finished."""
        context = self._context
        oldest_ms = context.clock.now_ms() - GRACE_MS
        found: Any = await context.redis.zrange(
            keys.ENDING, "-inf", oldest_ms, byscore=True, offset=0, num=_AT_ONCE, withscores=True
        )
        for member, asked_ms in found:
            stream_id = member.decode()
            try:
                await self._look_at(stream_id, int(asked_ms))
            except Exception:
                # One that cannot be ended must not keep the others from it; it waits for its turn again.
                log.exception("the end of stream %s cannot be finished yet", stream_id)
                await context.redis.zadd(keys.ENDING, {stream_id: context.clock.now_ms()}, xx=True)

    async def end_abandoned(self) -> None:
        """Look once for streams whose host has been away for too long, and end them."""
        context = self._context
        before_ms = context.clock.now_ms() - self._away_ms
        for stream_id in await context.streams.abandoned(before_ms):
            # Written down first, as for any end; of a stream that goes on after all the sweep takes it back.
            await context.redis.zadd(keys.ENDING, {stream_id: context.clock.now_ms()})
            if await context.streams.end_abandoned(stream_id, before_ms):
                log.info("the host of stream %s did not come back: ended", stream_id)
                await self._finish(stream_id)

    async def _look_at(self, stream_id: str, asked_ms: int) -> None:
        context = self._context
        try:
            ended = (await context.streams.get(stream_id)).state is StreamState.ENDED
        except StreamNotFound:
            await context.redis.zrem(keys.ENDING, stream_id)
            return
        if ended:
            log.warning("finishing the end of stream %s, which its worker did not", stream_id)
            await self._finish(stream_id)
        elif context.clock.now_ms() - asked_ms > GIVE_UP_MS:
            await context.redis.zrem(keys.ENDING, stream_id)

    async def _finish(self, stream_id: str) -> None:
        await self._context.deals.stream_ended(stream_id)
        if await placement.end_media(self._context, self._proxy, stream_id):
            await self._context.redis.zrem(keys.ENDING, stream_id)


ENDER: web.AppKey[StreamEnder] = web.AppKey("ender", StreamEnder)
