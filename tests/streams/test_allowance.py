"""A token bucket: a burst at once, then so many in a second."""

from __future__ import annotations

from streams.allowance import Allowance


def test_a_burst_is_allowed_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(10, 3)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(0.1), allowance.take(0.1)] == [True, False]
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_large_amount_is_taken_whole_or_not_at_all() -> None:
    allowance = Allowance(100, 1000)
    assert not allowance.take(0.0, 1001)
    assert allowance.take(0.0, 1000)
    assert not allowance.take(0.5, 51)
    assert allowance.take(0.5, 50)
