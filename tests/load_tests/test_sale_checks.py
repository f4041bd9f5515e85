"""What is checked after a sale: a whole one passes, and each check fails on the one that was doctored for it."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from livecommerce.client import Event, Unreachable
from load_tests.claims import Claim, Claims, operations
from load_tests.history import ACCEPTED, Window
from load_tests.report import Report
from load_tests.sale_checks import Sale, fairness, judge
from load_tests.stock_watch import StockListener, StockSequence, StockWatch


def asked(buyer: int, key: str, outcome: str, order: str | None = None, at: float = 5.0) -> Claim:
    return Claim("http", buyer, key, at, at, at + 0.5, outcome, order)


def a_sale() -> Sale:
    """Three buyers for two units; the first one's claim was repeated."""
    claims = [
        asked(1, "k1", ACCEPTED, "o1"),
        asked(1, "k1", ACCEPTED, "o1", 6.0),
        asked(2, "k2", ACCEPTED, "o2"),
        asked(3, "k3", "sold_out", at=7.0),
    ]
    return Sale(
        units=2,
        limit=1,
        window=Window(open_invoked_s=2.0, open_returned_s=3.0, close_invoked_s=10.0, close_returned_s=11.0),
        claims=claims,
        early=[asked(1, "e", "not_open", at=1.0)],
        late=[asked(2, "l", "closed", at=12.0)],
        found={(1, "k1"): "o1", (2, "k2"): "o2"},
        deal={"left": 0, "held": 2, "sold": 0},
        journal=Counter({"o1": 1, "o2": 1}),
    )


def verdict(sale: Sale) -> dict[str, bool]:
    report = Report("flash-sale", {})
    judge(sale, report)
    return {check.name: check.passed for check in report.checks}


def test_a_whole_sale_passes() -> None:
    assert set(verdict(a_sale()).values()) == {True}


def test_a_yes_that_was_lost_on_its_way_is_an_order_too() -> None:
    sale = a_sale()
    sale.claims = [*sale.claims[2:], asked(1, "k1", "no answer")]
    sale.lost_connections = 0
    failed = [name for name, passed in verdict(sale).items() if not passed]
    assert failed == ["no other answer than yes, sold out, or over the limit"]


def oversell(sale: Sale) -> None:
    sale.claims.append(asked(4, "k4", ACCEPTED, "o4"))
    sale.found = {**sale.found, (4, "k4"): "o4"}


def refuse_while_units_are_left(sale: Sale) -> None:
    sale.claims[2] = asked(2, "k2", "sold_out")
    sale.found = {(1, "k1"): "o1"}


def sell_one_order_twice(sale: Sale) -> None:
    sale.claims[2] = asked(2, "k2", ACCEPTED, "o1")


def make_two_orders_of_a_key(sale: Sale) -> None:
    sale.claims[1] = asked(1, "k1", ACCEPTED, "o9", 6.0)


def sell_two_to_one(sale: Sale) -> None:
    sale.claims[2] = asked(1, "k2", ACCEPTED, "o2")


def sell_before_the_opening(sale: Sale) -> None:
    sale.early[0] = asked(1, "e", ACCEPTED, "o1", 1.0)


def sell_after_the_end(sale: Sale) -> None:
    sale.late[0] = asked(2, "l", ACCEPTED, "o2", 12.0)


def ask_nobody_outside(sale: Sale) -> None:
    sale.early, sale.late = [], []


def lose_a_unit(sale: Sale) -> None:
    sale.deal = {"left": 0, "held": 1, "sold": 0}


def forget_an_entry(sale: Sale) -> None:
    del sale.journal["o1"]


def write_an_entry_twice(sale: Sale) -> None:
    sale.journal["o1"] += 1


def write_an_entry_of_nobody(sale: Sale) -> None:
    sale.journal["o7"] = 1


def forget_a_key(sale: Sale) -> None:
    sale.found = {(1, "k1"): "o9", (2, "k2"): "o2"}


def stumble(sale: Sale) -> None:
    sale.claims.append(asked(4, "k4", "internal"))


def hang_up(sale: Sale) -> None:
    sale.lost_connections = 1


def be_sold_out_before_it_sells(sale: Sale) -> None:
    sale.claims[3] = asked(3, "k3", "sold_out", at=4.0)


@pytest.mark.parametrize(
    ("doctor", "check"),
    [
        (oversell, "no more orders than units"),
        (refuse_while_units_are_left, "all was sold that was wanted"),
        (sell_one_order_twice, "one order for each key, one key for each order"),
        (make_two_orders_of_a_key, "one order for each key, one key for each order"),
        (sell_two_to_one, "no buyer has more than the limit"),
        (sell_before_the_opening, "nothing was sold before the opening or after the end"),
        (sell_after_the_end, "nothing was sold before the opening or after the end"),
        (ask_nobody_outside, "nothing was sold before the opening or after the end"),
        (lose_a_unit, "the deal's counts add up"),
        (forget_an_entry, "the journal has these orders and no other"),
        (write_an_entry_twice, "the journal has these orders and no other"),
        (write_an_entry_of_nobody, "the journal has these orders and no other"),
        (forget_a_key, "every yes is found when its key is asked again"),
        (stumble, "no other answer than yes, sold out, or over the limit"),
        (hang_up, "no connection was lost"),
        (be_sold_out_before_it_sells, "the history is one that a right server can have"),
    ],
)
def test_each_check_fails_on_a_doctored_sale(doctor: Callable[[Sale], None], check: str) -> None:
    sale = a_sale()
    doctor(sale)
    assert verdict(sale)[check] is False


