"""The histogram of forward delays."""

from __future__ import annotations

from streams.delays import Delays


def test_delays_are_counted_by_bucket() -> None:
    delays = Delays()
    for seconds, count in ((0.0005, 90), (0.001, 5), (0.004, 4), (2.0, 1), (-1.0, 0)):
        delays.note(seconds, count)
    assert delays.cumulative()[0] == ("0.001", 95)
    assert delays.cumulative()[-1] == ("+Inf", 100)
    other = Delays()
    other.note(0.0005)
    delays.add(other)
    assert delays.cumulative()[-1] == ("+Inf", 101)
    assert 2000 < delays.total_ms < 2100
