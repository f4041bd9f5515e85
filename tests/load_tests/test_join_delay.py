"""What is made of the frames that two viewers showed."""

from __future__ import annotations

import pytest

from load_tests.join_delay import Seen, behind_ms, judge, skew_ms

NO_STATES: list[tuple[float, float, float, int]] = []


def frames(delay_ms: float, *, first: int = 0) -> list[tuple[int, float]]:
    """One each 40 ms, shown so late; the stamps wrap."""
    return [((0xFFFFFF00 + 3600 * n) & 0xFFFFFFFF, 40.0 * n + delay_ms) for n in range(first, 200)]


def test_the_same_frame_is_compared_and_only_in_the_time_asked_for() -> None:
    early, late = Seen(frames(20), NO_STATES), Seen(frames(95, first=50), NO_STATES)
    assert behind_ms(early, late, 3000, 4000) == 75
    assert behind_ms(early, late, 0, 2000) is None
    assert behind_ms(Seen(frames(95), NO_STATES), Seen(frames(20), NO_STATES), 3000, 4000) == -75


def test_one_late_frame_is_no_delay() -> None:
    shown = frames(20)
    shown[80] = (shown[80][0], shown[80][1] + 300)
    assert behind_ms(Seen(frames(20), NO_STATES), Seen(shown, NO_STATES), 3000, 4000) == 0


def test_sound_behind_its_picture() -> None:
    states = [(float(at), 9_000.0 + at, 8_960.0 + at, 0) for at in range(0, 6000, 100)]
    assert skew_ms(Seen([], states), 4500, 5500) == 40
    assert skew_ms(Seen([], states), 9000, 9500) is None


def test_a_join_is_judged_around_its_own_moments() -> None:
    found = {
        "early": {"asked": 0, "first": 10, "frames": frames(20), "states": [[6000.0, 500.0, 470.0, 0]]},
        "late": {"asked": 1000, "first": 1050, "frames": frames(40, first=26), "states": [[6000.0, 500.0, 460.0, 2]]},
    }
    join = judge(found)
    assert join.first_frame == 50
    assert join.behind == {1: 20, 2: 20, 5: 20}
    assert (join.skew, join.early_skew, join.freezes) == (40, 30, 2)


def test_a_join_without_a_frame_in_common_has_no_figure() -> None:
    found = {
        "early": {"asked": 0, "first": 10, "frames": [], "states": []},
        "late": {"asked": 0, "first": 50, "frames": frames(0), "states": []},
    }
    join = judge(found)
    assert join.behind[5] is None
    assert join.skew is None
    assert join.first_frame == pytest.approx(50)
