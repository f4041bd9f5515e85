"""A show's poster: one small picture of what is on, kept in Valkey for a while and in workers while it is wanted."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livecommerce import keys
from livecommerce.jpeg import jpeg_size

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_POSTER_BYTES = 64 * 1024
#: pixels of a side: what a small file may become in a viewer's memory is bounded too
MAX_POSTER_SIDE = 1280
#: a show that is on sends new ones; that of a show that is over is gone after this long
KEPT_S = 3600
#: posters in a worker's memory, at most 4 MiB: whoever opens the list or joins a show asks for the same few
MOST_KEPT = 64
#: characters of a tag, in front of the picture in Valkey
_TAG = 16


@dataclass(frozen=True, slots=True)
class Poster:
    """A JPEG picture and the tag that names its bytes."""

    tag: str
    jpeg: bytes


def is_poster(body: bytes) -> bool:
    """Whether these bytes may be shown to everybody: a sequential JPEG picture of bounded size."""
    size = jpeg_size(body)
    return size is not None and len(body) <= MAX_POSTER_BYTES and max(size) <= MAX_POSTER_SIDE


async def poster_tag(redis: Redis, stream_id: str) -> str | None:
    """The tag of a stream's poster, or ``None`` where there is none."""
    tag = await redis.getrange(keys.poster(stream_id), 0, _TAG - 1)
    return bytes(tag).decode() or None  # type: ignore[arg-type]  # this client decodes nothing


class Posters:
    """The posters of every stream, and those asked for lately."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._kept: OrderedDict[str, Poster] = OrderedDict()

    async def put(self, stream_id: str, jpeg: bytes) -> None:
        """Replace a stream's poster; one command, so a crash leaves the old one or the new one."""
        tag = hashlib.sha256(jpeg).hexdigest()[:_TAG]
        await self._redis.set(keys.poster(stream_id), tag.encode() + jpeg, ex=KEPT_S)

    async def get(self, stream_id: str, tag: str | None) -> Poster | None:
        """A stream's poster; the one with this tag from memory, if it is there still."""
        kept = self._kept.get(stream_id)
        if kept is not None and kept.tag == tag:
            self._kept.move_to_end(stream_id)
            return kept
        stored = await self._redis.get(keys.poster(stream_id))
        if not isinstance(stored, bytes):
            self._kept.pop(stream_id, None)
            return None
        poster = self._kept[stream_id] = Poster(stored[:_TAG].decode(), stored[_TAG:])
        self._kept.move_to_end(stream_id)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return poster
