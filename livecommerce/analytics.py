"""What happened in a show, for its host: viewers, messages, product views, claims and sales over time.

Each worker counts what it carries out and adds it to the show's hash every :data:`FLUSH_S` seconds: a worker that dies
loses at most what it counted since, and a flush whose outcome is unknown is not repeated. Claims, payments and revenue
are not counted here: the journal of orders has them, and each worker that is asked adds it up as far as it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import resources
from typing import NamedTuple

import msgspec
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deals import keys as deal_keys
from deals.models import Deal, DealState, Money
from deals.service import DealService
from livecommerce import keys
from livecommerce.hub import Hub
from livecommerce.presence import Presence
from livecommerce.scripting import ScriptRunner
from livecommerce.series import MOST_BUCKETS, WIDTH_MS, Sales, halved
from livecommerce.shown import ShownProducts
from livecommerce.tasks import Periodic

ADD: str = resources.files("livecommerce").joinpath("lua/analytics.lua").read_text("utf-8")

#: how often viewers are looked at, and how often counts are added to the show's
SAMPLE_S, FLUSH_S = 1.0, 5
#: how long the counts of a show are kept after the last of them
KEPT_S = 30 * 86_400
#: user ids that wait on one worker for the next flush, and those of one product (or of the visitors) in one flush
MOST_WAITING, MOST_AT_ONCE = 20_000, 2_000
#: shows whose journal one worker keeps added up; the one asked for longest ago goes first
MOST_SHOWS = 64
#: how long the last flush may take when the worker stops
LAST_FLUSH_S = 1.0

_DROPPED = Counter("livecommerce_analytics_dropped", "Product views and visits not counted: too many waited.")


class DealSpan(msgspec.Struct, frozen=True):
    """When a deal was open; ``closed_ms`` is null while it is."""

    id: str
    title: str
    opened_ms: int
    closed_ms: int | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A show over time. Each list has one value a bucket: ``from_ms`` to ``to_ms`` in steps of ``bucket_ms``."""

    from_ms: int
    to_ms: int
    bucket_ms: int
    #: the most who watched at once in the bucket
    viewers: list[int]
    messages: list[int]
    #: orders placed, and orders paid
    claims: list[int]
    paid: list[int]
    #: of what is paid and not refunded, in the currency that brought most
    revenue: Money | None
    #: users who looked at a product of the showcase (within about 1 %)
    product_views: dict[str, int]
    #: users who joined, hosts and moderators not counted (within about 1 %)
    visitors: int
    #: paid orders for each visitor; more than 1 where people buy more than once
    conversion: float | None
    deals: list[DealSpan]


class _Series(NamedTuple):
    """The members of a report that are about time."""

    from_ms: int
    to_ms: int
    bucket_ms: int
    viewers: list[int]
    messages: list[int]
    claims: list[int]
    paid: list[int]


class _Counted:
    """What one worker counted of one show since the last flush."""

    def __init__(self) -> None:
        self.messages: dict[int, int] = {}
        self.viewers: dict[int, int] = {}
        self.visitors: set[str] = set()
        self.views: dict[str, set[str]] = {}

    def waiting(self) -> int:
        return len(self.visitors) + sum(map(len, self.views.values()))


