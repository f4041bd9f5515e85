"""Every event a viewer may receive on the WebSocket, as its type.

**Numbered** events carry ``offset`` and ``at_ms`` and come in order, without a gap. **Latest-only** events carry
``as_of``, the offset they reflect, and may be dropped. **Private** events carry ``to``: one user's id, or a role
(``role:host``, ``role:moderator``).
"""

from __future__ import annotations

from typing import Any

import msgspec

from chat.models import Message, Moderation, Rules
from deals.models import Place
from livecommerce.schema.event_data import (
    ClaimedData,
    Count,
    DealData,
    LowStockData,
    MessageData,
    MessageId,
    Nothing,
    OrderData,
    PinnedMessage,
    PinnedProduct,
    PollCountsData,
    PollData,
    ProductData,
    ProductId,
    ProductOrder,
    PurchaseData,
    QueueData,
    ReleasedData,
    StatusData,
    StockData,
    Text,
    UserIdData,
)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all events have: a ``type``, and ``data``."""

    data: Any


class Numbered(Event, frozen=True):
    """An event of the room's one ordered log."""

    offset: int
    at_ms: int


class LatestOnly(Event, frozen=True):
    """The newest value of something."""

    as_of: int


class Private(Event, frozen=True):
    """Something for one user or role only."""

    to: str


class ChatMessage(Numbered, frozen=True, tag="chat.message"):
    """Somebody said something."""

    data: Message


class ChatDeleted(Numbered, frozen=True, tag="chat.deleted"):
    """A message was taken back."""

    data: MessageId


class ChatCleared(Numbered, frozen=True, tag="chat.cleared"):
    """All that a user said was taken back."""

    data: UserIdData


class ChatPinned(Numbered, frozen=True, tag="chat.pinned"):
    """Another message (or none) is pinned."""

    data: PinnedMessage


class ChatSettings(Numbered, frozen=True, tag="chat.settings"):
    """The room's rules changed."""

    data: Rules


class PollOpened(Numbered, frozen=True, tag="poll.opened"):
    """Everybody is asked."""

    data: PollData


class PollClosed(Numbered, frozen=True, tag="poll.closed"):
    """A poll is over; its result."""

    data: PollData


class QuestionAsked(Numbered, frozen=True, tag="question.asked"):
    """A message was marked as a question."""

    data: MessageData


class QuestionAnswered(Numbered, frozen=True, tag="question.answered"):
    """A question was answered; ``id`` is its message's."""

    data: MessageId


class Announcement(Numbered, frozen=True, tag="announcement"):
    """The host says something to all."""

    data: Text


class ProductUpdated(Numbered, frozen=True, tag="product.updated"):
    """A product is new or has changed."""

    data: ProductData


class ProductPinned(Numbered, frozen=True, tag="product.pinned"):
    """Another product (or none) is pinned."""

    data: PinnedProduct


class ProductRemoved(Numbered, frozen=True, tag="product.removed"):
    """A product is gone."""

    data: ProductId


class ProductsOrdered(Numbered, frozen=True, tag="product.order"):
    """The products stand in another order."""

    data: ProductOrder


class DealScheduled(Numbered, frozen=True, tag="deal.scheduled"):
    """A deal was made."""

    data: DealData


class DealOpened(Numbered, frozen=True, tag="deal.opened"):
    """A deal opened."""

    data: DealData


class DealExtended(Numbered, frozen=True, tag="deal.extended"):
    """A deal closes later than it would have."""

    data: DealData


class DealSoldOut(Numbered, frozen=True, tag="deal.sold_out"):
    """No unit is left (until a hold comes back)."""

    data: DealData


class DealClosed(Numbered, frozen=True, tag="deal.closed"):
    """A deal is over."""

    data: DealData


class DealCancelled(Numbered, frozen=True, tag="deal.cancelled"):
    """A deal was called off."""

    data: DealData


class DealClaimed(Numbered, frozen=True, tag="deal.claimed"):
    """A batch of claims was accepted."""

    data: ClaimedData


class DealReleased(Numbered, frozen=True, tag="deal.released"):
    """Held units came back."""

    data: ReleasedData


class Purchase(Numbered, frozen=True, tag="purchase"):
    """An order was paid."""

    data: PurchaseData


class StreamLive(Numbered, frozen=True, tag="stream.live"):
    """The host's media arrives."""

    data: Nothing


class StreamInterrupted(Numbered, frozen=True, tag="stream.interrupted"):
    """The host's media fell silent."""

    data: Nothing


class StreamEnded(Numbered, frozen=True, tag="stream.ended"):
    """The stream is over."""

    data: Nothing


class Viewers(LatestOnly, frozen=True, tag="viewers"):
    """How many are watching."""

    data: Count


class Reactions(LatestOnly, frozen=True, tag="reactions"):
    """Reactions since the last such event, by kind."""

    data: dict[str, int]


class DealStock(LatestOnly, frozen=True, tag="deal.stock"):
    """A deal's counters now."""

    data: StockData


class PollCounts(LatestOnly, frozen=True, tag="poll.counts"):
    """A poll's counts now."""

    data: PollCountsData


class Status(LatestOnly, frozen=True, tag="status"):
    """Whether the room works."""

    data: StatusData


class OrderUpdated(Private, frozen=True, tag="order.updated"):
    """One of your orders changed."""

    data: OrderData


class WaitlistOffer(Private, frozen=True, tag="waitlist.offer"):
    """A unit came back and is held for you: pay in time, or it goes to the next in line."""

    data: OrderData


class WaitlistPosition(Private, frozen=True, tag="waitlist.position"):
    """Your place in a waiting list has changed; told to the first in line only."""

    data: Place


class DealLowStock(Private, frozen=True, tag="deal.low_stock"):
    """To the host: few units are left."""

    data: LowStockData


class QuestionQueue(Private, frozen=True, tag="question.queue"):
    """The host's open questions."""

    data: QueueData


class ModerationNotice(Private, frozen=True, tag="moderation"):
    """Something was done to you; after a ban the connection is closed with 3501."""

    data: Moderation


_ALL: tuple[type[Event], ...] = (
    *(ChatMessage, ChatDeleted, ChatCleared, ChatPinned, ChatSettings, Announcement),
    *(PollOpened, PollClosed, QuestionAsked, QuestionAnswered, PollCounts, QuestionQueue),
    *(ProductUpdated, ProductPinned, ProductRemoved, ProductsOrdered),
    *(DealScheduled, DealOpened, DealExtended, DealSoldOut, DealClosed, DealCancelled),
    *(DealClaimed, DealReleased, Purchase, StreamLive, StreamInterrupted, StreamEnded),
    *(Viewers, Reactions, DealStock, Status),
    *(OrderUpdated, WaitlistOffer, WaitlistPosition, DealLowStock, ModerationNotice),
)

#: every event's type by its name
EVENTS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in _ALL}
