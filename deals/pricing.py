"""What an order costs: the price rules, in their one order. Pure, and in whole minor units throughout.

1. Of each full group of ``buy`` units only ``pay`` are paid.
2. The rest at the deal's price is the *goods*. They are split into lines: a bundle's by its parts, in proportion to
   their units; else, where units are free, what is paid and what is free.
3. A code takes a percentage off the goods (half a minor unit is rounded up), or an amount, but never more than the
   goods. The lines share it in proportion to their amounts.
4. Shipping is added, unless the goods less the discount reach ``free_from``, or the deal is in another currency.

Sharing is by largest remainder: everyone gets the whole part, and what is missing goes, a minor unit each, to those
with the largest rest, the first of equals first. So the shares always add up to what was shared.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deals.terms import BundleItem, BuyXPayY, Code, CodeSpec, Line, Money, Shipping


class Price(Struct, frozen=True, omit_defaults=True):
    """What an order says of its price; the members are those of ``models.Order``.

    ``total`` = the lines' amounts (or units × price where there are none) − ``discount`` + ``shipping``.
    """

    total: Money
    lines: tuple[Line, ...] | None = None
    discount: Money | None = None
    shipping: Money | None = None
    code: str | None = None


class DealRules(Struct, frozen=True, omit_defaults=True):
    """What a deal says of its price beyond units × price."""

    buy_x_pay_y: BuyXPayY | None = None
    bundle: tuple[BundleItem, ...] | None = None


class Tariff(Struct, frozen=True):
    """All that decides the price of an order in one deal at one moment."""

    title: str
    unit_price: Money
    rules: DealRules = DealRules()
    shipping: Shipping | None = None


def applies(code: CodeSpec | Code, tariff: Tariff) -> bool:
    """Whether the code can take anything off in this deal's currency."""
    return code.amount is None or code.amount.currency == tariff.unit_price.currency


def price_of(tariff: Tariff, units: int, code: CodeSpec | Code | None = None, code_text: str = "") -> Price:
    """The price of so many units, with a code that :func:`applies` or none."""
    currency = tariff.unit_price.currency
    paid = units - _free(tariff.rules.buy_x_pay_y, units)
    goods = paid * tariff.unit_price.amount
    lines = _lines(tariff, units, paid, goods)
    off = 0 if code is None else _off(code, goods)
    if code is not None:
        shares = share(off, [line.amount for line in lines])
        lines = [Line(n.title, n.units, n.amount, less) for n, less in zip(lines, shares, strict=True)]
    shipping = _shipping(tariff, goods - off)
    plain = code is None and paid == units and tariff.rules.bundle is None
    return Price(
        Money(goods - off + (shipping or 0), currency),
        None if plain else tuple(lines),
        None if code is None else Money(off, currency),
        None if shipping is None else Money(shipping, currency),
        None if code is None else code_text,
    )


def share(amount: int, weights: Sequence[int]) -> list[int]:
    """Shares in proportion to weights, by largest remainder, that add up to the amount; equal where no weight is."""
    if not sum(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    shares = [amount * weight // whole for weight in weights]
    rests = [amount * weight % whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda n: (-rests[n], n))
    for n in by_rest[: amount - sum(shares)]:
        shares[n] += 1
    return shares


def _free(rule: BuyXPayY | None, units: int) -> int:
    return 0 if rule is None else units // rule.buy * (rule.buy - rule.pay)


def _lines(tariff: Tariff, units: int, paid: int, goods: int) -> list[Line]:
    if tariff.rules.bundle is not None:
        parts = tariff.rules.bundle
        amounts = share(goods, [part.units for part in parts])
        return [Line(p.title, p.units * units, amount) for p, amount in zip(parts, amounts, strict=True)]
    lines = [Line(tariff.title, paid, goods)]
    return lines if paid == units else [*lines, Line(tariff.title, units - paid, 0)]


def _off(code: CodeSpec | Code, goods: int) -> int:
    if code.amount is not None:
        return min(code.amount.amount, goods)
    return (goods * (code.percent or 0) + 50) // 100


def _shipping(tariff: Tariff, value: int) -> int | None:
    rule = tariff.shipping
    if rule is None or rule.price.currency != tariff.unit_price.currency:
        return None
    return 0 if rule.free_from is not None and value >= rule.free_from.amount else rule.price.amount
