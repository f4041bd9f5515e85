"""The bare floor of a claim: the same scripts with the same arguments, sent to a Valkey by a loop and nothing else.

First the claim lane takes the claims (Python's share, without any network to buyers) while every script call is
written down; then a new Valkey is given exactly these calls, back to back. Both keep every claim on disk before the
answer (``appendfsync always``).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deals.models import Buyer, DealSpec, Money
from deals.scripts import Command
from deals.service import DealService
from livecommerce import redis_client
from livecommerce.data_dir import DataDirectory
from livecommerce.embedded import EmbeddedValkey
from livecommerce.ids import new_id
from livecommerce.payments import NoPayments
from livecommerce.scripting import ScriptRunner
from load_tests.usage import cpu_s

#: callers that wait for an answer at the same time
AT_ONCE = 512
#: calls of the bare loop under way: Valkey never waits for the loop
IN_FLIGHT = 8
#: what a runner of scripts is called with
_Call = tuple[str, Sequence[str], Sequence[str | bytes | int], Sequence[Command]]


@dataclass(frozen=True, slots=True)
class ClaimFloor:
    """What claims cost without buyers, HTTP and WebSocket."""

    claims: int
    #: through the claim lane
    lane_per_s: float
    lane_python_us: float
    #: scripts only
    bare_per_s: float
    bare_valkey_us: float


@dataclass
class _Recorder:
    """Runs scripts, and remembers the calls."""

    run: ScriptRunner
    calls: list[_Call] = field(default_factory=list)

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        self.calls.append((source, keys, args, before))
        return await self.run(source, keys, args, before)


@asynccontextmanager
async def fresh_valkey() -> AsyncIterator[tuple[Any, int]]:
    """A fresh embedded Valkey: a client of it, and its process."""
    with tempfile.TemporaryDirectory(prefix="livecommerce-floor-") as folder:
        directory = DataDirectory(Path(folder, "data"))
        await directory.lock()
        valkey = EmbeddedValkey(directory)
        try:
            await valkey.start()
            redis = redis_client.make(valkey.url)
            try:
                yield redis, valkey.pid or 0
            finally:
                await redis.aclose()
        finally:
            await valkey.aclose()
            directory.close()


async def measure_floor(claims: int, units: int) -> ClaimFloor:
    """Both floors, for so many claims of buyers of their own, of a deal of so many units."""
    async with fresh_valkey() as (redis, _):
        recorder = _Recorder(ScriptRunner(redis))
        lane_s, python_s = await _through_the_lane(recorder, redis, claims, units)
    async with fresh_valkey() as (redis, pid):
        bare_s, valkey_s = await _bare(redis, pid, recorder.calls)
    return ClaimFloor(claims, claims / lane_s, python_s / claims * 1e6, claims / bare_s, valkey_s / claims * 1e6)


async def _through_the_lane(recorder: _Recorder, redis: Any, claims: int, units: int) -> tuple[float, float]:
    service = DealService(redis, recorder, NoPayments(), now_ms=lambda: int(time.time() * 1000), new_id=new_id)
    spec = DealSpec("Floor", Money(100, "EUR"), stock=units, per_buyer_limit=1, duration_s=900, hold_s=900)
    deal = await service.create("floor", spec)
    await service.open("floor", deal.id)
    numbers = iter(range(claims))

    async def buyer() -> None:
        for number in numbers:
            try:
                who = Buyer(f"load-{number}", f"Buyer {number}")
                await service.claim("floor", deal.id, buyer=who, units=1, key="k")
            except Exception as error:
                if getattr(error, "code", "") != "sold_out":
                    raise

    began_s, python_s = time.monotonic(), time.process_time()
    await asyncio.gather(*(buyer() for _ in range(AT_ONCE)))
    took = time.monotonic() - began_s, time.process_time() - python_s
    await service.aclose()
    return took


async def _bare(redis: Any, pid: int, calls: Sequence[_Call]) -> tuple[float, float]:
    run = ScriptRunner(redis)
    left = iter(calls)
    # Creation and opening come first, one after the other.
    for _ in range(2):
        await run(*next(left))

    async def send() -> None:
        for call in left:
            await run(*call)

    began_s, used_s = time.monotonic(), cpu_s(pid)
    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
    return time.monotonic() - began_s, cpu_s(pid) - used_s
