"""The state tables cell by cell, and the bounds that refuse hostile values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from deals.errors import IllegalState
from deals.models import (
    DEAL_STEPS,
    ORDER_STEPS,
    DealSpec,
    DealState,
    DealStep,
    Order,
    OrderState,
    OrderStep,
    ProductSpec,
    step,
)

#: the design's words, cell by cell; what does not stand here is refused
DEAL_CELLS = {
    ("scheduled", "open"): "open",
    ("scheduled", "cancel"): "cancelled",
    ("open", "sell_out"): "sold_out",
    ("open", "extend"): "open",
    ("open", "close"): "closed",
    ("open", "cancel"): "cancelled",
    ("sold_out", "release"): "open",
    ("sold_out", "extend"): "sold_out",
    ("sold_out", "close"): "closed",
    ("sold_out", "cancel"): "cancelled",
}
ORDER_CELLS = {
    ("held", "pay"): "paying",
    ("held", "cancel"): "cancelled",
    ("held", "expire"): "expired",
    ("paying", "confirm"): "paid",
    ("paying", "decline"): "held",
    ("paying", "expire"): "expired",
    ("expired", "rescue"): "paid",
    ("expired", "miss"): "paid_late",
    ("paid_late", "refund"): "refund_pending",
    ("paid", "refund"): "refund_pending",
    ("refund_pending", "refunded"): "refunded",
}


@pytest.mark.parametrize("state", DealState)
@pytest.mark.parametrize("wanted", DealStep)
def test_every_cell_of_the_deal_table(state: DealState, wanted: DealStep) -> None:
    expected = DEAL_CELLS.get((state.value, wanted.value))
    if expected is None:
        with pytest.raises(IllegalState):
            step(DEAL_STEPS, state, wanted)
    else:
        assert step(DEAL_STEPS, state, wanted).value == expected


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("wanted", OrderStep)
def test_every_cell_of_the_order_table(state: OrderState, wanted: OrderStep) -> None:
    expected = ORDER_CELLS.get((state.value, wanted.value))
    if expected is None:
        with pytest.raises(IllegalState):
            step(ORDER_STEPS, state, wanted)
    else:
        assert step(ORDER_STEPS, state, wanted).value == expected


GOOD: dict[str, Any] = {
    "title": "Lamp",
    "price": {"amount": 1999, "currency": "EUR"},
    "stock": 10,
    "per_buyer_limit": 2,
    "duration_s": 60,
    "hold_s": 30,
}


def test_a_plain_deal_is_understood() -> None:
    assert msgspec.convert(GOOD, DealSpec).stock == 10


@pytest.mark.parametrize(
    "change",
    [
        {"stock": 0},
        {"stock": -1},
        {"stock": 10**7},
        {"stock": 1.5},
        {"stock": True},
        {"stock": "10"},
        {"per_buyer_limit": 0},
        {"per_buyer_limit": 10**6},
        {"duration_s": 0},
        {"duration_s": 86_401},
        {"hold_s": 0},
        {"hold_s": 10**9},
        {"opens_at_ms": -1},
        {"opens_at_ms": 2**63},
        {"title": ""},
        {"title": "x" * 121},
        {"image_url": "javascript:alert(1)"},
        {"image_url": "https://x/\"onload='"},
        {"price": {"amount": -1, "currency": "EUR"}},
        {"price": {"amount": 10**10, "currency": "EUR"}},
        {"price": {"amount": 1, "currency": "eur"}},
        {"price": {"amount": 1, "currency": "EUR", "more": 1}},
        {"compare_at": {"amount": 1, "currency": "USD"}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_hostile_deal_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(GOOD | change, DealSpec)


def test_a_product_refuses_unknown_fields() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"title": "x", "price": GOOD["price"], "pinned": True}, ProductSpec)


def test_an_unpaid_order_has_no_paid_ms_on_the_wire() -> None:
    buyer, money = {"id": "u", "name": "n"}, GOOD["price"]
    order = msgspec.convert(
        {
            **{"id": "s.d.r", "deal_id": "d", "stream_id": "s", "title": "t", "buyer": buyer, "units": 1},
            **{"unit_price": money, "total": money, "state": "held", "held_until_ms": 2, "placed_ms": 1},
        },
        Order,
    )
    assert b"paid_ms" not in msgspec.json.encode(order)
