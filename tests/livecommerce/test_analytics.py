"""What a host is told of a show: counted by workers, added up from the journal, bounded however long it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from deals.errors import Unavailable
from deals.models import Buyer, DealSpec, Money, Product, ProductSpec
from deals.service import DealService
from deals.tally import Glance, Happened
from livecommerce import keys
from livecommerce.analytics import ADD, KEPT_S
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from livecommerce.series import MOST_BUCKETS, WIDTH_MS, Buckets, Sales
from livecommerce.shown import SHOWN_S
from tests.livecommerce.edge import EdgeWorker
from tests.livecommerce.rooms import RoomWorker, room_worker

START_MS = 1_700_000_000_000
MUG = ProductSpec("Mug", Money(500, "EUR"))


@pytest.fixture
async def workers(valkey_url: str) -> AsyncIterator[tuple[RoomWorker, RoomWorker]]:
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        yield one, two


async def add(run_script: ScriptRunner, stream_id: str, *buckets: tuple[int, int, int]) -> None:
    """What a worker adds: (seconds after the start, viewers, messages)."""
    names = [keys.analytics(stream_id), keys.visitors(stream_id), f"lc:{{{stream_id}}}:showcase"]
    listed = ",".join(f"[{START_MS + s * 1000},{v},{m}]" for s, v, m in buckets)
    args = [WIDTH_MS, MOST_BUCKETS, KEPT_S, f'{{"buckets":[{listed}],"visitors":[],"views":[]}}']
    await run_script(ADD, names, args)


async def fields_of(redis: Redis, stream_id: str) -> dict[str, int]:
    found: Any = await redis.hgetall(keys.analytics(stream_id))
    return {name.decode(): int(value) for name, value in found.items()}


async def test_what_two_workers_counted_is_one_report(workers: tuple[RoomWorker, RoomWorker]) -> None:
    """Messages add up, viewers are the most at once, visitors and looks are people, sales come from the journal."""
    one, two = workers
    stream_id = await one.stream()
    deals = one.context.deals
    await deals.put_product(stream_id, "mug", MUG)
    host, ann, bob = await one.host(stream_id), await one.join(stream_id, "ann"), await two.join(stream_id, "bob")
    for viewer, text in ((ann, "hi"), (bob, "hello"), (bob, "there"), (bob, "there")):
        assert "ok" in await viewer.do("chat.send", text=text, key=text)  # the last one again: one message
    for viewer, product in ((ann, "mug"), (bob, "mug"), (ann, "mug"), (bob, "invented")):
        assert "ok" in await viewer.do("product.view", product_id=product)
    deal = await deals.create(stream_id, DealSpec("Mug", Money(500, "EUR"), 9, 2, 60, 60))
    await deals.open(stream_id, deal.id)
    for name in ("ann", "bob"):
        order = await deals.claim(stream_id, deal.id, buyer=Buyer(name, name), units=2, key="k")
    await deals.pay(order.id, buyer_id="bob", payment_token="pm_ok")
    await host.until(lambda: [e["data"]["count"] for e in host.events if e["type"] == "viewers"][-1:] == [3])
    for worker in workers:
        await worker.context.analytics._sample()
        await worker.context.analytics.flush()
    for worker in workers:
        report = await worker.context.analytics.report(stream_id)
        assert (sum(report.messages), max(report.viewers), report.visitors) == (3, 3, 2)
        assert (sum(report.claims), sum(report.paid), report.revenue) == (2, 1, Money(1000, "EUR"))
        assert (report.product_views, report.conversion) == ({"mug": 2}, 0.5)
        assert [(d.title, d.closed_ms) for d in report.deals] == [("Mug", None)]
        length = (report.to_ms - report.from_ms) // report.bucket_ms
        assert {len(x) for x in (report.viewers, report.messages, report.claims, report.paid)} == {length}
    await deals.refund(order.id)
    await deals.close(stream_id, deal.id)
    after = await two.context.analytics.report(stream_id)
    assert (after.revenue, sum(after.paid)) == (Money(0, "EUR"), 1)
    assert after.deals[0].closed_ms is not None


async def test_a_long_show_keeps_its_size_and_its_sums(redis: Redis, run_script: ScriptRunner, stream_id: str) -> None:
    """Ten seconds to a bucket in the first hour, twenty in the second: messages add up, viewers are the most."""
    await add(run_script, stream_id, *((s, 1 + s % 7, 1) for s in range(0, 3600, 10)))
    assert (await fields_of(redis, stream_id))["width"] == WIDTH_MS
    await add(run_script, stream_id, (3600, 50, 1), (3610, 40, 1))
    fields = await fields_of(redis, stream_id)
    assert fields["width"] == 2 * WIDTH_MS
    assert sum(v for k, v in fields.items() if k.startswith("m:")) == 362
    newest = (START_MS + 3_600_000) // (2 * WIDTH_MS)
    assert (fields[f"v:{newest}"], fields[f"m:{newest}"]) == (50, 2)
    await add(run_script, stream_id, (30 * 86_400, 1, 1))
    fields = await fields_of(redis, stream_id)
    assert len(fields) <= 2 * MOST_BUCKETS + 2
    assert sum(v for k, v in fields.items() if k.startswith("m:")) == 363
    assert 0 < await redis.ttl(keys.analytics(stream_id)) <= KEPT_S


async def test_the_same_flush_again_tells_the_same_viewers(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    """Viewers are a maximum, so that two workers that both know the sum do not double it; an old clock does no harm."""
    for viewers in (5, 9, 7):
        await add(run_script, stream_id, (100, viewers, 0))
    await add(run_script, stream_id, (0, 3, 1))
    fields = await fields_of(redis, stream_id)
    assert [v for k, v in fields.items() if k.startswith("v:")] == [9]


async def test_only_the_host_is_told(edge: EdgeWorker) -> None:
    stream_id = await edge.stream()
    path = f"/api/v1/streams/{stream_id}/analytics"
    assert (await edge.ask("GET", path)).code == "token_required"
    assert (await edge.ask("GET", path, token=edge.token("ann", "watch", "buy"))).code == "forbidden"
    told = await edge.ask("GET", path, token=edge.token("host", "host"))
    assert told.status == 200, told
    assert (told.body["viewers"], told.body["revenue"], told.body["conversion"]) == ([], None, None)
    other = await edge.ask("GET", "/api/v1/streams/s_none/analytics", token=edge.token("host", "host"))
    assert other.code == "stream_not_found"


async def test_a_flood_of_looks_stays_bounded(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.analytics.MOST_WAITING", 5)
    stream_id, analytics = await edge.stream(), edge.context.analytics
    await edge.context.deals.put_product(stream_id, "mug", MUG)
    for number in range(200):
        await analytics.viewed(stream_id, "mug", f"user-{number}")
    assert (await analytics.report(stream_id)).product_views == {"mug": 5}
    await analytics.viewed(stream_id, "mug", "one-more")
    assert (await analytics.report(stream_id)).product_views == {"mug": 6}


def step(what: str, amount: int = 100, order: str = "o1", at_ms: int = START_MS, currency: str = "EUR") -> Happened:
    return Happened(at_ms, what, Glance(order, Money(amount, currency)))


async def test_invented_products_take_no_place_of_real_ones(edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names somebody makes up: one reading a second, nothing kept, and what is shown goes on counting."""
    monkeypatch.setattr("livecommerce.analytics.MOST_WAITING", 3)
    stream_id, analytics, deals = await edge.stream(), edge.context.analytics, edge.context.deals
    await deals.put_product(stream_id, "mug", MUG)
    reads = 0

    async def products(of: str) -> list[Product]:
        nonlocal reads
        reads += 1
        return await DealService.products(deals, of)

    monkeypatch.setattr(deals, "products", products)
    await asyncio.gather(*(analytics.viewed(stream_id, f"invented-{number}", f"u{number}") for number in range(500)))
    assert (reads, analytics._waiting, analytics._counted) == (1, 0, {})
    await analytics.viewed(stream_id, "mug", "ann")
    await deals.put_product(stream_id, "cup", MUG)
    await analytics.viewed(stream_id, "cup", "ann")  # too soon after the flood
    analytics._shown._showcases[stream_id].read_s -= SHOWN_S
    await analytics.viewed(stream_id, "cup", "ann")
    assert reads == 2
    assert (await analytics.report(stream_id)).product_views == {"cup": 1, "mug": 1}
    await analytics._sample()
    assert analytics._shown._showcases == {}, "nobody is in this room"


