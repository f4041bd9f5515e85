"""Workers and their Valkey killed at random in a sale: every yes is there, every question has one truth."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deals.errors import LimitReached, SoldOut
from deals.models import Buyer, Deal, OrderState
from deals.payments import PaymentStatus, SimulatedPayments
from deals.reconcile import reconcile
from deals.service import DealService
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import check_books, check_indexes, now_ms, open_deal, until
from tests.deals.test_crash import MortalValkey

ROUNDS, SOAK_ROUNDS = 3, 1000
WORKERS = 2
KILLS = 4


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """Where workers are born."""
    nursery = Nursery()
    yield nursery
    nursery.close()


class Nursery:
    """The parent of all workers of a test; it dies with this process, and they with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.deals.crash_worker"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, *words: str | int) -> int:
        """The pid that ``start`` or ``kill`` was about."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End, and whatever is left of the workers."""
        self._process.communicate(timeout=20)


class Crew:
    """Worker processes that are started again when they were killed."""

    def __init__(self, nursery: Nursery, valkey: MortalValkey, deal: Deal, folder: Path) -> None:
        self._nursery, self._valkey, self._deal, self._folder = nursery, valkey, deal, folder
        self._workers: dict[int, int] = {}
        self._started = 0

    def start(self, place: int) -> None:
        self._started += 1
        where = (self._valkey.socket, self._deal.stream_id, self._deal.id, f"w{self._started}", self._folder / "diary")
        self._workers[place] = self._nursery.ask("start", *map(str, where))

    def kill(self, place: int) -> None:
        self._nursery.ask("kill", self._workers.pop(place))

    def kill_all(self) -> None:
        for place in list(self._workers):
            self.kill(place)

    def asked(self) -> int:
        """How many questions the diary has so far."""
        path = self._folder / "diary"
        return path.read_bytes().count(b"ask ") if path.exists() else 0

    def diary(self) -> tuple[set[tuple[str, str]], dict[tuple[str, str], str]]:
        """What was asked, and what was answered yes."""
        path = self._folder / "diary"
        text = path.read_text() if path.exists() else ""
        # A line being written may be seen in part, and one whose writer was killed may stay so (at a page's end).
        lines = [line.split() for line in text.split("\n")[:-1]]
        asked = {(w[1], w[2]) for w in lines if w[0] == "ask" and len(w) == 3}
        return asked, {(w[1], w[2]): w[3] for w in lines if w[0] == "yes" and len(w) == 4}


async def one_round(nursery: Nursery, folder: Path, seed: int) -> Counter[str]:
    """One sale; how many workers and Valkeys died in it."""
    killed = Counter[str]()
    chance = random.Random(seed)
    valkey = MortalValkey(folder)
    valkey.start()
    client = Redis.from_url(f"unix://{valkey.socket}", retry=Retry(NoBackoff(), 0))
    payments = SimulatedPayments(client, development=True)
    service = DealService(client, ScriptRunner(client), payments, now_ms=now_ms, new_id=new_id)
    stock = chance.choice([200, 2_000, 100_000])
    deal = await open_deal(service, new_id("s"), stock=stock, hold_s=chance.choice([1, 3600]), duration_s=3600)
    crew = Crew(nursery, valkey, deal, folder)
    try:
        for place in range(WORKERS):
            crew.start(place)
        await until(lambda: len(crew.diary()[1]) >= 50, within_s=60)
        for _ in range(KILLS):
            await asyncio.sleep(chance.random() * 0.2)  # when a crash comes is chance: this is the dice, not a wait
            victims = chance.choice(["worker", "valkey", "both"])
            if victims != "valkey":
                crew.kill(place := chance.randrange(WORKERS))
                killed["workers killed"] += 1
            if victims != "worker":
                await asyncio.to_thread(valkey.kill)
                await asyncio.to_thread(valkey.start)
                killed["valkeys killed"] += 1
            if victims != "valkey":
                crew.start(place)
            await _until_asked(crew, crew.asked() + 20)
        crew.kill_all()
        await _judge(client, service, deal, *crew.diary())
        return killed
    finally:
        crew.kill_all()
        await service.aclose()
        await client.aclose()
        valkey.kill()


async def _until_asked(crew: Crew, count: int) -> None:
    await until(lambda: crew.asked() > count, within_s=60)


async def _judge(
    client: Redis,
    service: DealService,
    deal: Deal,
    asked: set[tuple[str, str]],
    yes: dict[tuple[str, str], str],
) -> None:
    await check_books(service, deal)
    await check_indexes(client, deal)
    orders, differences = await reconcile(service._store, deal.stream_id)
    assert differences == []
    assert orders >= len(yes) >= 50

    async def truth(user: str, key: str) -> str | None:
        try:
            return (await service.claim(deal.stream_id, deal.id, buyer=Buyer(user, "n"), units=1, key=key)).id
        except (SoldOut, LimitReached):
            return None

    keys = sorted(asked)
    first = await asyncio.gather(*(truth(*key) for key in keys))
    again = await asyncio.gather(*(truth(*key) for key in keys))
    for key, one, two in zip(keys, first, again, strict=True):
        assert one == yes.get(key, one), f"{key} was answered {yes[key]} and finds {one}"
        assert one is None or one == two, f"{key} finds {one} and then {two}"
    placed = [order_id for order_id in first if order_id is not None]
    assert len(set(placed)) == len(placed)
    for order_id in placed:
        captures = await client.hget(SimulatedPayments.books(order_id), "captures")
        assert captures in (None, b"1")
        # Paid is what the provider says, also where only a webhook said so.
        if (await service.order(order_id)).state is OrderState.PAID:
            assert await SimulatedPayments(client, development=True).status(order_id) is PaymentStatus.CAPTURED
    assert (await reconcile(service._store, deal.stream_id))[1] == []
    await check_books(service, deal)


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_killed_workers_and_valkeys_lose_and_double_nothing(
    nursery: Nursery, tmp_path: Path, round_: int
) -> None:
    await one_round(nursery, tmp_path, round_)


@pytest.mark.soak
@pytest.mark.timeout(24 * 3600)
async def test_a_thousand_rounds_of_killed_workers_and_valkeys(
    nursery: Nursery, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    first, rounds = int(os.environ.get("CRASH_SEED", str(ROUNDS))), int(os.environ.get("CRASH_ROUNDS", SOAK_ROUNDS))
    until_s = time.monotonic() + float(os.environ.get("CRASH_SECONDS", "inf"))
    done, kills = 0, Counter[str]()
    for seed in range(first, first + rounds):
        if time.monotonic() > until_s:
            break
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            kills += await one_round(nursery, folder, seed)
        except BaseException as error:
            error.add_note(f"round with seed {seed}")
            raise
        done += 1
        shutil.rmtree(folder)
    for name, number in {"rounds": done, **kills}.items():
        record_testsuite_property(name, number)
