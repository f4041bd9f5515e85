"""Random histories on the real Valkey against a plain Python model, with the clock in the test's hand."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from deals.errors import DealsError
from livecommerce.ids import new_id
from tests.deals.helpers import a_buyer, a_deal
from tests.deals.stateful_model import DURATION_MS, GRACE_MS, HOLD_MS, LIMIT, STOCK, Machine, ModelDeal, ModelOrder

BUYERS = st.integers(0, 3)
KEYS = st.sampled_from(["a", "b", "c"])


class Sale(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.model = ModelDeal()

    @initialize(waiting=st.integers(-3, 3))
    def begin_somewhere(self, waiting: int) -> None:
        """Planned, or waiting for its host, or open, or sold out with some who wait: chance seldom comes this far."""
        self.model.opens = self.clock.now_ms + 8_000 if waiting == -3 else None
        spec = a_deal(stock=STOCK, per_buyer_limit=LIMIT, duration_s=DURATION_MS // 1000, hold_s=HOLD_MS // 1000)
        planned = msgspec.structs.replace(spec, opens_at_ms=self.model.opens)
        self.deal = self.do(self.service.create(new_id("s"), planned))
        if waiting > -2:
            self.host("open")
        if waiting > -1:
            self.somebody_claims(0, "a", STOCK)
        for buyer in range(1, waiting + 1):
            self.somebody_waits(buyer)

    @rule(ms=st.sampled_from([1, 1_000, 7_999, 8_000, 60_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.now_ms += ms

    @rule()
    def ticker_comes_by(self) -> None:
        self.do(self.tick(self.deal))
        self.do(self.tick(self.deal))
        self.model.tick(self.clock.now_ms)

    @rule(verb=st.sampled_from(["open", "close", "cancel"]))
    def host(self, verb: str) -> None:
        model = self.model
        model.advance(self.clock.now_ms)
        legal = {"open": ["scheduled"], "close": ["open"], "cancel": ["scheduled", "open"]}[verb]
        refused = None
        try:
            self.do(getattr(self.service, verb)(self.deal.stream_id, self.deal.id))
        except DealsError as error:
            refused = error.code
        assert refused == (None if model.state in legal else "illegal_state")
        if refused is None:
            model.state = {"open": "open", "close": "closed", "cancel": "cancelled"}[verb]
            model.closes = self.clock.now_ms + DURATION_MS
            model.advance(self.clock.now_ms)

    @rule(seconds=st.sampled_from([1, 60, 86_400]))
    def the_host_extends(self, seconds: int) -> None:
        model, now = self.model, self.clock.now_ms
        model.advance(now)
        too_far = model.closes + seconds * 1000 - now > 86_400_000
        _, refused = self.refusal(self.service.extend(self.deal.stream_id, self.deal.id, seconds))
        assert refused == ("illegal_state" if model.state != "open" else "invalid" if too_far else None)
        if refused is None:
            model.closes += seconds * 1000

    @rule(really=st.integers(0, 2))
    def the_stream_ends(self, really: int) -> None:
        """Not so often that no story goes on."""
        if really == 2:
            self.model.advance(self.clock.now_ms)
            self.do(self.service.stream_ended(self.deal.stream_id))
            self.model.state = {"open": "closed", "scheduled": "cancelled"}.get(self.model.state, self.model.state)
            self.model.advance(self.clock.now_ms)

    @rule(buyer=BUYERS, key=KEYS, units=st.integers(1, 3))
    def somebody_claims(self, buyer: int, key: str, units: int) -> None:
        known = self.model.orders.get((buyer, key))
        order, refused = self.refusal(
            self.service.claim(self.deal.stream_id, self.deal.id, buyer=a_buyer(buyer), units=units, key=key)
        )
        if known is not None:
            self.model.advance(self.clock.now_ms)
            assert refused == (None if known.units == units else "key_reused")
            assert order is None or (order.id, order.state) == (known.id, known.state)
            return
        expected = self.model.refusal(buyer, units, self.clock.now_ms)
        assert refused == expected
        if order is not None:
            until = self.clock.now_ms + HOLD_MS
            self.model.orders[buyer, key] = ModelOrder(buyer, units, "held", until, order.id)

    @rule(buyer=BUYERS, key=KEYS, token=st.sampled_from(["pm_ok", "pm_declined"]))
    def somebody_pays(self, buyer: int, key: str, token: str) -> None:
        self._pay(buyer, key, token)

    def _pay(self, buyer: int, key: str, token: str) -> None:
        order = self.model.orders.get((buyer, key))
        if order is None:
            return
        _, refused = self.refusal(self.service.pay(order.id, buyer_id=a_buyer(buyer).id, payment_token=token))
        if order.state == "paid":
            assert refused is None
        elif order.state != "held" or order.until <= self.clock.now_ms:
            assert refused == "illegal_state"
        else:
            if not order.extended:
                order.until += GRACE_MS
                order.extended = True
            assert refused == (None if token == "pm_ok" else "payment_declined")
            order.state = "paid" if token == "pm_ok" else "held"

    @rule(buyer=BUYERS, key=KEYS)
    def somebody_cancels(self, buyer: int, key: str) -> None:
        self._cancel(buyer, key)

    def _cancel(self, buyer: int, key: str) -> None:
        order = self.model.orders.get((buyer, key))
        if order is None:
            return
        _, refused = self.refusal(self.service.cancel_order(order.id, buyer_id=a_buyer(buyer).id))
        assert refused == (None if order.state == "held" else "illegal_state")
        if refused is None:
            self.model.advance(self.clock.now_ms)
            order.state = "cancelled"
            self.model.serve(self.clock.now_ms)

    @rule(buyer=BUYERS, key=KEYS)
    def the_host_refunds(self, buyer: int, key: str) -> None:
        order = self.model.orders.get((buyer, key))
        if order is None:
            return
        _, refused = self.refusal(self.service.refund(order.id))
        assert refused == (None if order.state in ("paid", "refunded") else "illegal_state")
        if order.state == "paid":
            self.model.advance(self.clock.now_ms)
            order.state = "refunded"
            self.model.serve(self.clock.now_ms)

    @rule(buyer=BUYERS)
    def somebody_waits(self, buyer: int) -> None:
        model = self.model
        model.advance(self.clock.now_ms)
        place, refused = None, None
        try:
            who = a_buyer(buyer)
            place = self.do(self.service.join_waitlist(self.deal.stream_id, self.deal.id, buyer=who)).position
        except DealsError as error:
            refused = error.code
        if buyer not in model.queue:
            expected = None
            if model.state != "open":
                expected = "not_open" if model.state == "scheduled" else "closed"
            elif model.left > 0:
                expected = "illegal_state"
            elif model.mine(buyer) >= LIMIT:
                expected = "limit_reached"
            assert refused == expected
            if refused is None:
                model.queue.append(buyer)
        assert place == (None if refused else model.queue.index(buyer) + 1)

    @rule(buyer=BUYERS)
    def somebody_waits_no_more(self, buyer: int) -> None:
        self.do(self.service.leave_waitlist(self.deal.stream_id, self.deal.id, buyer_id=a_buyer(buyer).id))
        if buyer in self.model.queue:
            self.model.queue.remove(buyer)

    @rule(pick=st.integers(0, 5), key=st.sampled_from(["pay", "cancel"]))
    def an_offer_is_taken_or_given_back(self, pick: int, key: str) -> None:
        if pick < len(self.model.offers):
            name = f"offer {pick}"
            buyer = self.model.offers[pick].buyer
            if key == "pay":
                self._pay(buyer, name, "pm_ok")
            else:
                self._cancel(buyer, name)

    @invariant()
    def the_books_agree(self) -> None:
        now = self.do(self.service.deal(self.deal.stream_id, self.deal.id))
        model = self.model
        assert now.left + now.held + now.sold == STOCK
        assert (now.left, now.held, now.sold) == (model.left, model.units("held"), model.units("paid"))
        assert now.state == model.shown
        if model.state == "open":
            assert now.closes_at_ms == model.closes
        if any(not order.id for order in model.offers):
            entries, _ = self.do(self.service.journal(self.deal.stream_id, after=None, limit=500))
            made = [entry.order for entry in entries if entry.what == "offered"]
            assert [o.buyer.id for o in made] == [a_buyer(o.buyer).id for o in model.offers]
            for offer, order_made in zip(model.offers, made, strict=True):
                offer.id = order_made.id
        for order in model.orders.values():
            assert self.do(self.service.order(order.id)).state == order.state


@pytest.mark.timeout(110)
def test_random_histories_agree_with_the_model(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The short cut goes by real time, which no random history can repeat; test_sold_out.py has it.
    monkeypatch.setattr("deals.sold_out.FRESH_S", -1.0)
    Sale.url = valkey_url
    run_state_machine_as_test(
        Sale,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
