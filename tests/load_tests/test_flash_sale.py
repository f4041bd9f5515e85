"""The flash sale: it passes on a right server, and each of its checks fails on a wrong one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from livecommerce.client import Unreachable
from load_tests.buyers import Attempt
from load_tests.flash_sale import Plan, _arrivals, _verify, measure
from load_tests.own_server import ServerError, own_server
from load_tests.report import Report
from load_tests.stock_watch import StockWatch

PLAN = Plan(buyers=4, units=2, claims=1, over="http", connections=2, workers=1, seed=1)


class History:
    """What buyers were told, and what the server says afterwards: whole, until a test doctors it."""

    def __init__(self) -> None:
        self.attempts = [
            Attempt("http", buyer, f"k{buyer}", outcome, order, 0.0, 1.0)
            for buyer, outcome, order in ((1, "accepted", "o1"), (2, "accepted", "o2"), (3, "sold_out", None))
        ]
        self.claimed = ["o1", "o2"]
        self.counts = {"left": 0, "held": 2, "sold": 0}
        self.orders = {"k1": "o1", "k2": "o2"}

    async def deal(self, _stream_id: str, _deal_id: str) -> dict[str, int]:
        return self.counts

    async def journal(self, _stream_id: str, *, after: str | None = None) -> dict[str, Any]:
        number = int(after or 0)
        entry = {"what": "claimed", "order": {"id": self.claimed[number]}}
        more = str(number + 1) if number + 1 < len(self.claimed) else None
        return {"items": [entry, {"what": "paying", "order": entry["order"]}], "next": more}

    def way(self, buyer: int) -> Any:
        history = self

        class Again:
            def __init__(self) -> None:
                self.buyer = buyer

            async def attempt(self, key: str) -> Attempt:
                return Attempt("http", buyer, key, "accepted", history.orders[key], 0.0, 1.0)

        return Again()


async def verdict(history: History) -> dict[str, bool]:
    report = Report("flash-sale", {})
    ways = [history.way(buyer) for buyer in range(1, 5)]
    await _verify(PLAN, history, "s", "d", ways, history.attempts, report)  # type: ignore[arg-type]
    return {check.name: check.passed for check in report.checks}


async def test_a_whole_history_passes() -> None:
    assert all((await verdict(History())).values())


def oversell(history: History) -> None:
    history.attempts.append(Attempt("http", 4, "k4", "accepted", "o4", 0.0, 1.0))
    history.orders["k4"] = "o4"


def sell_one_order_twice(history: History) -> None:
    history.attempts.append(Attempt("http", 4, "k4", "accepted", "o2", 0.0, 1.0))
    history.orders["k4"] = "o2"


def sell_two_to_one(history: History) -> None:
    history.attempts[1] = Attempt("http", 1, "k2", "accepted", "o2", 0.0, 1.0)


def lose_a_unit(history: History) -> None:
    history.counts["held"] = 1


def forget_an_entry(history: History) -> None:
    history.claimed.remove("o1")


def write_an_entry_twice(history: History) -> None:
    history.claimed.append("o1")


def forget_a_key(history: History) -> None:
    history.orders["k1"] = "o9"


def stumble(history: History) -> None:
    history.attempts.append(Attempt("http", 4, "k4", "internal", None, 0.0, 1.0))


@pytest.mark.parametrize(
    ("doctor", "check"),
    [
        (oversell, "exactly 2 orders"),
        (sell_one_order_twice, "one order for each accepted key"),
        (sell_two_to_one, "one order for each buyer at most"),
        (lose_a_unit, "the deal's counts add up"),
        (forget_an_entry, "the journal has these orders and no other"),
        (write_an_entry_twice, "the journal has these orders and no other"),
        (forget_a_key, "each accepted key asked again finds its order"),
        (stumble, "no other answer than yes, sold out, or over the limit"),
    ],
)
async def test_each_check_fails_on_a_doctored_history(doctor: Callable[[History], None], check: str) -> None:
    history = History()
    doctor(history)
    assert (await verdict(history))[check] is False


def test_a_sale_on_a_real_server_keeps_every_promise() -> None:
    report = measure(Plan(buyers=60, units=7, claims=2, over="both", connections=20, workers=1, seed=3))
    assert report.passed, report.checks
    assert report.settings["durable"] is True


def test_an_open_loop_keeps_its_promises_too() -> None:
    plan = Plan(buyers=30, units=7, claims=2, over="both", connections=20, workers=1, seed=3, rate=400)
    report = measure(plan)
    assert report.passed, report.checks
    assert str(report.figures["claims answered"]).startswith("60 in")
    assert report.settings["loop"] == "open, 400 claims/s"


async def test_an_open_loop_waits_for_no_answer_and_counts_the_wait() -> None:
    """Given a server that answers nobody before all have asked, then all have asked, and lateness is in the times."""
    asked: list[float | None] = []
    everybody = asyncio.Event()

    class Slow:
        buyer = 1

        async def attempt(self, key: str, due_s: float | None = None) -> Attempt:
            asked.append(due_s)
            if len(asked) == 4:
                everybody.set()
            await everybody.wait()
            assert due_s is not None
            return Attempt("http", 1, key, "sold_out", None, due_s, time.monotonic())

    attempts = await _arrivals(replace(PLAN, buyers=2, claims=2, rate=100), [Slow(), Slow()])  # type: ignore[list-item]
    assert len({a.key for a in attempts}) == 4
    dues = [due for due in asked if due is not None]
    assert dues == pytest.approx([dues[0] + n / 100 for n in range(4)])
    assert attempts[0].took_ms >= 30


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
    assert [check.passed for check in report.checks] == [passed]


def test_fewer_buyers_than_units_all_buy() -> None:
    report = measure(Plan(buyers=5, units=9, claims=2, over="http", connections=5, workers=1, seed=3))
    assert report.passed, report.checks


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ServerError, match="option"), own_server("--nonsense"):
        pytest.fail("it started")
