"""A flash sale beside another room's chat: both are judged, and a chat that loses something fails the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from load_tests import hot_deal
from load_tests.arrivals import Pace
from load_tests.report import Figure, Report
from load_tests.rooms_generator import Crowds
from load_tests.rooms_tally import Tally
from load_tests.run import Options
from load_tests.session import execute

PLAN = hot_deal.Plan(viewers=8, messages_per_s=40, seconds=0.4, units=30, buyers=10)
OPTIONS = Options(quiet=True, pace=Pace.constant(200))


def run(plan: hot_deal.Plan) -> Report:
    return execute("hot-deal", lambda run: hot_deal.scenario(run, plan), {}, OPTIONS, hot_deal.SERVER_OPTIONS)


def test_the_other_rooms_chat_is_timed_alone_and_beside_the_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Crowds.result

    async def forgetful(room: Crowds, top: int = 0) -> Tally:
        return replace(await result(room, top), lost=1)

    monkeypatch.setattr(hot_deal, "_WARM_UP_S", 0.1)
    monkeypatch.setattr(Crowds, "result", forgetful)
    report = run(PLAN)
    assert [check.name for check in report.checks if not check.passed] == ["the other room: no event was lost"]
    assert not report.passed
    late: dict[str, Any] = {name: figure for name, figure in report.figures.items() if name.endswith(": p99")}
    for figure in (late["chat alone: p99"], late["chat beside the sale: p99"], late["added by the sale: p99"]):
        assert isinstance(figure, Figure)
    added = late["chat beside the sale: p99"].value - late["chat alone: p99"].value
    assert late["added by the sale: p99"].value == added
    assert report.codes["websocket"] == {"accepted": 30, "sold_out": 50}


def test_as_many_claims_as_fall_due_in_the_time() -> None:
    sale = replace(PLAN, seconds=10, buyers=400).sale(Pace.constant(2000))
    assert (sale.buyers * sale.claims, sale.limit, sale.over) == (20_000, 50, "websocket")
