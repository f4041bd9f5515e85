"""Payments behind one small protocol, and a simulated provider for development.

Every call names its order, and the provider is idempotent by it: an order is captured at most once and refunded at
most once, however often it is asked. That, not any flag of ours, is what makes a crash between capture and recording
harmless.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from deals.models import Money


class Declined(Exception):
    """The provider said no; nothing was charged."""


class PaymentProvider(Protocol):
    """What deals need of a payment provider. Any other exception than Declined means "unknown"."""

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """Reserve the amount; returns the authorisation's id; raises :class:`Declined`."""

    async def capture(self, order_id: str, authorisation: str) -> None:
        """Take the money; does nothing when this order's money was taken before."""

    async def refund(self, order_id: str) -> None:
        """Give the order's money back; does nothing when it was given back before, or never taken."""

    async def captured(self, order_id: str) -> bool:
        """Whether this order's money was taken (and not given back)."""


class SimulatedPayments:
    """Pretends to be a provider: tokens ``pm_ok``, ``pm_declined``, ``pm_slow`` (2 s); others are declined.

    A provider outlives our workers, so its books are in Valkey: hash ``lc:simulated-payment:<order id>``.
    """

    #: how long the pretended books are kept
    KEEP_S = 30 * 86_400
    SLOW_S = 2.0

    def __init__(self, redis: Redis, *, development: bool) -> None:
        if not development:
            raise ValueError("The simulated payment provider takes no money: it runs only in development.")
        self._redis = redis

    @staticmethod
    def books(order_id: str) -> str:
        """The key of an order's pretended books."""
        return f"lc:simulated-payment:{order_id}"

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """See :class:`PaymentProvider`."""
        if token == "pm_slow":  # noqa: S105 - a magic token, no secret
            await asyncio.sleep(self.SLOW_S)
        elif token != "pm_ok":  # noqa: S105
            raise Declined(f"{amount.amount} {amount.currency} declined")
        return f"authorised:{order_id}"

    async def capture(self, order_id: str, authorisation: str) -> None:
        """See :class:`PaymentProvider`."""
        if await self._once(order_id, "captured_ms"):
            await self._ask("HINCRBY", order_id, "captures", 1)

    async def refund(self, order_id: str) -> None:
        """See :class:`PaymentProvider`."""
        if await self._ask("HEXISTS", order_id, "captured_ms"):
            await self._once(order_id, "refunded_ms")

    async def captured(self, order_id: str) -> bool:
        """See :class:`PaymentProvider`."""
        taken, returned = await self._ask("HMGET", order_id, "captured_ms", "refunded_ms")
        return taken is not None and returned is None

    async def _ask(self, command: str, order_id: str, *args: str | int) -> Any:
        return await cast(Any, self._redis).execute_command(command, self.books(order_id), *args)

    async def _once(self, order_id: str, field: str) -> bool:
        # The pretended provider has its own clock, as a real one would.
        new = await self._ask("HSETNX", order_id, field, int(time.time() * 1000))
        await self._ask("EXPIRE", order_id, self.KEEP_S)
        return bool(new)
