"""The ``data`` of events, as their types."""

from __future__ import annotations

import msgspec

from chat.models import Message, Poll
from deals.models import Deal, Order, Product


class MessageId(msgspec.Struct, frozen=True):
    """A chat message's id."""

    id: str


class UserIdData(msgspec.Struct, frozen=True):
    """A user's id."""

    user_id: str


class PinnedMessage(msgspec.Struct, frozen=True):
    """The pinned message, or none."""

    message: Message | None


class MessageData(msgspec.Struct, frozen=True):
    """A message."""

    message: Message


class PollData(msgspec.Struct, frozen=True):
    """The poll as it is after the event."""

    poll: Poll


class PollCountsData(msgspec.Struct, frozen=True):
    """Votes by answer, and all of them."""

    poll_id: str
    counts: list[int]
    votes: int


class QueueData(msgspec.Struct, frozen=True):
    """Open questions, oldest first."""

    questions: list[Message]


class Text(msgspec.Struct, frozen=True):
    """Text for all."""

    text: str


class Nothing(msgspec.Struct, frozen=True):
    """No data: the type says it all."""


class ProductData(msgspec.Struct, frozen=True):
    """The product as it is now."""

    product: Product


class ProductId(msgspec.Struct, frozen=True):
    """A product's id."""

    product_id: str


class ProductOrder(msgspec.Struct, frozen=True):
    """All products, in the order in which they stand."""

    product_ids: list[str]


class PinnedProduct(msgspec.Struct, frozen=True):
    """The pinned product's id, or nothing."""

    product_id: str | None


class DealData(msgspec.Struct, frozen=True):
    """The deal as it is after the event."""

    deal: Deal


class ClaimedData(msgspec.Struct, frozen=True):
    """A batch of claims: units taken, units left, up to ten buyers' names and how many more there were."""

    deal_id: str
    units: int
    left: int
    buyers: list[str]
    more: int


class ReleasedData(msgspec.Struct, frozen=True):
    """Units that came back."""

    deal_id: str
    units: int
    left: int


class PublicBuyer(msgspec.Struct, frozen=True):
    """A buyer as everybody may see them."""

    name: str


class PurchaseData(msgspec.Struct, frozen=True):
    """Somebody paid."""

    deal_id: str
    buyer: PublicBuyer
    units: int


class StockData(msgspec.Struct, frozen=True):
    """A deal's counters."""

    deal_id: str
    left: int
    held: int
    sold: int


class Count(msgspec.Struct, frozen=True):
    """How many."""

    count: int


class StatusData(msgspec.Struct, frozen=True):
    """``ok``, or ``degraded`` while the worker cannot reach Valkey (commands then answer ``temporary: true``)."""

    state: str


class OrderData(msgspec.Struct, frozen=True):
    """The order as it is now."""

    order: Order


class LowStockData(msgspec.Struct, frozen=True):
    """How many units are left of which deal."""

    deal_id: str
    left: int
