"""Random histories of two bundles that share an item, with codes and shipping that change, against a plain model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from deals.models import Deal, Money, Order
from deals.pricing import DealRules, Price, Tariff, price_of
from deals.reconcile import reconcile
from deals.store import Store
from deals.terms import BundlePart, BuyXPayY, CodeSpec, ItemSpec, Shipping
from livecommerce.ids import new_id
from tests.deals.helpers import a_buyer, a_deal
from tests.deals.stateful_model import HOLD_MS, Machine

BUYERS, KEYS, DEALS = st.integers(0, 2), st.sampled_from(["a", "b", "c"]), st.integers(0, 1)
CODES = st.sampled_from(["EVER", "EVER", "ONCE", "ONCE", None, "NONE"])
PARTS = ({"mug": 1, "spoon": 1}, {"mug": 1, "tea": 2})
OWN_STOCK, LIMIT = 7, 5
COUNTED = ("held", "paid")


@dataclass
class Bought:
    deal: int
    buyer: int
    units: int
    code: str | None
    order: Order
    state: str = "held"
    until: int = 0


class Shop(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.stream_id = new_id("s")
        self.stock = {"mug": 9, "spoon": 9, "tea": 12}
        self.codes: dict[str, CodeSpec] = {}
        self.shipping: Shipping | None = None
        self.bought: dict[tuple[int, int, str], Bought] = {}
        for item in self.stock:
            self.do(self.service.rules.put_item(self.stream_id, item, ItemSpec(item, self.stock[item])))
        self.deals = [self.do(self._open(number)) for number in (0, 1)]

    async def _open(self, number: int) -> Deal:
        spec = a_deal(
            bundle=tuple(BundlePart(item, units) for item, units in PARTS[number].items()),
            buy_x_pay_y=BuyXPayY(2, 1) if number else None,
            **{"stock": OWN_STOCK, "per_buyer_limit": LIMIT, "duration_s": 86_400, "hold_s": HOLD_MS // 1000},
        )
        deal = await self.service.create(self.stream_id, spec)
        return await self.service.open(self.stream_id, deal.id)

    # the plain model

    def those(self, *, deal: int | None = None, buyer: int | None = None, code: str | None = None) -> list[Bought]:
        return [
            b
            for b in self.bought.values()
            if b.state in COUNTED
            and (deal is None or b.deal == deal)
            and (buyer is None or b.buyer == buyer)
            and (code is None or b.code == code)
        ]

    def item_left(self, item: str) -> int:
        return self.stock[item] - sum(b.units * PARTS[b.deal].get(item, 0) for b in self.those())

    def left(self, deal: int) -> int:
        own = OWN_STOCK - sum(b.units for b in self.those(deal=deal))
        return min(own, *(self.item_left(item) // units for item, units in PARTS[deal].items()))

    def expected(self, deal: int, buyer: int, units: int, code: str | None) -> str | None:
        if sum(b.units for b in self.those(deal=deal, buyer=buyer)) + units > LIMIT:
            return "limit_reached"
        if units > self.left(deal):
            return "sold_out"
        if code is None:
            return None
        spec = self.codes.get(code)
        if spec is None:
            return "code_unknown"
        if spec.deal_id not in (None, self.deals[deal].id):
            return "code_not_applicable"
        if spec.total_limit is not None and len(self.those(code=code)) >= spec.total_limit:
            return "code_used_up"
        each = spec.per_buyer_limit
        return "code_limit_reached" if each is not None and len(self.those(code=code, buyer=buyer)) >= each else None

    def price(self, deal: int, units: int, code: str | None) -> Price:
        one = self.deals[deal]
        tariff = Tariff(one.title, one.price, DealRules(one.buy_x_pay_y, one.bundle), self.shipping)
        return price_of(tariff, units, self.codes[code] if code else None, code or "")

    # what happens

    @initialize()
    def there_are_codes(self) -> None:
        self.the_host_makes_a_code("EVER", 10, None, 1, False)
        self.the_host_makes_a_code("ONCE", 50, 1, None, True)

    @rule(
        code=st.sampled_from(["EVER", "ONCE"]),
        percent=st.integers(1, 100),
        total=st.none() | st.integers(1, 3),
        each=st.none() | st.integers(1, 2),
        bound=st.booleans(),
    )
    def the_host_makes_a_code(self, code: str, percent: int, total: int | None, each: int | None, bound: bool) -> None:
        deal_id = self.deals[0].id if bound else None
        spec = CodeSpec(percent=percent, total_limit=total, per_buyer_limit=each, deal_id=deal_id)
        self.do(self.service.rules.put_code(self.stream_id, code, spec))
        self.codes[code] = spec

    @rule(code=st.sampled_from(["EVER", "ONCE"]))
    def the_host_takes_a_code_away(self, code: str) -> None:
        _, refused = self.refusal(self.service.rules.delete_code(self.stream_id, code))
        assert refused == (None if self.codes.pop(code, None) else "code_not_found")

    @rule(price=st.none() | st.integers(0, 500), free_from=st.none() | st.integers(0, 6000))
    def shipping_changes(self, price: int | None, free_from: int | None) -> None:
        free = None if free_from is None else Money(free_from, "EUR")
        self.shipping = None if price is None else Shipping(Money(price, "EUR"), free)
        self.do(self.service.rules.put_shipping(self.stream_id, self.shipping))

    @rule(item=st.sampled_from(["mug", "spoon", "tea"]), stock=st.sampled_from([1, 7, 12]))
    def stock_changes(self, item: str, stock: int) -> None:
        taken = self.stock[item] - self.item_left(item)
        _, refused = self.refusal(self.service.rules.put_item(self.stream_id, item, ItemSpec(item, stock)))
        assert refused == (None if stock >= taken else "illegal_state")
        if refused is None:
            self.stock[item] = stock

    @rule(
        claims=st.lists(st.tuples(DEALS, BUYERS, KEYS, st.sampled_from([1, 1, 1, 2, 3]), CODES), min_size=4, max_size=8)
    )
    def some_claim(self, claims: list[tuple[int, int, str, int, str | None]]) -> None:
        for claim in claims:
            self.somebody_claims(*claim)

    def somebody_claims(self, deal: int, buyer: int, key: str, units: int, code: str | None) -> None:
        known = self.bought.get((deal, buyer, key))
        where, who = self.deals[deal].id, a_buyer(buyer)
        order, refused = self.refusal(
            self.service.claim(self.stream_id, where, buyer=who, units=units, key=key, code=code and code.lower())
        )
        if known is not None:
            assert refused == (None if (known.units, known.code) == (units, code) else "key_reused")
            assert order is None or order.id == known.order.id
            return
        assert refused == self.expected(deal, buyer, units, code)
        if order is not None:
            p = self.price(deal, units, code)
            assert (order.total, order.lines, order.discount, order.shipping, order.code) == (
                *(p.total, p.lines, p.discount, p.shipping),
                code,
            )
            until = self.clock.now_ms + HOLD_MS
            self.bought[deal, buyer, key] = Bought(deal, buyer, units, code, order, "held", until)

    @precondition(lambda self: self.bought)
    @rule(pick=st.integers(0, 99), verb=st.sampled_from(["pay", "cancel", "refund"]))
    def an_order_goes_on(self, pick: int, verb: str) -> None:
        bought = list(self.bought.values())[pick % len(self.bought)]
        order_id, buyer_id, in_time = bought.order.id, a_buyer(bought.buyer).id, bought.until > self.clock.now_ms
        if verb == "pay":
            call = self.service.pay(order_id, buyer_id=buyer_id, payment_token="pm_ok")
            legal, after = bought.state == "paid" or (bought.state == "held" and in_time), "paid"
        elif verb == "cancel":
            call = self.service.cancel_order(order_id, buyer_id=buyer_id)
            legal, after = bought.state == "held", "cancelled"
        else:
            call = self.service.refund(order_id)
            legal, after = bought.state in ("paid", "refunded"), "refunded"
        _, refused = self.refusal(call)
        assert refused == (None if legal else "illegal_state")
        if legal:
            bought.state = after

    @rule(ms=st.sampled_from([1_000, HOLD_MS]))
    def time_passes_and_the_ticker_comes_by(self, ms: int) -> None:
        self.clock.now_ms += ms
        for deal in self.deals:
            self.do(self.tick(deal))
        for bought in self.bought.values():
            if bought.state == "held" and bought.until <= self.clock.now_ms:
                bought.state = "expired"
        for _ in range(2):  # what came back in the second is seen by the first in its next tick
            for number, deal in enumerate(self.deals):
                self.do(self.tick(deal))
                now = self.do(self.service.deal(self.stream_id, deal.id))
                assert now.state == ("open" if self.left(number) else "sold_out")

    @invariant()
    def the_books_agree(self) -> None:
        items = self.do(self.service.rules.items(self.stream_id))
        assert {item.item_id: item.left for item in items} == {item: self.item_left(item) for item in self.stock}
        for number, deal in enumerate(self.deals):
            now = self.do(self.service.deal(self.stream_id, deal.id))
            mine = Counter({state: 0 for state in COUNTED})
            for bought in self.those(deal=number):
                mine[bought.state] += bought.units
            assert (now.left, now.held, now.sold) == (self.left(number), mine["held"], mine["paid"])
        listed = self.do(self.service.rules.codes(self.stream_id))
        assert {code.code: code.used for code in listed} == {code: len(self.those(code=code)) for code in self.codes}

    def teardown(self) -> None:
        try:
            store = Store(self.redis, lambda: self.clock.now_ms)
            assert self.do(reconcile(store, self.stream_id))[1] == []
            for number, deal in enumerate(self.deals):
                paid = [b.order.total.amount for b in self.those(deal=number) if b.state == "paid"]
                assert self.do(self.service.summary(self.stream_id, deal.id)).revenue.amount == sum(paid)
        finally:
            super().teardown()


@pytest.mark.timeout(110)
def test_random_histories_with_price_rules_agree_with_the_model(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The short cut goes by real time, which no random history can repeat; test_sold_out.py has it.
    monkeypatch.setattr("deals.sold_out.FRESH_S", -1.0)
    Shop.url = valkey_url
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
