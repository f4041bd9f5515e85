"""The histogram against sorted lists, and arrivals against the integral of their rate."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load_tests.arrivals import Pace
from load_tests.histogram import Histogram, step_of, top_of
from load_tests.report import percentile

VALUES = st.lists(st.integers(0, 2**40), min_size=1, max_size=60)


@given(VALUES, st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_the_sorted_lists_within_a_thousandth(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = percentile(values, percent)
    assert exact <= histogram.percentile(percent) <= exact * 1.001
    assert (histogram.count, histogram.highest, histogram.mean) == (
        len(values),
        max(values),
        pytest.approx(sum(values) / len(values)),
    )


@given(st.integers(0, 2**50))
def test_steps_are_in_order_and_each_value_is_in_its_own(value: int) -> None:
    step = step_of(value)
    assert value <= top_of(step)
    assert step == 0 or top_of(step - 1) < value


@given(VALUES, VALUES)
def test_two_histograms_add_up_to_that_of_both_also_through_a_pipe(one: list[int], other: list[int]) -> None:
    parts = []
    for values in (one, other, one + other):
        histogram = Histogram()
        for value in values:
            histogram.record(value)
        parts.append(pickle.loads(pickle.dumps(histogram)))
    parts[0].add(parts[1])
    assert parts[0].summary() == parts[2].summary()


def test_nothing_has_figures_too_and_a_negative_time_is_none() -> None:
    assert Histogram().summary()["p99"] == 0
    histogram = Histogram()
    histogram.record(-5)
    assert histogram.summary() == {"count": 1, "mean": 0, "p50": 0, "p90": 0, "p99": 0, "p99.9": 0, "max": 0}


RATES = st.floats(0, 1e5)


@given(RATES, st.floats(0.5, 1e5), st.floats(0.01, 60), st.integers(0, 10_000))
def test_as_many_have_arrived_by_a_moment_as_the_rate_says(start: float, end: float, seconds: float, n: int) -> None:
    pace = Pace(start, end, seconds)
    t = pace.due_s(n)
    ramp_s = min(t, seconds)
    slope = (end - start) / seconds
    arrived = start * ramp_s + slope * ramp_s**2 / 2 + end * max(0.0, t - seconds)
    assert arrived == pytest.approx(n, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize("text", ["", "1:2", "1:0:3", "-1:2:3", "a:b:c", "1:inf:2", "nan:1:2"])
def test_a_ramp_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ramp|above 0|float"):
        Pace.parse(text)


def test_a_constant_rate_is_even() -> None:
    assert [Pace.constant(4).due_s(n) for n in range(4)] == [0, 0.25, 0.5, 0.75]
    assert str(Pace.constant(4)) == "4/s"
