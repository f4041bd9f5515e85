"""A stream's showcase: its products and the pinned one."""

from __future__ import annotations

from collections.abc import Sequence

from deals import keys
from deals.errors import Invalid, ProductNotFound
from deals.models import Product, ProductSpec
from deals.scripts import Scripts
from deals.store import Store, product_open_json, read_whole_product

#: products in one showcase
MOST_PRODUCTS = 200


class Showcase:
    """Changes and reads showcases."""

    def __init__(self, store: Store, scripts: Scripts) -> None:
        self._store = store
        self._scripts = scripts

    async def put_product(self, stream_id: str, product_id: str, spec: ProductSpec) -> Product:
        """Put a product in, or change it; emits ``product.updated``."""
        if not (keys.is_id(stream_id) and keys.is_id(product_id)):
            raise Invalid("A product's id is 1 to 64 letters, digits, '-' or '_'.")
        args = (
            *(product_id, product_open_json(stream_id, product_id, spec), MOST_PRODUCTS),
            *(spec.price.amount, spec.price.currency, "1" if spec.compare_at else ""),
        )
        [text] = await self._scripts("put_product", keys.of_showcase(stream_id), args)
        return read_whole_product(text)

    async def remove_product(self, stream_id: str, product_id: str) -> None:
        """Take a product out; emits ``product.removed``."""
        _check(stream_id, product_id)
        await self._scripts("remove_product", keys.of_showcase(stream_id), (product_id,))

    async def pin_product(self, stream_id: str, product_id: str | None) -> None:
        """Pin a product, or with None unpin; emits ``product.pinned`` when that changes something."""
        _check(stream_id, "x" if product_id is None else product_id)
        await self._scripts("pin_product", keys.of_showcase(stream_id), (product_id or "",))

    async def order_products(self, stream_id: str, product_ids: Sequence[str]) -> None:
        """Put these first, in this order, the others after them as they were; emits ``product.order`` when it changes.

        Raises :class:`ProductNotFound`, or :class:`Invalid` for a product that is named twice.
        """
        for product_id in product_ids:
            _check(stream_id, product_id)
        await self._scripts("order_products", keys.of_showcase(stream_id), tuple(product_ids))

    async def products(self, stream_id: str) -> list[Product]:
        """All of them, in their host's order, else in that in which they were added."""
        return (await self._store.showcase(stream_id))[0] if keys.is_id(stream_id) else []

    async def pinned(self, stream_id: str) -> str | None:
        """The pinned product's id."""
        if not keys.is_id(stream_id):
            return None
        [pinned] = await self._store.ask(("HGET", keys.showcase(stream_id), "pinned"))
        return None if pinned is None else str(pinned, "utf-8")


def _check(stream_id: str, product_id: str) -> None:
    if not (keys.is_id(stream_id) and keys.is_id(product_id)):
        raise ProductNotFound("There is no such product here.")
