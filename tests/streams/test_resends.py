"""How much a viewer is sent again, by what its path and this worker are able to do."""

from __future__ import annotations

import pytest

from streams.resends import BEHIND, BEHIND_S, LAYERED, MAX_REMEMBERED, REPEAT_S, STRAINED, STRAINED_S, USUAL, Resends


def granted(resends: Resends, now_s: float, *, past: bool = False, ssrc: int = 1) -> int:
    """How many of a thousand different packets may be sent again at once."""
    return sum(resends.take(now_s, (ssrc, sequence), past=past) for sequence in range(1000))


def test_a_burst_is_sent_again_at_once_and_then_so_many_a_second() -> None:
    resends = Resends()
    assert granted(resends, 1.0) == USUAL.burst
    assert granted(resends, 1.5, ssrc=2) == USUAL.per_s / 2


def test_a_packet_is_not_sent_again_at_once_and_what_is_remembered_is_bounded() -> None:
    resends = Resends()
    assert resends.take(1.0, (1, 5))
    assert not resends.take(1.0 + REPEAT_S / 2, (1, 5))
    assert resends.take(1.0 + 2 * REPEAT_S, (1, 5))
    for second in range(10):
        granted(resends, 10.0 + second, ssrc=second)
    assert len(resends._sent) <= MAX_REMEMBERED


@pytest.mark.parametrize("layered", [False, True])
def test_a_strained_path_gets_less_for_a_while_and_nothing_of_a_larger_picture(layered: bool) -> None:
    resends, limit = Resends(), LAYERED if layered else STRAINED
    resends.reported(1.0, dropped=False, trouble=True, layered=layered)
    assert granted(resends, 1.0, past=True) == 0
    assert granted(resends, 1.0) == limit.burst
    assert granted(resends, 2.0, ssrc=2) == min(limit.per_s, limit.burst)
    assert granted(resends, 1.0 + STRAINED_S, ssrc=3) > limit.burst
    assert granted(resends, 9.0, past=True, ssrc=4) == USUAL.burst


def test_what_was_dropped_here_is_not_blamed_on_the_path() -> None:
    resends = Resends()
    resends.reported(1.0, dropped=True, trouble=True, layered=True)
    # The next report still tells of it.
    resends.reported(2.0, dropped=False, trouble=True, layered=True)
    assert granted(resends, 2.0, past=True) == BEHIND.burst > LAYERED.burst
    # One that comes when that is over is of the path.
    late_s = 1.0 + BEHIND_S
    resends.reported(late_s, dropped=False, trouble=True, layered=True)
    assert granted(resends, late_s, ssrc=2) == LAYERED.burst


def test_a_worker_that_is_behind_sends_less_again_until_it_is_not() -> None:
    resends = Resends()
    resends.reported(1.0, dropped=True, trouble=False, layered=False)
    assert granted(resends, 1.0) == BEHIND.burst
    assert granted(resends, 1.0 + BEHIND_S + 5.0, ssrc=2) == USUAL.burst
