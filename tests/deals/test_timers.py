"""Timers, proven: announced once though the announcing worker is killed in the act, and whatever its clock says."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deals import keys
from deals.errors import Closed, NotOpen
from deals.models import DealState, OrderState
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce.clock import ValkeyClock
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, a_deal, check_books, claim, events, now_ms, open_deal, tick, types, until

HOUR_MS = 3_600_000


async def _dies(url: str, moment: str, deal_id: str) -> int:
    """Run a worker that is killed around its tick of this deal; its status."""
    words = (sys.executable, "-m", "tests.deals.timer_worker", url, moment, deal_id)
    process = await asyncio.create_subprocess_exec(*words, cwd=Path(__file__).parents[2])
    try:
        return await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_worker_killed_as_it_announces_is_made_good_exactly_once(
    service: DealService, redis: Redis, valkey_url: str, stream_id: str, moment: str
) -> None:
    """The three announcers die (kill -9) at their scripts, unsent or carried out; then another worker comes by."""
    opening = await service.create(stream_id, a_deal(opens_at_ms=now_ms() + 500))
    closing = await open_deal(service, stream_id, duration_s=1)
    expiring = await open_deal(service, stream_id, stock=1, hold_s=1)
    order = await claim(service, expiring)
    announced = {
        ("deal.opened", opening.id): "opening",
        ("deal.closed", closing.id): "closing",
        ("deal.released", expiring.id): "expiring",
    }

    async def said() -> list[str]:
        found = []
        for event in await events(redis, stream_id):
            deal_id = event["data"].get("deal_id") or event["data"]["deal"]["id"]
            found += [announced[event["type"], deal_id]] if (event["type"], deal_id) in announced else []
        return sorted(found)

    ends = await asyncio.gather(*(_dies(valkey_url, moment, d.id) for d in (opening, closing, expiring)))
    assert ends == [-signal.SIGKILL] * 3
    everything = sorted(announced.values())
    assert await said() == ([] if moment == "before" else everything)
    await service.start()

    async def looked_at() -> bool:
        _, due = await service._store.ask(("PING",), ("ZRANGE", keys.due(stream_id), 0, -1, "WITHSCORES"))
        return len(await said()) >= 3 and len(due) < 3

    await until(looked_at)
    for deal in (opening, closing, expiring):
        await tick(service, deal)
    assert await said() == everything
    assert (await service.order(order.id)).state is OrderState.EXPIRED
    steps, _ = await service.journal(stream_id, after=None, limit=50)
    assert [step.what for step in steps] == ["claimed", "expired"]
    assert (await check_books(service, expiring)).left == 1


async def test_a_worker_whose_clock_is_an_hour_wrong_changes_nothing(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    fast, slow = (_astray(redis, run_script, f"{stream_id}{n}", HOUR_MS * n) for n in (1, -1))
    await asyncio.gather(fast, slow)


async def _astray(redis: Redis, run_script: ScriptRunner, stream_id: str, wrong_ms: int) -> None:
    """A whole sale by a worker whose clock is so wrong."""
    payments = SimulatedPayments(redis, development=True)
    astray = DealService(redis, run_script, payments, now_ms=lambda: now_ms() + wrong_ms, new_id=new_id)
    await astray.start()
    opens_ms = now_ms() + 600
    deal = await astray.create(stream_id, a_deal(opens_at_ms=opens_ms, duration_s=1, hold_s=60))
    assert deal.state is DealState.SCHEDULED
    with pytest.raises(NotOpen):
        await claim(astray, deal, 1)

    async def has(kind: str) -> bool:
        return kind in await types(redis, stream_id)

    await until(lambda: has("deal.opened"))
    order = await claim(astray, deal, 2)
    assert abs(order.placed_ms - now_ms()) < 60_000
    assert (await astray.pay(order.id, buyer_id="user-2", payment_token="pm_ok")).state is OrderState.PAID
    await until(lambda: has("deal.closed"))
    with pytest.raises(Closed):
        await claim(astray, deal, 3)
    said = {e["type"]: e["at_ms"] for e in await events(redis, stream_id)}
    assert said["deal.opened"] >= opens_ms
    assert said["deal.closed"] >= opens_ms + 1000
    await astray.aclose()


async def test_public_times_are_valkeys_though_the_machines_clock_is_wrong(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tickets and webhooks are judged by."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 3600)
    clock = ValkeyClock(redis)
    await clock.measure()
    assert abs(clock.now_ms() - right() * 1000) < 60_000


@pytest.mark.parametrize("over", ["closed", "cancelled"])
async def test_no_step_of_valkeys_clock_brings_back_what_is_over(
    timed: DealService, clock: ScriptClock, redis: Redis, stream_id: str, over: str
) -> None:
    began_ms = clock.now_ms
    deal = await timed.create(stream_id, a_deal(opens_at_ms=began_ms + 5000, duration_s=10))
    clock.now_ms += 5000
    order = await claim(timed, deal)
    clock.now_ms += 10_000 if over == "closed" else 9_000
    await (tick(timed, deal) if over == "closed" else timed.cancel(stream_id, deal.id))
    before = await types(redis, stream_id)
    # Back to before the opening, to its moment, into the sale, and far ahead: an operator sets the clock, or NTP does.
    for at_ms in (began_ms - HOUR_MS, began_ms + 5000, began_ms + 9000, began_ms + 24 * HOUR_MS, began_ms):
        clock.now_ms = at_ms
        await tick(timed, deal)
        with pytest.raises(Closed):
            await claim(timed, deal, 2)
        assert (await timed.deal(stream_id, deal.id)).state.value == over
    later = (await types(redis, stream_id))[len(before) :]
    assert set(later) <= {"deal.released"}
    assert (await timed.order(order.id)).state in (OrderState.EXPIRED, OrderState.CANCELLED)
    await check_books(timed, deal)