async def test_without_a_store_looks_are_not_counted_and_nobody_is_told(
    edge: EdgeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(of: str) -> list[Product]:
        raise Unavailable("gone")

    monkeypatch.setattr(edge.context.deals, "products", away)
    await edge.context.analytics.viewed(new_id("s"), "mug", "ann")
    assert edge.context.analytics._waiting == 0


def test_money_that_came_too_late_is_no_revenue() -> None:
    sales = Sales()
    sales.take([step("claimed"), step("expired"), step("paid_late"), step("refund_pending"), step("refunded")])
    assert (sales.most(), sales.paid) == (None, 0)
    sales.take([step("paid", 300, "o2"), step("paid", 200, "o3"), step("refund_pending", 200, "o3"), step("refunded")])
    sales.take([step("paid", 250, "o4", currency="USD")])
    assert (sales.most(), sales.paid) == (Money(300, "EUR"), 3)


def test_buckets_widen_and_lose_nothing() -> None:
    buckets = Buckets(2)
    for number in range(3 * MOST_BUCKETS):
        buckets.add(START_MS + number * WIDTH_MS, number % 2)
    assert buckets.width_ms == 4 * WIDTH_MS
    assert len(buckets.counts) <= MOST_BUCKETS
    assert [sum(row) for row in zip(*buckets.counts.values(), strict=True)] == [540, 540]
    wider = buckets.at_width(16 * WIDTH_MS)
    assert len(wider) <= len(buckets.counts) // 4 + 1
    assert [sum(row) for row in zip(*wider.values(), strict=True)] == [540, 540]


async def test_an_idle_show_is_told_in_as_few_buckets(
    edge: EdgeWorker, run_script: ScriptRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at a day after its last message, a show still has at most as many buckets as one may have."""
    stream_id, now_ms = new_id("s"), START_MS + 86_400_000
    await add(run_script, stream_id, (0, 4, 2), (20, 6, 1))
    monkeypatch.setattr(edge.context.analytics, "_now_ms", lambda: now_ms)
    report = await edge.context.analytics.report(stream_id)
    assert MOST_BUCKETS // 2 < len(report.viewers) <= MOST_BUCKETS
    assert (sum(report.messages), max(report.viewers)) == (3, 6)
    assert report.from_ms <= START_MS < now_ms < report.to_ms
    ended = await edge.context.analytics.report(stream_id, until_ms=START_MS)
    assert (ended.viewers, ended.bucket_ms) == ([4, 0, 6], WIDTH_MS)
