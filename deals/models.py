"""The nouns of deals and their state tables. Pure: no I/O, no clock, no asyncio.

A state machine here is a table ``{state: {step: next state}}`` and one :func:`step`; a step that is not in the table
raises one error and changes nothing. ``scripts.py`` writes the same tables into every Lua script, so neither drifts.

Bounds: every number that reaches Lua stays below 2^53, up to which it counts exactly; no script writes one by Lua's own
JSON, which makes exponents of those from 10^14 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from deals.errors import IllegalState
from deals.terms import BundleItem, BundlePart, BuyXPayY, Line, Stock, Title, check_price
from deals.terms import Money as Money
from deals.terms import Units as Units

Description = Annotated[str, Meta(max_length=2000)]
#: only addresses a browser may load as an image; never javascript: or data:
ImageUrl = Annotated[str, Meta(max_length=2048, pattern=r"^(https?://|/)[^\s\"'<>\\]*$")]
DurationSeconds = Annotated[int, Meta(ge=1, le=86_400)]
HoldSeconds = Annotated[int, Meta(ge=1, le=3600)]
#: until the year 2100
TimeMs = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]


class DealState(StrEnum):
    """Where a deal stands."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class DealStep(StrEnum):
    """What can happen to a deal."""

    OPEN = "open"
    SELL_OUT = "sell_out"
    RELEASE = "release"
    EXTEND = "extend"
    CLOSE = "close"
    CANCEL = "cancel"


class OrderState(StrEnum):
    """Where an order stands."""

    HELD = "held"
    PAYING = "paying"
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    PAID_LATE = "paid_late"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"


class OrderStep(StrEnum):
    """What can happen to an order; ``rescue`` and ``miss`` are money that came after the hold had expired."""

    PAY = "pay"
    CONFIRM = "confirm"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RESCUE = "rescue"
    MISS = "miss"
    REFUND = "refund"
    REFUNDED = "refunded"


#: A scheduled deal of an ended stream is cancelled, not closed: it never was open.
DEAL_STEPS: Mapping[DealState, Mapping[DealStep, DealState]] = {
    DealState.SCHEDULED: {DealStep.OPEN: DealState.OPEN, DealStep.CANCEL: DealState.CANCELLED},
    DealState.OPEN: {
        DealStep.SELL_OUT: DealState.SOLD_OUT,
        DealStep.EXTEND: DealState.OPEN,
        DealStep.CLOSE: DealState.CLOSED,
        DealStep.CANCEL: DealState.CANCELLED,
    },
    DealState.SOLD_OUT: {
        DealStep.RELEASE: DealState.OPEN,
        DealStep.EXTEND: DealState.SOLD_OUT,
        DealStep.CLOSE: DealState.CLOSED,
        DealStep.CANCEL: DealState.CANCELLED,
    },
    DealState.CLOSED: {},
    DealState.CANCELLED: {},
}

ORDER_STEPS: Mapping[OrderState, Mapping[OrderStep, OrderState]] = {
    OrderState.HELD: {
        OrderStep.PAY: OrderState.PAYING,
        OrderStep.CANCEL: OrderState.CANCELLED,
        OrderStep.EXPIRE: OrderState.EXPIRED,
    },
    OrderState.PAYING: {
        OrderStep.CONFIRM: OrderState.PAID,
        OrderStep.DECLINE: OrderState.HELD,
        OrderStep.EXPIRE: OrderState.EXPIRED,
    },
    OrderState.PAID: {OrderStep.REFUND: OrderState.REFUND_PENDING},
    OrderState.CANCELLED: {},
    OrderState.EXPIRED: {OrderStep.RESCUE: OrderState.PAID, OrderStep.MISS: OrderState.PAID_LATE},
    OrderState.PAID_LATE: {OrderStep.REFUND: OrderState.REFUND_PENDING},
    OrderState.REFUND_PENDING: {OrderStep.REFUNDED: OrderState.REFUNDED},
    OrderState.REFUNDED: {},
}

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


def step(table: Mapping[S, Mapping[T, S]], state: S, wanted: T) -> S:
    """The state that ``wanted`` leads to; raises :class:`IllegalState` where the table has no such cell."""
    try:
        return table[state][wanted]
    except KeyError:
        raise IllegalState(f"{wanted.value} is not possible while {state.value}.") from None


def _check_compare_at(price: Money, compare_at: Money | None) -> None:
    # A ValueError here becomes msgspec's ValidationError when the value was decoded.
    check_price(price, compare_at)
    if compare_at is not None and compare_at.currency != price.currency:
        raise ValueError("compare_at must be in the currency of price")


class ProductSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host says of a product in the showcase."""

    title: Title
    price: Money
    image_url: ImageUrl | None = None
    description: Description | None = None
    compare_at: Money | None = None

    def __post_init__(self) -> None:
        _check_compare_at(self.price, self.compare_at)


class Product(Struct, frozen=True):
    """A product in a stream's showcase."""

    id: str
    stream_id: str
    title: str
    image_url: str | None
    description: str | None
    price: Money
    compare_at: Money | None
    #: the lowest price of the 30 days before the current one began; where ``compare_at`` is set and it is known
    lowest_30d: Money | None = None
    pinned: bool = False


class DealSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host says of a deal; without ``opens_at_ms`` it waits for ``open``."""

    title: Title
    price: Money
    stock: Stock
    per_buyer_limit: Units
    duration_s: DurationSeconds
    hold_s: HoldSeconds
    product_id: Annotated[str, Meta(max_length=64)] | None = None
    image_url: ImageUrl | None = None
    description: Description | None = None
    compare_at: Money | None = None
    opens_at_ms: TimeMs | None = None
    #: the host is told once so many units are left; by default a tenth of the stock
    low_stock: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    #: claims need a ticket, given out from a minute before the opening
    ticketed: bool = False
    buy_x_pay_y: BuyXPayY | None = None
    #: the stock items that each unit takes
    bundle: Annotated[tuple[BundlePart, ...], Meta(min_length=2, max_length=10)] | None = None

    def __post_init__(self) -> None:
        _check_compare_at(self.price, self.compare_at)
        if len({part.item_id for part in self.bundle or ()}) != len(self.bundle or ()):
            raise ValueError("a bundle names an item once")


class Deal(Struct, frozen=True):
    """A deal as of ``server_ms``; ``left + held + sold == stock`` always.

    But for a bundle: there ``left`` is less when the stock items do not suffice for more.
    """

    id: str
    stream_id: str
    title: str
    image_url: str | None
    description: str | None
    price: Money
    compare_at: Money | None
    stock: int
    per_buyer_limit: int
    duration_s: int
    hold_s: int
    opens_at_ms: int | None
    closes_at_ms: int | None
    state: DealState
    left: int
    held: int
    sold: int
    server_ms: int
    ticketed: bool = False
    buy_x_pay_y: BuyXPayY | None = None
    bundle: tuple[BundleItem, ...] | None = None
    #: as in Product: before this deal opened
    lowest_30d: Money | None = None
    product_id: str | None = None  # of the showcase, where the deal names one


class Buyer(Struct, frozen=True):
    """Who buys: the token's subject and public name."""

    id: str
    name: str


class Order(Struct, frozen=True, omit_defaults=True):
    """An order; title and price are those of the moment it was placed. ``paid_ms`` is left out until it is paid.

    What a price rule did stands in the members that ``pricing.Price`` explains; they are left out where none did.
    """

    id: str
    deal_id: str
    stream_id: str
    title: str
    buyer: Buyer
    units: int
    unit_price: Money
    total: Money
    state: OrderState
    held_until_ms: int
    placed_ms: int
    paid_ms: int | None = None
    lines: tuple[Line, ...] | None = None
    discount: Money | None = None
    shipping: Money | None = None
    code: str | None = None


class Summary(Struct, frozen=True):
    """How a deal went; ``sold_out_…`` is about the first time that no unit was left, None if that never was."""

    deal_id: str
    state: DealState
    stock: int
    left: int
    held: int
    sold: int
    revenue: Money  # of what is paid and not refunded
    sold_out_at_ms: int | None
    sold_out_after_ms: int | None
    units_per_second: float | None


def summary_of(deal: Deal, revenue: int, sold_out_at_ms: int | None) -> Summary:
    """A deal's summary, from its counters and the moment it first sold out."""
    after_ms = None if sold_out_at_ms is None or deal.opens_at_ms is None else sold_out_at_ms - deal.opens_at_ms
    return Summary(
        *(deal.id, deal.state, deal.stock, deal.left, deal.held, deal.sold),
        Money(revenue, deal.price.currency),
        sold_out_at_ms,
        after_ms,
        None if after_ms is None else round(deal.stock * 1000 / max(1, after_ms), 3),
    )


class Place(Struct, frozen=True):
    """A place in a deal's waiting list, counted from 1; None when not waiting."""

    deal_id: str
    position: int | None


class JournalEntry(Struct, frozen=True):
    """One step of one order, as it was after that step; ``id`` is the cursor.

    ``what`` is ``claimed``, ``offered`` (from the waiting list), ``paying``, ``paid``, ``declined``, ``cancelled``,
    ``expired``, ``paid_late``, ``refund_pending`` or ``refunded``.
    """

    id: str
    at_ms: int
    what: str
    order: Order
