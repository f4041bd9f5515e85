"""Consumer groups on the journal: in order, at least once, nothing lost when a consumer dies."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from deals.journal import JournalReader
from deals.service import DealService
from deals.store import Store
from tests.deals.helpers import claim, now_ms, open_deal


def reader(redis: Redis, stream_id: str, consumer: str = "one", group: str = "shop") -> JournalReader:
    return JournalReader(Store(redis, now_ms), stream_id, group=group, consumer=consumer)


async def drain(reader: JournalReader) -> list[str]:
    """Everything there is, acknowledged; the ids in order."""
    await reader.begin()
    seen: list[str] = []
    async for token, entries in reader.unfinished():
        seen += [entry.id for entry in entries]
        await reader.acknowledge(token)
    while page := await reader.new():
        for token, entries in page:
            seen += [entry.id for entry in entries]
            await reader.acknowledge(token)
    return seen


async def _sell(service: DealService, stream_id: str) -> list[str]:
    """Sell some, by one and by many; the ids of the whole journal."""
    deal = await open_deal(service, stream_id, stock=100)
    for n in range(3):
        await claim(service, deal, n)
    orders = await asyncio.gather(*(claim(service, deal, n) for n in range(10, 40)))
    await service.pay(orders[0].id, buyer_id="user-10", payment_token="pm_ok")
    entries, _ = await service.journal(stream_id, after=None, limit=500)
    return [entry.id for entry in entries]


async def test_a_group_reads_every_entry_once_and_then_only_what_is_new(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    whole = await _sell(service, stream_id)
    assert len(whole) == 35
    assert await drain(reader(redis, stream_id)) == whole
    assert await drain(reader(redis, stream_id)) == []
    more = await _sell(service, stream_id)
    assert await drain(reader(redis, stream_id)) == more[len(whole) :]
    assert await drain(reader(redis, stream_id, group="books")) == more


async def test_what_was_not_acknowledged_comes_again(service: DealService, redis: Redis, stream_id: str) -> None:
    whole = await _sell(service, stream_id)
    first = reader(redis, stream_id)
    await first.begin()
    assert await first.new()  # and then it dies
    assert await drain(reader(redis, stream_id)) == whole


async def test_another_consumer_takes_over_from_a_silent_one(
    service: DealService, redis: Redis, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await _sell(service, stream_id)
    dead = reader(redis, stream_id, "dead")
    await dead.begin()
    assert await dead.new()
    assert await drain(reader(redis, stream_id, "other")) == []
    monkeypatch.setattr("deals.journal.TAKE_OVER_MS", 0)
    assert await drain(reader(redis, stream_id, "other")) == whole


@pytest.mark.parametrize("limit", [1, 7, 34, 35, 500])
async def test_pages_of_any_size_give_every_entry_once(service: DealService, stream_id: str, limit: int) -> None:
    whole = await _sell(service, stream_id)
    seen: list[str] = []
    after: str | None = None
    while True:
        entries, after = await service.journal(stream_id, after=after, limit=limit)
        seen += [entry.id for entry in entries]
        assert len(entries) <= limit
        if after is None:
            break
    assert seen == whole
