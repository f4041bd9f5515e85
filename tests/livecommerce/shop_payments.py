"""A shop's own payment provider, as ``--payments tests.livecommerce.shop_payments:provider`` plugs it in."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deals.errors import WebhookRefused
from deals.models import Money
from deals.payments import Declined, PaymentStatus, Pending
from deals.webhooks import Webhook, verify

#: a real one would read it from its environment
SECRET = b"whsec-of-the-tests"
HEADER = "Shop-Signature"


class ShopPayments:
    """Takes ``tok_visa`` at once, ``tok_transfer`` when a webhook says so; forgets everything when it ends."""

    def __init__(self) -> None:
        self.books: dict[str, PaymentStatus] = {}

    async def authorise(self, order_id: str, amount: Money, token: str) -> str:
        """Known tokens only."""
        if token not in ("tok_visa", "tok_transfer"):
            raise Declined("no such card")
        return token

    async def capture(self, order_id: str, authorisation: str) -> None:
        """At once, or later."""
        self.books.setdefault(order_id, PaymentStatus.CAPTURED)
        if authorisation == "tok_transfer":
            raise Pending

    async def refund(self, order_id: str) -> None:
        """At once."""
        if self.books.get(order_id) is PaymentStatus.CAPTURED:
            self.books[order_id] = PaymentStatus.REFUNDED

    async def status(self, order_id: str) -> PaymentStatus:
        """By its own books."""
        return self.books.get(order_id, PaymentStatus.NONE)

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Webhook:
        """Its own form: ``{"event":…,"reference":…}``."""
        verify(SECRET, headers.get(HEADER, ""), body, now_ms)
        try:
            event = msgspec.json.decode(body, type=dict[str, str])
            return Webhook(event["event"], event.get("reference"))
        except (msgspec.MsgspecError, KeyError) as error:
            raise WebhookRefused("This is no event.") from error


def provider() -> ShopPayments:
    """The factory."""
    return ShopPayments()


def half() -> object:
    """Makes something that is none."""
    return object()


def broken() -> ShopPayments:
    """Cannot be made."""
    raise RuntimeError("SHOP_KEY is not set")
