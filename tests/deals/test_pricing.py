"""The price rules against a plain model that knows no shares and no formulas, only single units and fractions."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deals.models import Order
from deals.pricing import DealRules, Price, Tariff, applies, price_of, share
from deals.terms import BundleItem, BuyXPayY, CodeSpec, Line, Money, Shipping


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


AMOUNTS = st.integers(0, 300) | st.integers(0, 1_000_000_000)
GROUPS = st.integers(2, 100).flatmap(lambda buy: st.builds(BuyXPayY, st.just(buy), st.integers(1, min(99, buy - 1))))
PARTS = st.lists(st.builds(BundleItem, st.uuids().map(str), st.text(max_size=3), st.integers(1, 100)), min_size=2)
RULES = st.builds(
    DealRules, st.none() | GROUPS, st.none() | PARTS.filter(lambda parts: len(parts) <= 10).map(lambda p: tuple(p))
)
SHIPPING = st.builds(Shipping, AMOUNTS.map(eur), st.none() | AMOUNTS.map(eur))
TARIFFS = st.builds(Tariff, st.just("Lamp"), AMOUNTS.map(eur), RULES, st.none() | SHIPPING)
CODES = st.builds(CodeSpec, percent=st.integers(1, 100)) | st.builds(
    CodeSpec, percent=st.none(), amount=st.integers(1, 1_000_000_000).map(eur)
)


def plain_total(tariff: Tariff, units: int, code: CodeSpec | None) -> int:
    """What a shop assistant does, unit by unit."""
    rule, goods = tariff.rules.buy_x_pay_y, 0
    for number in range(units):
        in_group = rule is not None and number < units - units % rule.buy
        free = rule is not None and in_group and number % rule.buy >= rule.pay
        goods += 0 if free else tariff.unit_price.amount
    if code is not None and code.percent is not None:
        off = Fraction(goods) * code.percent / 100
        goods -= int(off) + (off - int(off) >= Fraction(1, 2))
    elif code is not None and code.amount is not None:
        goods = max(0, goods - code.amount.amount)
    shipping = tariff.shipping
    if shipping is not None and (shipping.free_from is None or goods < shipping.free_from.amount):
        goods += shipping.price.amount
    return goods


@given(TARIFFS, st.integers(1, 1000), st.none() | CODES)
def test_a_price_is_what_the_plain_model_says_and_its_parts_add_up(
    tariff: Tariff, units: int, code: CodeSpec | None
) -> None:
    price = price_of(tariff, units, code, "" if code is None else "CODE")
    assert price.total == eur(plain_total(tariff, units, code))
    goods = units * tariff.unit_price.amount if price.lines is None else sum(line.amount for line in price.lines)
    off = 0 if price.discount is None else price.discount.amount
    assert goods - off + (price.shipping.amount if price.shipping else 0) == price.total.amount
    for line in price.lines or ():
        assert 0 <= line.discount <= line.amount
    assert sum(line.discount for line in price.lines or ()) == off
    sets = sum(part.units for part in tariff.rules.bundle or ()) or 1
    assert price.lines is None or sum(line.units for line in price.lines) == units * sets


@given(TARIFFS, st.integers(1, 1000), st.none() | CODES)
def test_an_order_can_say_any_price(tariff: Tariff, units: int, code: CodeSpec | None) -> None:
    members = msgspec.json.encode(price_of(tariff, units, code, "C"))
    head = b'{"id":"s.d.r","deal_id":"d","stream_id":"s","title":"t","buyer":{"id":"b","name":"n"},"units":1,'
    tail = b',"unit_price":{"amount":1,"currency":"EUR"},"state":"held","held_until_ms":2,"placed_ms":1}'
    order = msgspec.json.decode(head + members[1:-1] + tail, type=Order)
    assert Price(order.total, order.lines, order.discount, order.shipping, order.code) == msgspec.json.decode(
        members, type=Price
    )


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**12), min_size=1, max_size=10))
def test_shares_add_up_and_none_is_a_whole_unit_off(amount: int, weights: list[int]) -> None:
    shares = share(amount, weights)
    assert sum(shares) == amount
    whole = sum(weights) or len(weights)
    for got, weight in zip(shares, weights if sum(weights) else [1] * len(weights), strict=True):
        assert abs(got - Fraction(amount * weight, whole)) < 1
    order = sorted(range(len(weights)), key=lambda n: (weights[n], -n))
    assert [shares[n] for n in order] == sorted(shares), "who weighs more gets no less; the first of equals gets more"


def test_the_rest_goes_to_the_largest_remainders_first_of_equals_first() -> None:
    assert share(100, [1, 1, 1]) == [34, 33, 33]
    assert share(10, [3, 3, 1]) == [4, 4, 2]
    assert share(1999, [1, 2]) == [666, 1333]
    assert share(5, [0, 0]) == [3, 2]


LAMP = Tariff("Lamp", eur(1999))


def test_units_times_price_says_nothing_more() -> None:
    assert price_of(LAMP, 3) == Price(eur(5997))


def test_of_every_three_units_two_are_paid() -> None:
    three_for_two = msgspec.structs.replace(LAMP, rules=DealRules(BuyXPayY(3, 2)))
    assert price_of(three_for_two, 2) == Price(eur(3998))
    assert price_of(three_for_two, 7) == Price(eur(9995), (Line("Lamp", 5, 9995), Line("Lamp", 2, 0)))


def test_half_a_cent_of_a_percentage_is_rounded_up_for_the_buyer() -> None:
    assert price_of(LAMP, 1, CodeSpec(percent=10), "TEN").discount == eur(200)
    assert price_of(Tariff("Lamp", eur(1994)), 1, CodeSpec(percent=10), "TEN").discount == eur(199)
    assert price_of(Tariff("Lamp", eur(1995)), 1, CodeSpec(percent=10), "TEN").discount == eur(200)


def test_an_amount_takes_off_at_most_the_goods_and_never_shipping() -> None:
    tariff = msgspec.structs.replace(LAMP, shipping=Shipping(eur(495)))
    price = price_of(tariff, 1, CodeSpec(amount=eur(5000)), "FIFTY")
    assert (price.discount, price.shipping, price.total) == (eur(1999), eur(495), eur(495))


def test_shipping_is_free_from_the_value_after_the_discount() -> None:
    tariff = msgspec.structs.replace(LAMP, shipping=Shipping(eur(495), eur(1999)))
    assert price_of(tariff, 1).shipping == eur(0)
    assert price_of(tariff, 1, CodeSpec(percent=1), "ONE").shipping == eur(495)


def test_what_is_of_another_currency_does_not_apply() -> None:
    assert price_of(msgspec.structs.replace(LAMP, shipping=Shipping(Money(495, "USD"))), 1) == Price(eur(1999))
    assert not applies(CodeSpec(amount=Money(1, "USD")), LAMP)
    assert applies(CodeSpec(percent=1), LAMP)


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"percent":10,"amount":{"amount":1,"currency":"EUR"}}',
        b'{"percent":0}',
        b'{"percent":101}',
        b'{"percent":1.5}',
        b'{"amount":{"amount":0,"currency":"EUR"}}',
        b'{"amount":{"amount":1000000001,"currency":"EUR"}}',
        b'{"percent":10,"total_limit":0}',
        b'{"percent":10,"per_buyer_limit":0}',
        b'{"percent":10,"deal_id":"a b"}',
        b'{"percent":10,"deal_id":"*"}',
    ],
)
def test_a_code_that_makes_no_sense_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=CodeSpec)


@pytest.mark.parametrize("rule", [(2, 2), (2, 3), (1, 1), (101, 1), (3, 0)])
def test_paying_for_all_or_for_none_is_no_rule(rule: tuple[int, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"buy": rule[0], "pay": rule[1]}, BuyXPayY)
