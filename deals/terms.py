"""Money, and what a show's price rules are made of. Pure: what they amount to is in ``pricing.py``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

#: what one unit may cost, and what shipping may. A deal of the most units brings a million times both: the most there
#: is anywhere, and less than the 2^53 up to which Lua and browsers count exactly
MOST_PRICE = 1_000_000_000
Amount = Annotated[int, Meta(ge=0, le=2_000_000_000_000_000, description="Minor units: 1999 is EUR 19.99")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
Title = Annotated[str, Meta(min_length=1, max_length=120)]
Stock = Annotated[int, Meta(ge=1, le=1_000_000)]
Units = Annotated[int, Meta(ge=1, le=1000)]
#: stored in capitals; small letters mean the same
CodeText = Annotated[str, Meta(min_length=1, max_length=32, pattern="^[A-Za-z0-9-]+$")]
_Limit = Annotated[int, Meta(ge=1, le=1_000_000)]
_EntryId = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of a currency."""

    amount: Amount
    currency: Currency


def check_price(*prices: Money | None) -> None:
    """Raise ValueError for a price above :data:`MOST_PRICE`."""
    if any(price is not None and price.amount > MOST_PRICE for price in prices):
        raise ValueError(f"a price is at most {MOST_PRICE}")


class BuyXPayY(Struct, frozen=True, forbid_unknown_fields=True):
    """Of every ``buy`` units of one order only ``pay`` are paid."""

    buy: Annotated[int, Meta(ge=2, le=100)]
    pay: Annotated[int, Meta(ge=1, le=99)]

    def __post_init__(self) -> None:
        if self.pay >= self.buy:
            raise ValueError("pay must be less than buy")


class BundlePart(Struct, frozen=True, forbid_unknown_fields=True):
    """So many units of a stock item in each unit of a bundle deal."""

    item_id: _EntryId
    units: Annotated[int, Meta(ge=1, le=100)]


class BundleItem(Struct, frozen=True):
    """The same as everybody sees it, with the title that the item had when the deal was made."""

    item_id: str
    title: str
    units: int


class Line(Struct, frozen=True, omit_defaults=True):
    """A line of an order: ``amount`` before the code, ``discount`` the code's share of it (minor units)."""

    title: str
    units: int
    amount: int
    discount: int = 0


class CodeSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host says of a discount code: a percentage or an amount off, for so many orders."""

    percent: Annotated[int, Meta(ge=1, le=100)] | None = None
    amount: Money | None = None
    total_limit: _Limit | None = None
    per_buyer_limit: _Limit | None = None
    deal_id: _EntryId | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("a code has either a percent or an amount")
        if self.amount is not None and self.amount.amount == 0:
            raise ValueError("amount must be at least 1")
        check_price(self.amount)


class Code(Struct, frozen=True):
    """A discount code as its host sees it; ``used`` counts the orders that are held, paying or paid."""

    code: str
    percent: int | None
    amount: Money | None
    total_limit: int | None
    per_buyer_limit: int | None
    deal_id: str | None
    used: int


class Shipping(Struct, frozen=True, forbid_unknown_fields=True):
    """What shipping costs an order, and from which value of its goods on nothing."""

    price: Money
    free_from: Money | None = None

    def __post_init__(self) -> None:
        check_price(self.price)
        if self.free_from is not None and self.free_from.currency != self.price.currency:
            raise ValueError("free_from must be in the currency of price")


class ItemSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host says of a stock item."""

    title: Title
    stock: Stock


class Item(Struct, frozen=True):
    """A stock item: ``left`` plus the units in orders (held, paying or paid) is ``stock``."""

    item_id: str
    title: str
    stock: int
    left: int
