"""What is found wrong with what strangers' datagrams cost and leave behind."""

from __future__ import annotations

import pytest

from load_tests.strangers import MOST_US, cheap, kinds, silent, unanswered


@pytest.mark.parametrize(("dearest_us", "passed"), [(MOST_US, True), (MOST_US + 0.1, False)])
def test_the_dearest_kind_is_named(dearest_us: float, passed: bool) -> None:
    check = cheap(dict.fromkeys(kinds(), 1.0) | {"noise": dearest_us})
    assert (check.passed, check.detail.startswith("noise: ")) == (passed, True)


@pytest.mark.parametrize(("thrown_away", "kept", "passed"), [(64, 0, True), (63, 0, False), (64, 1, False)])
def test_all_are_thrown_away_and_forgotten(thrown_away: int, kept: int, passed: bool) -> None:
    assert unanswered(64, thrown_away, kept).passed == passed


def test_an_answer_is_a_fault() -> None:
    assert [silent(answers).passed for answers in (0, 1)] == [True, False]
