"""Which products a showcase has, as one worker knows it: so that invented names cost nothing and are kept nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container
from typing import TYPE_CHECKING

from deals.errors import DealsError

if TYPE_CHECKING:
    from deals.service import DealService

#: a showcase is read anew for a product that was not in it, at most this often
SHOWN_S = 1.0


class _Showcase:
    def __init__(self) -> None:
        self.products: frozenset[str] = frozenset()
        self.read_s = float("-inf")
        self.reading = asyncio.Lock()


class ShownProducts:
    """The showcases that somebody looks at on this worker."""

    def __init__(self, deals: DealService) -> None:
        self._deals = deals
        self._showcases: dict[str, _Showcase] = {}

    async def has(self, stream_id: str, product_id: str) -> bool:
        """Whether the showcase has it, or had it when it was read; a new one is known after :data:`SHOWN_S`."""
        one = self._showcases.setdefault(stream_id, _Showcase())
        if product_id not in one.products:
            async with one.reading:
                now_s = asyncio.get_running_loop().time()
                if product_id not in one.products and now_s - one.read_s > SHOWN_S:
                    one.read_s = now_s
                    # It is asked for counts alone, and those are best effort.
                    with contextlib.suppress(DealsError):
                        one.products = frozenset(product.id for product in await self._deals.products(stream_id))
        return product_id in one.products

    def keep(self, stream_ids: Container[str]) -> None:
        """Forget all but these."""
        self._showcases = {stream_id: one for stream_id, one in self._showcases.items() if stream_id in stream_ids}
