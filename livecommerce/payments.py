"""Which payment provider a server has."""

from __future__ import annotations

from redis.asyncio import Redis

from deals.models import Money
from deals.payments import Declined, PaymentProvider, SimulatedPayments


class NoPayments:
    """The provider of a production server that was given none: it declines, so that nothing is sold for nothing."""

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """Refuse."""
        raise Declined("This shop has no payment provider yet.")

    async def capture(self, order_id: str, authorisation: str) -> None:
        """Never asked: nothing was authorised."""
        raise NotImplementedError("nothing was authorised")

    async def refund(self, order_id: str) -> None:
        """Nothing was ever taken."""

    async def captured(self, order_id: str) -> bool:
        """Nothing was ever taken."""
        return False


def provider(redis: Redis, *, development: bool) -> PaymentProvider:
    """The simulated provider in development; none elsewhere."""
    return SimulatedPayments(redis, development=True) if development else NoPayments()
