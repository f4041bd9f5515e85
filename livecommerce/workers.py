"""Who is in the worker group: each worker tells its private address, and hears of the others only through Valkey."""

from __future__ import annotations

import contextlib
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce import keys
from livecommerce.tasks import Periodic

log = logging.getLogger(__name__)

#: how long a silent worker counts as alive: five missed refreshes
TTL_MS = 5_000
#: how often a worker says that it lives
REFRESH_S = 1.0


class WorkerDirectory:
    """Announces this worker's private HTTP address (``http://host:port``) and finds the others'."""

    def __init__(self, redis: Redis, *, worker_id: str, address: str) -> None:
        self._redis = redis
        self._worker_id = worker_id
        self._address = address
        self._announcing = Periodic("worker-directory", REFRESH_S, self.announce)

    async def start(self) -> None:
        """Announce, then keep announcing until :meth:`aclose`."""
        if not self._announcing.running:
            await self.announce()
            self._announcing.start()

    async def aclose(self) -> None:
        """Leave the directory at once (best effort: the entry expires by itself); safe to call twice."""
        if not self._announcing.running:
            return
        await self._announcing.aclose()
        with contextlib.suppress(RedisError, OSError):
            await self._redis.delete(keys.worker(self._worker_id))
            await self._redis.srem(keys.WORKERS, self._worker_id)

    async def announce(self) -> None:
        """Say once that this worker lives, for the next :data:`TTL_MS`."""
        # Two keys in two slots: the set only says whom to ask for, the expiring string is the truth.
        await self._redis.set(keys.worker(self._worker_id), self._address, px=TTL_MS)
        await self._redis.sadd(keys.WORKERS, self._worker_id)

    async def address_of(self, worker_id: str) -> str | None:
        """The private address of a live worker; ``None`` when it is gone (or never was)."""
        if worker_id == self._worker_id:
            return self._address
        address = await self._redis.get(keys.worker(worker_id))
        return None if address is None else _text(address)

    async def live(self) -> set[str]:
        """The ids of all live workers; who fell silent is taken off the list."""
        live: set[str] = set()
        for member in await self._redis.smembers(keys.WORKERS):
            worker_id = _text(member)
            if await self._redis.exists(keys.worker(worker_id)):
                live.add(worker_id)
            else:
                # A worker wrongly removed (its refresh was late) adds itself again within a second.
                await self._redis.srem(keys.WORKERS, worker_id)
        return live


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
