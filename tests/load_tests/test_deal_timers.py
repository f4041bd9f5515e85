"""How late deals open: measured on a real server, and each check fails on a wrong one."""

from __future__ import annotations

import pytest

from load_tests import deal_timers
from load_tests.deal_timers import STREAMS, VIEWERS, Watch, measure
from load_tests.report import Report


async def _watches(*, late_ms: float = 1.0, times: int = 1, lost: int = 0) -> list[Watch]:
    """What four streams of one deal would show."""
    watches = [Watch(1) for _ in range(STREAMS)]
    for number, watch in enumerate(watches):
        watch.announced = {(f"d{number}", what): late_ms for what in ("deal.opened", "deal.closed")}
        watch.seen = [{which: [late_ms] * times for which in watch.announced} for _ in range(VIEWERS)]
        watch.missing = lost
    return watches


async def _failed(deals: int = STREAMS, **wrong: float) -> list[str]:
    report = Report("deal-timers", {})
    deal_timers._figures(report, await _watches(**wrong), deals, strict=True)  # type: ignore[arg-type]
    return [check.name for check in report.checks if not check.passed]


async def test_each_check_fails_on_what_it_is_for() -> None:
    assert await _failed() == []
    assert await _failed(late_ms=51.0) == [
        "opened in front of a viewer within 50 ms at p99",
        "closed in front of a viewer within 50 ms at p99",
    ]
    assert await _failed(late_ms=-1.0) == ["no deal opened before its time", "no deal closed before its time"]
    missing = ["every deal opened in the log", "every deal closed in the log"]
    assert [name for name in await _failed(deals=STREAMS + 1) if name in missing] == missing
    assert await _failed(times=2) == await _failed(lost=1) == ["every viewer saw each of them once"]


def test_a_small_run_sees_every_opening_and_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deal_timers, "LEAD_S", 0.3)
    report = measure(deals=4, seconds=0.2, workers=1, kills=0, seed=1)
    failed = [check.name for check in report.checks if not check.passed]
    # How fast is no business of a test.
    assert [name for name in failed if "within" not in name] == []
    assert report.numbers()["opened, in the log, latest"] >= 0
