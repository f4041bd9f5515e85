"""The embedded Valkey of a server of our own, looked at from outside."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis

from livecommerce import redis_client
from livecommerce.data_dir import DataDirectory
from load_tests.own_server import OwnServer


class OwnValkey:
    """A connection to it; every question may take :data:`livecommerce.redis_client.COMMAND_S`."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def log_reads(self) -> int:
        """How often a room's log was read so far."""
        stats = await self.redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("xrange", "xrevrange"))

    async def commands(self) -> int:
        """How many commands it has had so far."""
        return int((await self.redis.info("stats"))["total_commands_processed"])


def data_dir(server: OwnServer) -> Path:
    """Where a server of our own keeps its data."""
    return Path(server.log.parent, "data")


@contextlib.asynccontextmanager
async def own_valkey(server: OwnServer) -> AsyncIterator[OwnValkey]:
    """Connect until the block ends."""
    redis = redis_client.make(f"unix://{quote(str(DataDirectory(data_dir(server)).socket()))}")
    try:
        yield OwnValkey(redis)
    finally:
        await redis.aclose()
