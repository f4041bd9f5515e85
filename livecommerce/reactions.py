"""Reactions: counted here, told to all workers as sums."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce import keys
from livecommerce.ids import new_id
from livecommerce.tasks import Periodic
from livecommerce.told import MOMENT

#: how often sums are told
INTERVAL_S = 0.25


class Reactions:
    """Sums reactions of this worker's viewers and publishes them; ``position`` gives a room's newest offset."""

    def __init__(self, redis: Redis, position: Callable[[str], int]) -> None:
        self._redis = redis
        self._position = position
        # Each worker has a slot of its own: another worker's sum must not replace ours.
        self._slot = new_id(MOMENT)
        self._counts: dict[str, Counter[str]] = {}
        self._telling = Periodic("reactions", INTERVAL_S, self._tell)

    def add(self, stream_id: str, kind: str, count: int) -> None:
        """Count reactions; they are told within a quarter of a second."""
        self._counts.setdefault(stream_id, Counter())[kind] += count

    async def start(self) -> None:
        """Start telling; safe to call twice."""
        self._telling.start()

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        await self._telling.aclose()

    async def _tell(self) -> None:
        counts, self._counts = self._counts, {}
        for stream_id, kinds in counts.items():
            event = {
                "slot": self._slot,
                "type": "reactions",
                "as_of": self._position(stream_id),
                "data": dict(kinds),
            }
            # What cannot be told is dropped: hearts are not worth a queue.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(INTERVAL_S * 4):
                    await self._redis.spublish(keys.log(stream_id), b"l" + msgspec.json.encode(event))
