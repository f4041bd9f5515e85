"""Checks that stand by themselves: each passes and each fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from livecommerce.outbox import CLOSE_BYTES
from load_tests import join_delay, stalled_reader
from load_tests import stage_checks as stage
from load_tests.arrivals import Pace
from load_tests.report import Check, Report
from load_tests.rooms_sockets import queued_for
from load_tests.rooms_tally import Tally
from load_tests.soak import flat
from load_tests.stalled_reader import Closed

#: what passes beside what fails, for the same check
PAIRS: list[tuple[Check, Check]] = [
    (stage.entered(3, 3), stage.entered(2, 3)),
    (stage.entered(3, 3, 0.5, where="plain: "), stage.entered(4, 3, 0.5, where="plain: ")),
    (stage.first_frames(3, 3), stage.first_frames(2, 3, ["refused"])),
    (stage.recovered([3, 3], 3), stage.recovered([3, 2], 3)),
    (stage.recovered([3], 3), stage.recovered([], 3)),
    (stage.log_reads(2, 2), stage.log_reads(3, 2)),
    (stage.well_again(True, 2, 2), stage.well_again(False, 2, 2)),
    (stage.well_again(True, 2, 2), stage.well_again(True, 1, 2)),
    (stage.reconciled(0, "no difference"), stage.reconciled(1, "a unit is missing")),
    (stage.reconciled(0, ""), stage.reconciled(None, "no answer")),
    (stage.answered("open loop", 5, 5), stage.answered("open loop", 4, 5)),
    (stage.answered("open loop", 5, 5), stage.answered("open loop", 0, 0)),
    (stage.robots(14.0, 33.0), stage.robots(34.0, 33.0)),
    (stage.robots(14.0, 33.0), stage.robots(0.0, 33.0)),
    (stage.started(3, 3, 1.5), stage.started(2, 3, 1.5)),
    (stage.newcomer(43.0), stage.newcomer(60.0)),
    (stage.pictures(20, 20), stage.pictures(19, 20)),
    (stage.kept(0, 0), stage.kept(1, 0)),
    (stage.light(60.0, 64.0), stage.light(65.0, 64.0)),
    (flat([100.0] * 80), flat([100.0 + n * 0.2 for n in range(80)])),
]


@pytest.mark.parametrize(("good", "bad"), PAIRS, ids=lambda check: check.name)
def test_each_passes_and_fails(good: Check, bad: Check) -> None:
    assert (good.name, good.passed, bad.passed) == (bad.name, True, False)


SLEPT = Tally(joins=2)
CLOSED = Closed(after_s=3.0, kernel=250_000, waiting=CLOSE_BYTES)


@pytest.mark.parametrize(
    ("slept", "closed", "failed"),
    [
        (SLEPT, CLOSED, []),
        (SLEPT, Closed(0.0, 0, 0), ["it was closed with 3008"]),
        (SLEPT, replace(CLOSED, waiting=2 * CLOSE_BYTES), ["it was closed within 1 s of passing its limit"]),
        (replace(SLEPT, joins=1), CLOSED, ["it came back and missed nothing"]),
        (replace(SLEPT, lost=1), CLOSED, ["it came back and missed nothing"]),
        (replace(SLEPT, behind=1), CLOSED, ["it came back and missed nothing"]),
    ],
)
def test_a_stalled_reader_is_closed_and_misses_nothing(slept: Tally, closed: Closed, failed: list[str]) -> None:
    checks = stalled_reader.judge(slept, closed, Pace.constant(200))
    assert [check.name for check in checks if not check.passed] == failed


def test_what_the_kernel_keeps_for_one_address_is_found_among_all() -> None:
    lines = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90 0707007F:9C40 01 00000100:00000000 00:00000000 00000000     0        0 1",
        "   1: 0707007F:9C40 0100007F:1F90 01 00000000:00000010 00:00000000 00000000     0        0 2",
        "   2: 0100007F:1F90 0100007F:9C41 01 00001000:00001000 00:00000000 00000000     0        0 3",
    )
    assert queued_for("127.0.7.7", "\n".join(lines)) == 0x110


def joined(behind_ms: float | None, skew_ms: float | None) -> join_delay.Join:
    return join_delay.Join(50.0, dict.fromkeys(join_delay.MOMENTS_S, behind_ms), skew_ms, 0.0, 0)


@pytest.mark.parametrize(
    ("join", "failed"),
    [
        (joined(20.0, 30.0), []),
        (joined(101.0, 30.0), ["5 s after the joins those who joined are not behind by more than 100 ms"]),
        (joined(20.0, -126.0), ["nor are their sound and picture apart by more than 125 ms"]),
    ],
)
def test_who_joined_late_is_not_behind(join: join_delay.Join, failed: list[str]) -> None:
    report = Report("join-delay", {})
    join_delay._write(report, [join])
    assert [check.name for check in report.checks if not check.passed] == failed


def test_a_join_that_cannot_be_compared_fails() -> None:
    report = Report("join-delay", {})
    join_delay._write(report, [joined(None, 30.0)])
    assert "frames were compared for every join" in {check.name for check in report.checks if not check.passed}
