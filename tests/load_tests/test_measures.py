"""The measuring commands, short: they find every process, and a picture in a real browser."""

from __future__ import annotations

import pytest

from load_tests import first_frame, idle, join_delay, startup, strangers
from load_tests.own_server import own_server
from tests.browser.chromium import require_chromium


def test_every_process_of_a_server_is_accounted_for() -> None:
    with own_server("--workers", "2") as server:
        used = idle.usage(server, 0.2)
        assert server.start_s > 0
    assert sorted(process.name for process in used) == ["supervisor", "valkey", "worker", "worker"]
    assert all(process.memory_mib > 1 for process in used)


def test_a_start_is_timed_until_ready_and_until_the_demo_is_live() -> None:
    report = startup.measure(1, demo=True, by_make=False, clone=False)
    assert report.passed
    assert set(report.figures) == {
        "livecommerce serve, command to ready",
        "livecommerce serve, command to the demo being live",
    }


def test_an_idle_server_and_the_demo_are_measured_apart() -> None:
    report = idle.measure(settle_s=0.1, idle_s=0.2, demo_s=0.2)
    assert {"idle: worker", "idle: valkey", "idle: all", "demo: demo", "demo: worker"} <= set(report.figures)
    assert "idle: demo" not in report.figures


@pytest.mark.browser
def test_a_viewers_first_picture_is_timed() -> None:
    require_chromium()
    report = first_frame.measure(None, joins=2, warm_up=1, chromium="chromium")
    assert report.passed
    assert "ms (of 2:" in str(report.figures["POST to first picture"])


@pytest.mark.soak
@pytest.mark.browser
def test_who_joins_is_not_behind_who_was_there_before() -> None:
    require_chromium()
    report = join_delay.measure(None, joins=6, chromium="chromium")
    assert report.passed, report.checks


def test_what_strangers_cost_is_measured_by_kind() -> None:
    report = strangers.measure(2)
    assert set(report.figures) == {*strangers.kinds(), "the bare reading"}
    assert all(check.passed for check in report.checks if "cheap" not in check.name)
    assert [strangers.cheap({"RTP": 1.0, "noise": us}).passed for us in (5.0, 5.1)] == [True, False]
    assert [strangers.unanswered(9, *counts).passed for counts in ((9, 0), (8, 0), (9, 1))] == [True, False, False]
