"""``livecommerce forget``: what ended long ago leaves nothing; what is unfinished, unread or too young stays whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from deals import keys as deal_keys
from deals.errors import SoldOut
from deals.journal import JournalReader
from deals.models import Buyer, DealSpec, Money, ProductSpec
from deals.store import Store
from livecommerce.forget_command import LEAST_DAYS, forget
from streams import keys as stream_keys
from tests.livecommerce.rooms import RoomWorker, room_worker

LONG_AGO_MS = int(time.time() * 1000) - (LEAST_DAYS + 1) * 86_400_000
SPEC = DealSpec("Mug", Money(500, "EUR"), stock=9, per_buyer_limit=9, duration_s=60, hold_s=60)


@pytest.fixture
async def worker(valkey_url: str) -> AsyncIterator[RoomWorker]:
    async with room_worker(valkey_url) as worker:
        yield worker


class Show:
    """A show with a bit of everything, and what Valkey has of it."""

    def __init__(self, worker: RoomWorker, redis: Redis, url: str) -> None:
        self.worker, self.redis, self.url = worker, redis, url

    async def play(self, *, paid: bool = True) -> None:
        self.stream_id = await self.worker.stream()
        deals = self.worker.context.deals
        await deals.put_product(self.stream_id, "mug", ProductSpec("Mug", Money(500, "EUR")))
        ann = await self.worker.join(self.stream_id, "ann")
        assert "ok" in await ann.do("chat.send", text="hello there", key="k")
        assert "ok" in await ann.do("product.view", product_id="mug")
        await self.worker.context.analytics.flush()
        deal = await deals.create(self.stream_id, SPEC)
        await deals.open(self.stream_id, deal.id)
        order = await deals.claim(self.stream_id, deal.id, buyer=Buyer("ann", "Ann"), units=1, key="k")
        if paid:
            await deals.pay(order.id, buyer_id="ann", payment_token="pm_ok")
        self.member = f"{self.stream_id}.{deal.id}"
        with pytest.raises(SoldOut):
            await deals.claim(self.stream_id, deal.id, buyer=Buyer("bob", "Bob"), units=9, key="k")
        await self.worker.context.streams.end(self.stream_id)
        await deals.stream_ended(self.stream_id)
        await deals._ticker.tick(self.stream_id, deal.id)
        await self.redis.hset(stream_keys.stream(self.stream_id), "ended_ms", LONG_AGO_MS)

    async def read(self) -> None:
        reader = JournalReader(Store(self.redis, lambda: 0), self.stream_id, group="shop", consumer="one")
        await reader.begin()
        for token, _ in await reader.new():
            await reader.acknowledge(token)

    async def kept(self) -> set[str]:
        """Keys without an end of their own."""
        names: Any = await self.redis.keys(f"lc:{{{self.stream_id}}}:*")
        return {name.decode() for name in names if await self.redis.ttl(name) < 0}

    async def forget(self, *words: str) -> str:
        options = ["--days", str(LEAST_DAYS), "--stream", self.stream_id, "--redis-url", self.url, *words]
        result = await asyncio.to_thread(CliRunner().invoke, forget, options)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()[0]


@pytest.fixture
async def show(worker: RoomWorker, redis: Redis, valkey_url: str) -> Show:
    return Show(worker, redis, valkey_url)


async def test_a_show_that_was_read_and_ended_long_ago_leaves_nothing(show: Show) -> None:
    await show.play()
    await show.read()
    before = await show.kept()
    assert "would be forgotten" in await show.forget("--dry-run")
    assert await show.kept() == before
    assert "is forgotten" in await show.forget()
    assert await show.kept() == set()
    assert await show.redis.zscore(deal_keys.buyer("ann"), show.member) is None
    assert await show.redis.zscore(deal_keys.buyer("bob"), show.member) is not None  # who asked just now
    await show.redis.zadd(deal_keys.buyer("bob"), {show.member: LONG_AGO_MS})
    await show.forget()
    assert await show.redis.zscore(deal_keys.buyer("bob"), show.member) is None
    assert await show.redis.zscore(stream_keys.INDEX, show.stream_id) is None
    assert await show.forget() == "0 streams forgotten"


async def test_what_nobody_has_read_stays_unless_it_may_go(show: Show) -> None:
    await show.play()
    before = await show.kept()
    assert "no consumer group has read its journal" in await show.forget()
    reader = JournalReader(Store(show.redis, lambda: 0), show.stream_id, group="shop", consumer="one")
    await reader.begin()
    await reader.new()
    assert "the group shop has not acknowledged all" in await show.forget()
    assert await show.kept() == before
    assert "is forgotten" in await show.forget("--unread")


async def test_unfinished_business_and_young_streams_stay(show: Show) -> None:
    await show.play(paid=False)
    await show.read()
    before = await show.kept()
    assert "unfinished business" in await show.forget("--unread")
    await show.redis.hset(stream_keys.stream(show.stream_id), "ended_ms", int(time.time() * 1000))
    assert await show.forget("--unread") == "0 streams forgotten"
    await show.redis.hset(stream_keys.stream(show.stream_id), mapping={"ended_ms": LONG_AGO_MS, "state": "live"})
    assert await show.forget("--unread") == "0 streams forgotten"
    assert await show.kept() == before


async def test_one_that_was_cut_short_is_finished_by_the_next(show: Show) -> None:
    await show.play()
    await show.read()
    await show.redis.unlink(deal_keys.journal(show.stream_id), deal_keys.showcase(show.stream_id))
    assert "is forgotten" in await show.forget()
    assert await show.kept() == set()
