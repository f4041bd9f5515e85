"""Which layer a viewer gets: the order, the table, and what a path's ups and downs come to, on a clock of our own."""

from __future__ import annotations

import itertools

import pytest

from streams.bandwidth import Verdict
from streams.layers import (
    HOLD_S,
    MAX_HOLD_S,
    PROBE_SETTLE_S,
    PROBED_S,
    SETTLE_S,
    TRIAL_S,
    Layer,
    LayerChoice,
    Phase,
    Sign,
    Step,
    choose,
    fitting,
    ranked,
    step,
    surplus,
)

LOW, MIDDLE, HIGH = (
    Layer(2, 320 * 180, 150_000, True),
    Layer(0, 640 * 360, 500_000, True),
    Layer(1, 1280 * 720, 1_800_000, True),
)
ORDER = [LOW, MIDDLE, HIGH]


def silent(layer: Layer) -> Layer:
    return layer._replace(active=False)


def test_layers_are_ordered_by_size_then_by_bits_and_never_by_their_place() -> None:
    for mixed in itertools.permutations(ORDER):
        assert ranked(mixed) == ORDER
    same = [Layer(0, 100, 900_000, True), Layer(1, 100, 200_000, True)]
    assert [layer.slot for layer in ranked(same)] == [1, 0]


@pytest.mark.parametrize(
    ("order", "limit", "expected"),
    [
        (ORDER, None, HIGH),
        (ORDER, 2, HIGH),
        (ORDER, 1, MIDDLE),
        (ORDER, 0, LOW),
        ([LOW, MIDDLE, silent(HIGH)], None, MIDDLE),
        ([LOW, silent(MIDDLE), HIGH], 1, LOW),
        ([silent(LOW), MIDDLE, HIGH], 0, MIDDLE),  # better too much than nothing
        ([silent(LOW), silent(MIDDLE), silent(HIGH)], None, None),
        ([], None, None),
    ],
)
def test_the_highest_that_flows_within_the_limit(order: list[Layer], limit: int | None, expected: Layer | None) -> None:
    assert choose(order, limit) == expected


def test_what_arrives_has_room_for() -> None:
    assert [fitting(ORDER, bits) for bits in (None, 0, 200_000, 800_000, 3_000_000)] == [2, 0, 0, 1, 2]
    assert fitting([LOW, silent(MIDDLE), HIGH], 800_000) == 0


def test_a_layer_that_just_fits_would_keep_the_queue_full() -> None:
    """315 kbit/s of the picture came by a path with 0.7 s of queue: 263 would never empty it."""
    order = [Layer(0, 100, 113_000, True), Layer(1, 400, 263_000, True), Layer(2, 1600, 537_000, True)]
    assert fitting(order, 315_000) == 0


def test_a_probe_sends_more_than_the_next_layer_needs() -> None:
    """What exceeds a path by a twentieth fills no queue in half a second."""
    need = MIDDLE.bits_per_s - LOW.bits_per_s
    assert surplus(LOW, MIDDLE) > 1.2 * need
    assert surplus(HIGH, LOW) == 0


def test_one_bad_report_ends_a_step_up_on_trial() -> None:
    viewer = Watching()
    viewer.tells(Verdict.BAD, 5)
    viewer.fits = 1
    assert viewer.tells(Verdict.GOOD, 20) is not None
    assert viewer.choice.phase is Phase.TRIAL
    assert viewer.tells(Verdict.BAD, 5) <= 2.0  # type: ignore[operator]
    assert viewer.choice.phase is Phase.LIMITED


TABLE = {
    (Phase.FREE, Sign.WORSE): (Phase.LIMITED, Step.DOWN),
    (Phase.FREE, Sign.BETTER): (Phase.FREE, Step.KEEP),
    (Phase.FREE, Sign.PROVEN): (Phase.FREE, Step.KEEP),
    (Phase.LIMITED, Sign.WORSE): (Phase.LIMITED, Step.DOWN),
    (Phase.LIMITED, Sign.BETTER): (Phase.PROBE, Step.PROBE),
    (Phase.LIMITED, Sign.PROVEN): (Phase.LIMITED, Step.KEEP),
    (Phase.PROBE, Sign.WORSE): (Phase.LIMITED, Step.WAIT),
    (Phase.PROBE, Sign.BETTER): (Phase.PROBE, Step.KEEP),
    (Phase.PROBE, Sign.PROVEN): (Phase.TRIAL, Step.UP),
    (Phase.TRIAL, Sign.WORSE): (Phase.LIMITED, Step.FALL_BACK),
    (Phase.TRIAL, Sign.BETTER): (Phase.TRIAL, Step.KEEP),
    (Phase.TRIAL, Sign.PROVEN): (Phase.LIMITED, Step.KEEP),
}


@pytest.mark.parametrize(("phase", "sign"), list(itertools.product(Phase, Sign)))
def test_every_cell_of_the_table(phase: Phase, sign: Sign) -> None:
    assert step(phase, sign) == TABLE[phase, sign]


class Watching:
    """A viewer that reports once a second."""

    def __init__(self) -> None:
        self.choice = LayerChoice()
        self.now_s = 100.0
        self.fits = 2

    @property
    def rank(self) -> int:
        layer = choose(ORDER, self.choice.limit)
        assert layer is not None
        return ORDER.index(layer)

    def tells(self, verdict: Verdict, seconds: float) -> float | None:
        """Report a verdict each second; seconds until the layer changed, or None."""
        began_s, rank = self.now_s, self.rank
        while self.now_s < began_s + seconds:
            self.now_s += 1.0
            self.choice.judge(verdict, self.now_s, rank=self.rank, top=2, fits=self.fits)
            if self.rank != rank:
                return self.now_s - began_s
        return None


