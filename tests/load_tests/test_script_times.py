"""Every script of a deal is measured at its stated size, and one that takes too long is called by its name."""

from __future__ import annotations

from deals.scripts import SOURCES
from load_tests.report import Report
from load_tests.script_times import _judge, measure


async def test_every_script_is_measured_on_a_real_valkey() -> None:
    report = await measure(1)
    assert report.checks[-1].name == "every script was measured"
    assert report.checks[-1].passed, report.checks[-1].detail
    [table] = report.tables
    assert {row[0] for row in table.rows} == {f"{verb}.lua" for verb in SOURCES}
    assert all(float(cell) > 0 for row in table.rows for cell in row[2:])


def test_a_script_that_takes_too_long_fails_and_so_does_one_that_is_forgotten() -> None:
    report = Report("script-times", {})
    took_us = {("at its size", verb): [100] * 10 for verb in SOURCES}
    took_us["at its size", "tick"] = [1200] * 10
    took_us["at its size", "claim"] = [900] * 5 + [9000] * 5  # disturbed, not long
    del took_us["at its size", "open"]
    _judge(report, took_us)
    failed = [(check.name, check.detail) for check in report.checks if not check.passed]
    assert failed == [("tick.lua, at its size: within 1 ms", "1200 µs"), ("every script was measured", "open")]
