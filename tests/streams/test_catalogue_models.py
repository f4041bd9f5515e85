"""A stream's life: every cell of the table."""

from __future__ import annotations

import pytest

from streams.errors import StreamEnded, StreamRefused
from streams.models import MAX_TITLE, Move, StreamState, clean_title

CREATED, LIVE, INTERRUPTED, ENDED = StreamState
START, INTERRUPT, END = Move

#: state × move → state; ``None`` means refused
TABLE = {
    (CREATED, START): LIVE,
    (CREATED, INTERRUPT): CREATED,
    (CREATED, END): ENDED,
    (LIVE, START): LIVE,
    (LIVE, INTERRUPT): INTERRUPTED,
    (LIVE, END): ENDED,
    (INTERRUPTED, START): LIVE,
    (INTERRUPTED, INTERRUPT): INTERRUPTED,
    (INTERRUPTED, END): ENDED,
    (ENDED, START): None,
    (ENDED, INTERRUPT): ENDED,
    (ENDED, END): ENDED,
}


def test_the_table_of_this_test_has_every_cell() -> None:
    assert set(TABLE) == {(state, move) for state in StreamState for move in Move}


@pytest.mark.parametrize(("state", "move"), TABLE)
def test_each_step_goes_where_the_table_says(state: StreamState, move: Move) -> None:
    expected = TABLE[state, move]
    if expected is None:
        with pytest.raises(StreamEnded):
            state.step(move)
    else:
        assert state.step(move) is expected


def test_a_title_is_shown_without_tricks() -> None:
    assert clean_title("  Mugs\t&\n\x00plates \u202etfel ") == "Mugs & plates tfel"
    assert clean_title("👩\u200d🍳 café") == "👩\u200d🍳 café"


@pytest.mark.parametrize("title", ["", " \n\t", "\u200d\u200d", "\u202e", "x" * (MAX_TITLE + 1)])
def test_an_empty_or_endless_title_is_refused(title: str) -> None:
    with pytest.raises(StreamRefused):
        clean_title(title)
