"""What a run of viewers says and judges: loss where it happened, cost beside its floor, flatness over a sweep."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from load_tests.report import Figure
from load_tests.viewers import main
from load_tests.viewers_report import report

FOUND: dict[str, Any] = {
    "connected": 10, "playing": 10, "failures": [], "packets": 5000, "lost": 0, "lost_here": 0, "unauthentic": 0,
    "duplicates": 0, "host_late_ms_max": 1.5, "server_us_a_packet_a_viewer": 3.9, "floor_us": [3.2, 3.0],
    "times_floor": 1.3, "server_cpu_share": 0.16, "delay_p99_ms": 8.0, "first_frame_ms": {"median": 5.0, "p95": 20.0},
}  # fmt: skip


def failed(**changes: Any) -> list[str]:
    return [check.name for check in report({}, {10: FOUND | changes}).checks if not check.passed]


def test_the_cost_stands_beside_the_lesser_of_its_floors() -> None:
    made = report({}, {10: FOUND}).figures
    assert made["server CPU a packet to a viewer"] == Figure(3.9, "µs", "lower")
    assert made["floor: copy, protect, send"] == Figure(3.0, "µs", "lower", "before 3.20, after 3.00")
    assert made["server's worker, of a core"] == Figure(16.0, "%", "lower")
    assert "server CPU a join" not in made


def test_a_packet_that_a_viewer_s_own_socket_threw_away_is_not_the_server_s_loss() -> None:
    assert failed() == []
    assert failed(lost=7, lost_here=7) == []
    assert failed(lost=8, lost_here=7) == ["nothing lost before the viewers' sockets"]


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"connected": 9}, "everybody is connected"),
        ({"playing": 9}, "everybody gets the picture"),
        ({"unauthentic": 1}, "nothing forged and nothing twice"),
        ({"duplicates": 1}, "nothing forged and nothing twice"),
    ],
)
def test_whatever_is_wrong_fails_the_run(changes: dict[str, int], check: str) -> None:
    assert failed(**changes) == [check]


@pytest.mark.parametrize(("most", "flat"), [(4.8, True), (5.0, False)])
def test_a_sweep_is_judged_by_its_dearest_packet(most: float, flat: bool) -> None:
    more = FOUND | {"connected": 50, "playing": 50, "server_us_a_packet_a_viewer": most}
    made = report({}, {10: FOUND, 50: more})
    assert "50 viewers: server CPU a packet to a viewer" in made.figures
    assert {check.name: check.passed for check in made.checks}["cost is flat within 25%"] is flat
    assert made.passed is flat


@pytest.mark.parametrize("text", ["1,200", "many", ""])
def test_a_sweep_takes_numbers_of_viewers(text: str) -> None:
    result = CliRunner().invoke(main, ["--sweep", text])
    assert result.exit_code == click.UsageError.exit_code
    assert "no list of numbers" in result.output