def test_a_limit_of_requests_is_an_answer_of_somebody_elses_server_only() -> None:
    sale = a_sale()
    sale.claims.append(asked(4, "k4", "rate_limited"))
    name = "no other answer than yes, sold out, or over the limit"
    assert verdict(sale)[name] is False
    sale.foreign = True
    assert verdict(sale)[name] is True


def test_fairness_tells_a_queue_from_a_lottery() -> None:
    queue = [asked(n, "k", ACCEPTED if n < 10 else "sold_out", at=n / 10) for n in range(100)]
    assert fairness(queue).deciles == [(10, 10)] + [(10, 0)] * 9
    assert fairness(queue).in_order == 1
    lottery = [asked(n, "k", ACCEPTED if n % 10 == 9 else "sold_out", at=n / 10) for n in range(100)]
    assert fairness(lottery).deciles == [(10, 1)] * 10
    assert fairness(lottery).in_order == 0.1
    assert fairness([]).in_order == 1


def test_columns_keep_what_happened_and_an_answer_that_never_came_is_unknown() -> None:
    claims = Claims(generator=3)
    first = claims.add("http", 7, 1.0)
    claims.add("http", 7, 2.0, key_row=first)
    claims.add("http", 8, 3.0)
    claims.sent_s[0] = claims.sent_s[1] = 1.5
    claims.outcomes[0], claims.order_ids[0], claims.ended_s[0] = ACCEPTED, "o", 1.7
    claims = pickle.loads(pickle.dumps(claims))
    assert claims[0] == Claim("http", 7, "3-00000000", 1.0, 1.5, 1.7, ACCEPTED, "o")
    assert claims[1].key == claims[0].key
    told = operations(list(claims))
    assert [(o.outcome, o.returned_s) for o in told] == [(ACCEPTED, 1.7), ("unknown", float("inf"))]


class Deal:
    """A deal whose counts are read from a list, the last again and again; ``None`` is no answer."""

    def __init__(self, *counts: tuple[int, int, int] | None) -> None:
        self.counts = list(counts)
        self.read = asyncio.Event()

    async def deal(self, _stream_id: str, _deal_id: str) -> dict[str, int]:
        counts = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        if len(self.counts) == 1:
            self.read.set()
        if counts is None:
            raise Unreachable("gone")
        return dict(zip(("left", "held", "sold"), counts, strict=True)) | {"stock": 3}


@pytest.mark.parametrize(
    ("counts", "passed"),
    [
        ([(3, 0, 0), (1, 1, 1), (0, 0, 3)], True),
        ([(3, 0, 0), None, (0, 0, 3)], True),
        ([(3, 0, 0), (2, 2, 0), (0, 0, 3)], False),
        ([(3, 0, 0), (-1, 4, 0), (0, 0, 3)], False),
        ([None, None], False),
    ],
)
async def test_the_stock_is_judged_at_every_sample(counts: list[tuple[int, int, int] | None], passed: bool) -> None:
    deal, report = Deal(*counts), Report("flash-sale", {})
    async with StockWatch(deal, "s", "d") as stock, asyncio.timeout(10):  # type: ignore[arg-type]
        await deal.read.wait()
    stock.judge(report)
    name = "left + held + sold was the stock at every sample"
    assert [(check.name, check.passed) for check in report.checks] == [(name, passed)]


def event(offset: int | None, kind: str, as_of: int | None = None, deal_id: str = "d", **data: Any) -> Event:
    return Event(kind, {"deal_id": deal_id, **data}, offset, None, as_of)


TOLD = [
    event(1, "deal.claimed", units=2, left=1),
    event(None, "deal.stock", 1, left=1),
    event(2, "deal.claimed", deal_id="another", units=9, left=9),
    event(3, "deal.released", units=1, left=2),
    event(4, "deal.claimed", units=2, left=0),
    event(None, "deal.stock", 4, left=0),
]


def told(events: list[Event], left: int = 0) -> bool:
    sequence, report = StockSequence("d", 3, now_s=lambda: 0.0), Report("flash-sale", {})
    for one in events:
        sequence.take(one)
    sequence.judge(report, left)
    assert [check.name for check in report.checks] == ["the stock was told in order, without a hole"]
    return report.passed


def test_a_stock_told_in_order_passes() -> None:
    assert told(TOLD)


@pytest.mark.parametrize(
    "events",
    [
        [TOLD[0], *TOLD[2:]][::-1],
        [TOLD[0], *TOLD[3:]],
        [*TOLD[:4], event(4, "deal.claimed", units=2, left=1)],
        [*TOLD[:4], event(4, "deal.claimed", units=3, left=-1)],
        [*TOLD, event(None, "deal.stock", 1, left=1)],
        TOLD[:4],
    ],
    ids=["out of order", "a hole", "a wrong sum", "below zero", "an older stock", "the end missing"],
)
def test_a_stock_told_wrongly_fails(events: list[Event]) -> None:
    assert not told(events)


class Mute:
    """A room that breaks off."""

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def __aiter__(self) -> Any:
        yield TOLD[0]
        raise Unreachable("gone")


async def test_a_listener_that_is_cut_off_says_so() -> None:
    sequence = StockSequence("d", 3)
    async with StockListener(Mute(), sequence) as listener:  # type: ignore[arg-type]
        await listener.until_left(1, 5)
    assert sequence.violations == ["the listener was cut off: gone"]