class Analytics:
    """Counts for all shows on this worker, and reports on one; ``start`` and ``aclose`` own its task."""

    def __init__(
        self,
        redis: Redis,
        run_script: ScriptRunner,
        hub: Hub,
        presence: Presence,
        deals: DealService,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._redis = redis
        self._run_script = run_script
        self._hub = hub
        self._presence = presence
        self._deals = deals
        self._now_ms = now_ms
        self._counted: dict[str, _Counted] = {}
        self._waiting = 0
        self._shown = ShownProducts(deals)
        #: the viewers last told of each room, with their bucket
        self._told: dict[str, tuple[int, int]] = {}
        self._samples = 0
        self._sampling = Periodic("analytics", SAMPLE_S, self._sample)
        self._sales: OrderedDict[str, tuple[Sales, asyncio.Lock]] = OrderedDict()

    async def start(self) -> None:
        """Begin to look at viewers and to flush; safe to call twice."""
        self._sampling.start()

    async def aclose(self) -> None:
        """Stop, and flush once more (best effort); safe to call twice."""
        await self._sampling.aclose()
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(LAST_FLUSH_S):
                await self.flush()

    # counting

    def said(self, stream_id: str) -> None:
        """A message was sent."""
        bucket = self._bucket()
        messages = self._of(stream_id).messages
        messages[bucket] = messages.get(bucket, 0) + 1

    def visited(self, stream_id: str, user_id: str) -> None:
        """Somebody joined."""
        self._note(self._of(stream_id).visitors, user_id)

    async def viewed(self, stream_id: str, product_id: str, user_id: str) -> None:
        """Somebody looked at a product; counted once a user, and only if the showcase has it."""
        if await self._shown.has(stream_id, product_id):
            self._note(self._of(stream_id).views.setdefault(product_id, set()), user_id)

    def _of(self, stream_id: str) -> _Counted:
        return self._counted.setdefault(stream_id, _Counted())

    def _bucket(self) -> int:
        return self._now_ms() // WIDTH_MS

    def _note(self, users: set[str], user_id: str) -> None:
        if user_id in users:
            return
        if self._waiting >= MOST_WAITING or len(users) >= MOST_AT_ONCE:
            _DROPPED.inc()
            return
        users.add(user_id)
        self._waiting += 1

    async def _sample(self) -> None:
        bucket = self._bucket()
        shown = {stream_id: self._presence.shown(stream_id) or 0 for stream_id in self._hub.counts()}
        for stream_id, viewers in shown.items():
            # Only what is news: a room whose count stands still costs one flush a bucket.
            if viewers and (bucket, viewers) > self._told.get(stream_id, (0, 0)):
                self._told[stream_id] = bucket, viewers
                counted = self._of(stream_id).viewers
                counted[bucket] = max(viewers, counted.get(bucket, 0))
        self._shown.keep(shown)
        self._told = {stream_id: told for stream_id, told in self._told.items() if stream_id in shown}
        self._samples += 1
        if self._samples % FLUSH_S == 0:
            await self.flush()

    async def flush(self) -> None:
        """Add what was counted to the shows. Raises redis-py's errors; what was not added by then is lost."""
        for stream_id in list(self._counted):
            await self._flush(stream_id)

    async def _flush(self, stream_id: str) -> None:
        if (counted := self._counted.pop(stream_id, None)) is not None:
            self._waiting -= counted.waiting()
            await self._run_script(ADD, *_added(stream_id, counted))

    # reporting

    async def report(self, stream_id: str, *, until_ms: int | None = None) -> Report:
        """A show so far, or an ended one up to its last moment; the stream has to exist. Raises redis-py's errors."""
        await self._flush(stream_id)
        products = [product.id for product in await self._deals.products(stream_id)]
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(keys.analytics(stream_id))
        pipe.pfcount(keys.visitors(stream_id))
        for product_id in products:
            pipe.pfcount(keys.product_views(stream_id, product_id))
        fields, visitors, *views = await pipe.execute()
        sales = await self._sold(stream_id)
        spans = [span for deal in await self._deals.deals(stream_id) if (span := _span(deal)) is not None]
        return Report(
            **_over_time(fields, sales, self._now_ms() if until_ms is None else until_ms)._asdict(),
            revenue=sales.most(),
            product_views={product_id: count for product_id, count in zip(products, views, strict=True) if count},
            visitors=visitors,
            conversion=round(sales.paid / visitors, 4) if visitors else None,
            deals=sorted(spans, key=lambda span: span.opened_ms),
        )

    async def _sold(self, stream_id: str) -> Sales:
        """The journal's sums, read on from where they were left."""
        sales, lock = self._sales.setdefault(stream_id, (Sales(), asyncio.Lock()))
        self._sales.move_to_end(stream_id)
        while len(self._sales) > MOST_SHOWS:
            self._sales.popitem(last=False)
        async with lock:
            while True:
                steps, place = await self._deals.happened(stream_id, after=sales.place)
                sales.take(steps)
                sales.place = place
                if not steps:
                    return sales


def _added(stream_id: str, counted: _Counted) -> tuple[list[str], list[str | bytes | int]]:
    """KEYS and ARGV of analytics.lua."""
    buckets = sorted({*counted.viewers, *counted.messages})
    views = sorted(counted.views.items())
    told = {
        "buckets": [[b * WIDTH_MS, counted.viewers.get(b, 0), counted.messages.get(b, 0)] for b in buckets],
        "visitors": sorted(counted.visitors),
        "views": [[product_id, sorted(users)] for product_id, users in views],
    }
    names = [keys.analytics(stream_id), keys.visitors(stream_id), deal_keys.showcase(stream_id)]
    names += [keys.product_views(stream_id, product_id) for product_id, _ in views]
    return names, [WIDTH_MS, MOST_BUCKETS, KEPT_S, msgspec.json.encode(told)]


def _over_time(fields: Mapping[bytes, bytes], sales: Sales, until_ms: int) -> _Series:
    """The four series and their frame, in buckets of one width."""
    width = int(fields.get(b"width", WIDTH_MS))
    crowd: dict[int, list[int]] = {}
    for field, value in fields.items():
        row, _, index = field.decode().partition(":")
        if index:
            crowd.setdefault(int(index), [0, 0])["vm".index(row)] = int(value)
    while width < sales.buckets.width_ms:
        crowd, width = halved(crowd, [max, sum]), 2 * width
    sold = sales.buckets.at_width(width)
    while True:
        known = crowd.keys() | sold.keys()
        if not known:
            return _Series(until_ms, until_ms, width, [], [], [], [])
        first, last = min(known), max(*known, until_ms // width)
        if last - first < MOST_BUCKETS:
            break
        crowd, sold, width = halved(crowd, [max, sum]), halved(sold, [sum, sum]), 2 * width
    columns = [[*crowd.get(i, (0, 0)), *sold.get(i, (0, 0))] for i in range(first, last + 1)]
    viewers, messages, claims, paid = (list(row) for row in zip(*columns, strict=True))
    return _Series(first * width, (last + 1) * width, width, viewers, messages, claims, paid)


def _span(deal: Deal) -> DealSpan | None:
    """When a deal was open; None when it never was."""
    if deal.state is DealState.SCHEDULED or deal.opens_at_ms is None:
        return None
    over = deal.state in (DealState.CLOSED, DealState.CANCELLED)
    closed_ms = deal.closes_at_ms if over else None
    if closed_ms is not None and closed_ms < deal.opens_at_ms:
        return None
    return DealSpan(deal.id, deal.title, deal.opens_at_ms, closed_ms)
