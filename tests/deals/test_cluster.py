"""Every script, and every transaction, keeps to the keys of one slot: on one node or in a cluster it is the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from deals import keys, retention
from deals.errors import OutcomeUnknown, PaymentDeclined
from deals.journal import JournalReader
from deals.models import ProductSpec
from deals.reconcile import reconcile
from deals.scripts import SOURCES, Command, RunScript
from deals.service import DealService
from deals.store import Store
from deals.terms import BundlePart, CodeSpec, ItemSpec, Money, Shipping
from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, Till, a_buyer, a_deal, now_ms, pay, repair, tick, until
from tests.running import free_port
from tests.valkey import valkey_server


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Redis]:
    """A cluster of one node."""
    ports = ("--bind", "127.0.0.1", "--port", str(free_port()), "--cluster-port", str(free_port()))
    with valkey_server(tmp_path, "--cluster-enabled", "yes", *ports) as url:
        client = redis_client.make(url)
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def is_well() -> bool:
            return b"cluster_state:ok" in await client.execute_command("CLUSTER", "INFO")

        await until(is_well, within_s=20)
        yield client
        await client.aclose()


class NotingRunner:
    """A runner that notes what it ran, and of how many slots each script had keys."""

    def __init__(self, run: RunScript) -> None:
        self._run = run
        self.verbs: set[str] = set()

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        verbs = {verb for verb, text in SOURCES.items() if text == source}
        assert len({key_slot(key.encode()) for key in keys}) == 1, verbs
        self.verbs |= verbs
        return await self._run(source, keys, args, before)


async def _tour(redis: Redis, run: RunScript) -> set[str]:
    """All that hosts, buyers and operators can ask for; the scripts that it took."""
    clock, till = ScriptClock(run, redis), Till()
    runner = NotingRunner(clock)
    deals = DealService(redis, runner, till, now_ms=lambda: clock.now_ms, new_id=new_id)
    store, stream, eur = Store(redis, now_ms), new_id("s"), Money(500, "EUR")
    # what a host arranges
    for product in ("mug", "tea"):
        await deals.put_product(stream, product, ProductSpec(product, eur, compare_at=Money(900, "EUR")))
        await deals.rules.put_item(stream, product, ItemSpec(product, 9))
    await deals.rules.put_item(stream, "gone", ItemSpec("Gone", 1))
    await deals.rules.delete_item(stream, "gone")
    await deals.order_products(stream, ["tea", "mug"])
    await deals.pin_product(stream, "mug")
    await deals.remove_product(stream, "tea")
    for code in ("TEN", "GONE"):
        await deals.rules.put_code(stream, code, CodeSpec(percent=10))
    await deals.rules.delete_code(stream, "GONE")
    await deals.rules.put_shipping(stream, Shipping(eur))
    # a sale
    bundle = BundlePart("mug", 1), BundlePart("tea", 2)
    deal = await deals.create(stream, a_deal(stock=3, bundle=bundle, product_id="mug", compare_at=Money(2500, "EUR")))
    await deals.open(stream, deal.id)
    await deals.extend(stream, deal.id, 60)
    one, two, three = await asyncio.gather(
        *(deals.claim(stream, deal.id, buyer=a_buyer(n), units=1, key="k", code="TEN") for n in range(3))
    )
    for number in (8, 9):
        await deals.join_waitlist(stream, deal.id, buyer=a_buyer(number))
    await deals.leave_waitlist(stream, deal.id, buyer_id="user-9")
    await deals.cancel_order(one.id, buyer_id="user-0")
    await pay(deals, two)
    await deals.refund(two.id)
    with pytest.raises(PaymentDeclined):
        await pay(deals, three, "pm_no")
    till.lose_capture_answer = True
    with contextlib.suppress(OutcomeUnknown):
        await pay(deals, three)
    till.captures.clear()
    clock.now_ms += 100_000
    await repair(deals, deal)
    await deals.close(stream, deal.id)
    other = await deals.create(stream, a_deal())
    await deals.cancel(stream, other.id)
    await deals.create(stream, a_deal())
    await deals.stream_ended(stream)
    # books
    for one_deal in await deals.deals(stream):
        await tick(deals, one_deal)
    assert (await deals.orders_of("user-0", stream_id=stream, after=None, limit=5))[0][0].id == one.id
    assert (await reconcile(store, stream))[1] == []
    reader = JournalReader(store, stream, group="shop", consumer="one")
    assert await reader.begin()
    for token, _ in await reader.new():
        await reader.acknowledge(token)
    await runner(SOURCES["forget_stream"], [keys.STREAMS], (stream, clock.now_ms))
    await retention.forget(store, stream)
    await retention.forget_visits(store, clock.now_ms + 1)
    assert await redis.zscore(keys.buyer("user-0"), f"{stream}.{deal.id}") is None
    await deals.aclose()
    return runner.verbs


async def test_every_script_has_keys_of_one_slot(redis: Redis, run_script: ScriptRunner) -> None:
    assert await _tour(redis, run_script) == set(SOURCES)


@pytest.mark.soak  # a cluster takes two seconds to think itself well
async def test_a_node_of_a_cluster_refuses_nothing(node: Redis) -> None:
    with pytest.raises(ResponseError):
        await cast(Any, node).eval("return 1", 2, "one", "two")
    assert await _tour(node, ScriptRunner(node)) == set(SOURCES)
