"""Deal services on the real Valkey, with and without a clock that the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, Till, now_ms


@pytest.fixture
async def service(redis: Redis, run_script: ScriptRunner) -> AsyncIterator[DealService]:
    """A service whose ticker is not running: time passes only when a test says ``tick``."""
    payments = SimulatedPayments(redis, development=True)
    service = DealService(redis, run_script, payments, now_ms=now_ms, new_id=new_id)
    yield service
    await service.aclose()


@pytest.fixture
def clock(redis: Redis, run_script: ScriptRunner) -> ScriptClock:
    """The clock that scripts of ``timed`` see."""
    return ScriptClock(run_script, redis)


@pytest.fixture
def till() -> Till:
    """The payment provider of ``timed``."""
    return Till()


@pytest.fixture
async def timed(redis: Redis, clock: ScriptClock, till: Till) -> AsyncIterator[DealService]:
    """A service in which time is what ``clock.now_ms`` says."""
    service = DealService(redis, clock, till, now_ms=lambda: clock.now_ms, new_id=new_id)
    yield service
    await service.aclose()