def test_one_bad_report_changes_nothing_two_in_a_row_do() -> None:
    viewer = Watching()
    for _ in range(5):
        assert viewer.tells(Verdict.BAD, 1) is None
        assert viewer.tells(Verdict.UNSURE, 1) is None
    assert viewer.tells(Verdict.BAD, 5) == 2.0
    assert viewer.rank == 1


def test_a_path_that_loses_most_steps_down_at_once_and_to_what_fits() -> None:
    viewer = Watching()
    viewer.fits = 0
    assert viewer.tells(Verdict.WORST, 5) == 1.0
    assert viewer.rank == 0
    assert viewer.tells(Verdict.WORST, 30) is None


def test_from_the_top_to_the_bottom_within_five_seconds_and_back_within_twenty() -> None:
    viewer = Watching()
    first = viewer.tells(Verdict.BAD, 5)
    second = viewer.tells(Verdict.BAD, 5)
    assert first is not None
    assert second is not None
    assert first + second <= 5.0
    assert viewer.rank == 0
    assert viewer.tells(Verdict.BAD, 60) is None
    up = viewer.tells(Verdict.GOOD, 20)
    top = viewer.tells(Verdict.GOOD, 20)
    assert up is not None
    assert top is not None
    assert up + top <= 15.0  # reports need another few seconds to become good
    assert viewer.rank == 2
    viewer.tells(Verdict.GOOD, 2 * TRIAL_S)
    assert (viewer.choice.phase, viewer.choice.limit) == (Phase.FREE, None)


def test_reports_right_after_a_step_are_of_the_time_before_it() -> None:
    viewer = Watching()
    viewer.tells(Verdict.BAD, 5)
    stepped_s = viewer.now_s
    assert not viewer.choice.judge(Verdict.WORST, stepped_s + SETTLE_S - 0.01, rank=1, top=2, fits=0)
    assert viewer.choice.judge(Verdict.WORST, stepped_s + SETTLE_S, rank=1, top=2, fits=0)


def test_a_step_up_that_fails_is_tried_after_twice_the_time_until_one_lasts() -> None:
    viewer = Watching()
    viewer.tells(Verdict.BAD, 5)
    waits = []
    for _ in range(7):
        up = viewer.tells(Verdict.GOOD, 200)
        assert up is not None
        waits.append(up)
        assert viewer.tells(Verdict.BAD, 5) is not None
        assert viewer.rank == 1
    # the wait, the probe, and reports that come once a second
    assert waits[1:] == [pytest.approx(min(MAX_HOLD_S, HOLD_S * 2**n) + PROBED_S + 2, abs=1.5) for n in range(1, 7)]
    viewer.tells(Verdict.GOOD, 200)
    viewer.tells(Verdict.GOOD, 2 * TRIAL_S)
    assert viewer.choice.hold_s == HOLD_S


def test_a_path_that_fails_the_probe_keeps_its_picture_and_is_probed_after_twice_the_time() -> None:
    viewer = Watching()
    viewer.tells(Verdict.BAD, 5)
    waits = []
    for verdict in (Verdict.BAD, Verdict.WORST, Verdict.UNSURE, Verdict.BAD):
        began_s = viewer.now_s
        while viewer.choice.phase is not Phase.PROBE:
            assert viewer.tells(Verdict.GOOD, 1) is None
        waits.append(viewer.now_s - began_s)
        assert viewer.tells(verdict, 2) is None
        assert viewer.choice.phase is Phase.LIMITED
    assert waits[0] < waits[1] < waits[2]
    assert waits[3] <= PROBE_SETTLE_S + MAX_HOLD_S + 1  # and a report
    assert (viewer.rank, viewer.choice.hold_s) == (1, MAX_HOLD_S)


def test_however_often_a_step_failed_a_path_that_becomes_wide_has_the_top_within_twenty_seconds() -> None:
    viewer = Watching()
    viewer.fits = 0
    viewer.tells(Verdict.WORST, 5)
    for _ in range(10):
        while viewer.choice.phase is not Phase.PROBE:
            viewer.tells(Verdict.GOOD, 1)
        viewer.tells(Verdict.BAD, 1)
    began_s = viewer.now_s
    while viewer.rank < 2:
        viewer.tells(Verdict.GOOD, 1)
    assert viewer.now_s - began_s <= 18.0  # and a keyframe for each step


def test_a_step_that_lasts_forgets_the_failures_before_it() -> None:
    viewer = Watching()
    viewer.fits = 0
    viewer.tells(Verdict.WORST, 5)
    for _ in range(2):
        assert viewer.tells(Verdict.GOOD, 60) is not None
        assert viewer.tells(Verdict.BAD, 5) is not None
        assert viewer.rank == 0
    assert viewer.choice.hold_s == min(MAX_HOLD_S, 4 * HOLD_S)
    assert viewer.tells(Verdict.GOOD, 60) is not None
    following = viewer.tells(Verdict.GOOD, 60)
    assert following is not None
    assert following <= TRIAL_S + HOLD_S + 3
    assert viewer.rank == 2


def test_a_doubtful_report_begins_the_wait_anew() -> None:
    viewer = Watching()
    viewer.tells(Verdict.BAD, 5)
    for _ in range(10):
        assert viewer.tells(Verdict.GOOD, HOLD_S) is None
        assert viewer.tells(Verdict.UNSURE, 1) is None


def test_the_lowest_cannot_step_down_and_is_not_limited_by_trying() -> None:
    choice = LayerChoice()
    for second in range(10):
        assert not choice.judge(Verdict.WORST, 100.0 + second, rank=0, top=2, fits=0)
    assert (choice.phase, choice.limit) == (Phase.FREE, None)
