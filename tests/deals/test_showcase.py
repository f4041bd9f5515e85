"""Products: shown, changed, pinned, removed; each said once to the room."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from deals.errors import Invalid, ProductNotFound
from deals.models import Money, ProductSpec
from deals.service import DealService
from tests.deals.helpers import events, types

LAMP = ProductSpec("Lamp", Money(1999, "EUR"), description='A "warm" light')


async def test_products_keep_the_order_in_which_they_were_added(service: DealService, stream_id: str) -> None:
    names = [f"p{n}" for n in range(40, 0, -1)]
    # many in one millisecond, as a shop's script does it
    await asyncio.gather(*(service.put_product(stream_id, name, LAMP) for name in names))
    assert [p.id for p in await service.products(stream_id)] == names


async def test_a_changed_product_keeps_its_place(service: DealService, stream_id: str) -> None:
    for product_id in ("b", "a"):
        await service.put_product(stream_id, product_id, LAMP)
    changed = await service.put_product(stream_id, "b", ProductSpec("Desk lamp", Money(1, "EUR")))
    assert [p.id for p in await service.products(stream_id)] == ["b", "a"]
    assert (await service.products(stream_id))[0] == changed


async def test_a_pinned_product_says_so_and_pinning_again_says_nothing(
    service: DealService, redis: Redis, stream_id: str
) -> None:
    await service.put_product(stream_id, "a", LAMP)
    await service.pin_product(stream_id, "a")
    await service.pin_product(stream_id, "a")
    assert await service.pinned(stream_id) == "a"
    assert (await service.products(stream_id))[0].pinned
    assert (await service.put_product(stream_id, "a", LAMP)).pinned
    await service.pin_product(stream_id, None)
    assert await service.pinned(stream_id) is None
    said = await events(redis, stream_id)
    assert [e["type"] for e in said] == ["product.updated", "product.pinned", "product.updated", "product.pinned"]
    assert [e["data"]["product_id"] for e in said if e["type"] == "product.pinned"] == ["a", None]
    assert said[0]["data"]["product"]["description"] == 'A "warm" light'


async def test_removing_a_pinned_product_unpins_it(service: DealService, redis: Redis, stream_id: str) -> None:
    await service.put_product(stream_id, "a", LAMP)
    await service.pin_product(stream_id, "a")
    await service.remove_product(stream_id, "a")
    assert (await service.products(stream_id), await service.pinned(stream_id)) == ([], None)
    assert (await types(redis, stream_id))[-2:] == ["product.pinned", "product.removed"]


@pytest.mark.parametrize("product_id", ["nothing", "", "}x{", "a b", "x" * 65])
async def test_an_unknown_product_is_refused(service: DealService, stream_id: str, product_id: str) -> None:
    with pytest.raises(ProductNotFound):
        await service.pin_product(stream_id, product_id)
    with pytest.raises(ProductNotFound):
        await service.remove_product(stream_id, product_id)


async def test_a_product_id_that_is_none_is_refused(service: DealService, stream_id: str) -> None:
    with pytest.raises(Invalid):
        await service.put_product(stream_id, "a}b", LAMP)


async def test_a_showcase_is_bounded(service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deals.showcase.MOST_PRODUCTS", 2)
    for product_id in ("a", "b"):
        await service.put_product(stream_id, product_id, LAMP)
    with pytest.raises(Invalid):
        await service.put_product(stream_id, "c", LAMP)
    await service.put_product(stream_id, "b", LAMP)


async def test_a_host_puts_products_in_another_order(service: DealService, redis: Redis, stream_id: str) -> None:
    """Those named stand first, the rest as before, new ones last; the same order again says nothing."""
    for product_id in ("a", "b", "c"):
        await service.put_product(stream_id, product_id, LAMP)
    for _ in range(2):
        await service.order_products(stream_id, ["c", "a"])
    assert [p.id for p in await service.products(stream_id)] == ["c", "a", "b"]
    await service.put_product(stream_id, "d", LAMP)
    await service.put_product(stream_id, "c", LAMP)
    await service.remove_product(stream_id, "a")
    assert [p.id for p in await service.products(stream_id)] == ["c", "b", "d"]
    await service.order_products(stream_id, ["d"])
    said = [e["data"]["product_ids"] for e in await events(redis, stream_id) if e["type"] == "product.order"]
    assert said == [["c", "a", "b"], ["d", "c", "b"]]
    with pytest.raises(ProductNotFound):
        await service.order_products(stream_id, ["a"])
    with pytest.raises(Invalid):
        await service.order_products(stream_id, ["b", "b"])
    assert [p.id for p in await service.products(stream_id)] == ["d", "c", "b"]
