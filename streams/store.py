"""Streams in Valkey: the scripts that change one, the hash that is read, and the index that lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple, Protocol, cast

from redis.asyncio import Redis

from streams import keys
from streams.errors import StreamEnded, StreamNotFound, StreamRefused
from streams.models import Host, Origin, Stream, StreamState


class RunScript(Protocol):
    """Runs a script atomically, with the application's emit prelude in front."""

    async def __call__(self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """Returns what the script returned."""


def _lua(name: str) -> str:
    return resources.files("streams").joinpath(f"lua/{name}.lua").read_text("utf-8")


CREATE, LIVE, INTERRUPT, END = (_lua(name) for name in ("create", "live", "interrupt", "end"))

#: wider than any creation time, and three of them stay below 2^53, where doubles stop counting
BAND = 10**14
RANKS = {StreamState.LIVE: 3, StreamState.INTERRUPTED: 2, StreamState.CREATED: 1, StreamState.ENDED: 0}
#: a hint may precede its stream by no more than a creation takes
HINT_GRACE_MS = 60_000
#: streams looked at in one round trip
SCAN = 500


class Place(NamedTuple):
    """A position in the index: what its score says, and the id."""

    score: int
    stream_id: str

    def __str__(self) -> str:
        return f"{self.score:x}.{self.stream_id}"

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """The place a cursor names; raises :class:`StreamRefused` when it is none of ours."""
        score, _, stream_id = cursor.partition(".")
        try:
            place = cls(int(score, 16), stream_id)
        except ValueError:
            raise StreamRefused("The cursor is not one of ours; start from the first page.") from None
        # int() also takes signs, spaces and underscores: only what we would have written counts.
        if str(place) != cursor or not 0 <= place.score < 4 * BAND:
            raise StreamRefused("The cursor is not one of ours; start from the first page.")
        return place


def score_of(stream: Stream) -> int:
    """Where the stream belongs in the index."""
    return RANKS[stream.state] * BAND + stream.created_ms


class StreamStore:
    """Reads and scripts; codes become errors here and nowhere else."""

    def __init__(self, redis: Redis, run_script: RunScript) -> None:
        self._redis = redis
        self._run_script = run_script

    async def change(self, script: str, stream_id: str, *args: str) -> int:
        """Run one script on one stream; returns its code, raises for the negative ones."""
        names = (keys.room(stream_id), keys.log(stream_id), keys.stream(stream_id))
        code = int(await self._run_script(script, names, args))
        if code == -1:
            raise StreamNotFound("There is no such stream.")
        if code == -2:
            raise StreamEnded("The stream has ended; create a new one to go live again.")
        return code

    async def read(self, stream_id: str) -> Stream | None:
        """The stream, if there is one."""
        return _stream(await self._redis.hgetall(keys.stream(stream_id)))

    async def read_all(self, stream_ids: Iterable[str]) -> list[Stream | None]:
        """Several streams in one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        for stream_id in stream_ids:
            pipeline.hgetall(keys.stream(stream_id))
        return [_stream(fields) for fields in await pipeline.execute()]

    async def origin(self, stream_id: str) -> Origin | None:
        """Who publishes the stream now."""
        return (await self.origins([stream_id]))[0]

    async def origins(self, stream_ids: Sequence[str]) -> list[Origin | None]:
        """Who publishes each of these streams now, in one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        for stream_id in stream_ids:
            pipeline.hmget(keys.stream(stream_id), "origin_worker", "origin_session")
        return [_origin(*found) for found in await pipeline.execute()]

    async def interrupted(self, before_ms: int) -> list[str]:
        """Streams interrupted since before this moment, or since nobody knows when."""
        found: list[str] = []
        place: Place | None = Place((RANKS[StreamState.INTERRUPTED] + 1) * BAND, "")
        while places := await self.places(place, SCAN, lowest=RANKS[StreamState.INTERRUPTED] * BAND):
            place = places[-1]
            pipeline = self._redis.pipeline(transaction=False)
            for each in places:
                pipeline.hmget(keys.stream(each.stream_id), "state", "interrupted_ms")
            for each, (state, since_ms) in zip(places, await pipeline.execute(), strict=True):
                if state is not None and _text(state) == StreamState.INTERRUPTED and int(since_ms or 0) < before_ms:
                    found.append(each.stream_id)
        return found

    async def now_ms(self) -> int:
        """Valkey's clock."""
        seconds, microseconds = await self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def hint(self, stream_id: str, score: int) -> None:
        """Say where a stream is likely to belong."""
        await self._redis.zadd(keys.INDEX, {stream_id: score})

    async def forget(self, stream_id: str) -> None:
        """Take a hint back."""
        await self._redis.zrem(keys.INDEX, stream_id)

    async def places(self, after: Place | None, limit: int, *, lowest: int = 0) -> list[Place]:
        """At most ``limit`` hints below ``after`` (or from the top), highest first."""
        if after is None:
            return _places(await self._below(f"{4 * BAND}", lowest, limit))
        # Streams of the same millisecond stand in descending order of id, as ZRANGE … REV has them.
        same = await self._redis.zrange(keys.INDEX, after.score, after.score, desc=True, byscore=True, withscores=True)
        tied = [place for place in _places(same) if place.stream_id < after.stream_id]
        return (tied + _places(await self._below(f"({after.score}", lowest, limit)))[:limit]

    async def _below(self, start: str, lowest: int, limit: int) -> Any:
        return await self._redis.zrange(
            keys.INDEX, start, lowest, desc=True, byscore=True, withscores=True, offset=0, num=limit
        )


def _places(found: Any) -> list[Place]:
    return [Place(int(score), _text(member)) for member, score in cast(list[tuple[bytes, float]], found)]


def _stream(fields: Mapping[bytes | str, bytes | str]) -> Stream | None:
    if not fields:
        return None
    texts = {_text(name): _text(value) for name, value in fields.items()}
    return Stream(
        id=texts["id"],
        title=texts["title"],
        state=StreamState(texts["state"]),
        host=Host(texts["host_id"], texts["host_name"]),
        created_ms=int(texts["created_ms"]),
        ended_ms=int(texts["ended_ms"]) if "ended_ms" in texts else None,
    )


def _origin(worker: bytes | None, session: bytes | None) -> Origin | None:
    return None if worker is None or session is None else Origin(_text(worker), _text(session))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
