"""One worker of the HTTP edge, for the tests that need no more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.livecommerce.edge import EdgeWorker, edge_worker
from tests.livecommerce.rooms import RoomWorker, room_worker


@pytest.fixture
async def edge(redis: Redis) -> AsyncIterator[EdgeWorker]:
    """A worker without limits to meet."""
    async with edge_worker(redis) as worker:
        yield worker


@pytest.fixture
async def worker(valkey_url: str) -> AsyncIterator[RoomWorker]:
    """One worker with rooms, on the shared Valkey."""
    async with room_worker(valkey_url) as running:
        yield running


@pytest.fixture
async def workers(valkey_url: str) -> AsyncIterator[tuple[RoomWorker, RoomWorker]]:
    """Two workers of one group."""
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        yield one, two
