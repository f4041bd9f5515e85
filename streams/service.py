"""The catalogue of streams: create, find, list, and follow each one's state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from redis.asyncio import Redis

from streams.errors import StreamNotFound, StreamRefused
from streams.models import Host, Origin, Stream, StreamState, clean_title
from streams.store import (
    BAND,
    CREATE,
    END,
    HINT_GRACE_MS,
    INTERRUPT,
    LIVE,
    RANKS,
    Place,
    RunScript,
    StreamStore,
    score_of,
)

#: streams, and the cursor of the next page
Page: TypeAlias = tuple[list[Stream], str | None]
#: a page of a list, at most (design: `?limit=` 50, at most 500)
MAX_PAGE = 500
#: how often a page is read again after hints in it were repaired
_REPAIRS = 3


class StreamService:
    """All that can be done with the catalogue; holds no state, so any worker may be asked."""

    def __init__(self, redis: Redis, run_script: RunScript, *, new_id: Callable[[str], str]) -> None:
        self._store = StreamStore(redis, run_script)
        self._new_id = new_id

    async def create(self, title: str, host: Host) -> Stream:
        """A new stream in state ``created``; raises :class:`StreamRefused` for a title nobody can read."""
        title, stream_id = clean_title(title), self._new_id("s")
        # The hint goes first: were it last, a crash in between would leave a stream that no list ever finds.
        await self._store.hint(stream_id, RANKS[StreamState.CREATED] * BAND + await self._store.now_ms())
        created_ms = await self._store.change(CREATE, stream_id, stream_id, title, host.id, host.name)
        if created_ms == 0:
            raise RuntimeError("a random stream id was already taken")
        stream = Stream(id=stream_id, title=title, state=StreamState.CREATED, host=host, created_ms=created_ms)
        await self._store.hint(stream_id, score_of(stream))
        return stream

    async def get(self, stream_id: str) -> Stream:
        """The stream now; raises :class:`StreamNotFound`."""
        stream = await self._store.read(stream_id)
        if stream is None:
            raise StreamNotFound("There is no such stream.")
        return stream

    async def list(self, *, after: str | None, limit: int) -> Page:
        """A page of streams, live ones first, then interrupted, created and ended ones, newest first in each.

        ``after`` is the cursor a former page returned; the second value is the next one, ``None`` after the last
        page. A stream whose state changes between two pages may be seen twice or not at all.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise StreamRefused(f"The limit must be 1 to {MAX_PAGE}.")
        start = None if after is None else Place.parse(after)
        for _ in range(_REPAIRS):
            places = await self._store.places(start, limit + 1)
            streams, repaired = await self._verify(places)
            if not repaired:
                break
        cursor = str(places[limit - 1]) if len(places) > limit else None
        page = {place.stream_id for place in places[:limit]}
        shown = [stream for stream in streams if stream.id in page]
        return sorted(shown, key=lambda s: (score_of(s), s.id), reverse=True), cursor

    async def went_live(self, stream_id: str, *, worker_id: str, session_id: str) -> None:
        """Media of this session arrives: ``created | interrupted → live``; it is the stream's origin from now on.

        Emits ``stream.live`` when the state changed. Raises :class:`StreamNotFound` and :class:`StreamEnded`.
        """
        stream = await self.get(stream_id)
        # Also first: the sweep looks for dead workers' streams among those whose hint says live.
        if stream.state is not StreamState.ENDED:
            await self._store.hint(stream_id, RANKS[StreamState.LIVE] * BAND + stream.created_ms)
        if await self._store.change(LIVE, stream_id, worker_id, session_id):
            # And again: a list read between the two may have "repaired" the early hint.
            await self._settle_hint(stream_id)

    async def interrupted(self, stream_id: str, *, session_id: str) -> None:
        """This session fell silent: ``live → interrupted``, only if it still is the origin.

        Emits ``stream.interrupted`` when the state changed. Raises :class:`StreamNotFound`.
        """
        if await self._store.change(INTERRUPT, stream_id, session_id):
            await self._settle_hint(stream_id)

    async def end(self, stream_id: str) -> Stream:
        """The host is done; emits ``stream.ended`` the first time. Raises :class:`StreamNotFound`."""
        await self._store.change(END, stream_id)
        return await self._settle_hint(stream_id)

    async def abandoned(self, before_ms: int) -> Sequence[str]:
        """The streams whose host has been away since before this moment (ms by Valkey's clock)."""
        return await self._store.interrupted(before_ms)

    async def end_abandoned(self, stream_id: str, before_ms: int) -> bool:
        """End a stream if its host still is away, since before this moment; whether it ended now.

        Emits ``stream.ended``. Raises :class:`StreamNotFound`.
        """
        ended = await self._store.change(END, stream_id, str(before_ms)) == 1
        if ended:
            await self._settle_hint(stream_id)
        return ended

    async def origin(self, stream_id: str) -> Origin | None:
        """Who publishes the stream's media; ``None`` unless it is live."""
        return await self._store.origin(stream_id)

    async def sweep(self, live_workers: Collection[str]) -> Sequence[str]:
        """Interrupt the streams whose origin's worker is gone; returns their ids. Any worker may sweep, many may."""
        flipped = []
        place: Place | None = None
        while places := await self._store.places(place, MAX_PAGE, lowest=RANKS[StreamState.LIVE] * BAND):
            place = places[-1]
            ids = [found.stream_id for found in places]
            for stream_id, origin in zip(ids, await self._store.origins(ids), strict=True):
                if origin is not None and origin.worker_id not in live_workers:
                    await self.interrupted(stream_id, session_id=origin.session_id)
                    flipped.append(stream_id)
        return flipped

    async def _settle_hint(self, stream_id: str) -> Stream:
        stream = await self.get(stream_id)
        await self._store.hint(stream_id, score_of(stream))
        return stream

    async def _verify(self, places: Sequence[Place]) -> tuple[Sequence[Stream], bool]:
        """The streams at these places, and whether a hint was wrong (and is repaired now)."""
        streams = []
        repaired = False
        found = await self._store.read_all(place.stream_id for place in places)
        for place, stream in zip(places, found, strict=True):
            if stream is not None:
                streams.append(stream)
                if score_of(stream) != place.score:
                    await self._store.hint(stream.id, score_of(stream))
                    repaired = True
            elif await self._store.now_ms() - place.score % BAND > HINT_GRACE_MS:
                await self._store.forget(place.stream_id)
                repaired = True
        return streams, repaired
