"""The rules for text."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.errors import TextRefused
from chat.models import MAX_MARKS, MAX_TEXT, clean_text, fold, folded_text, is_blocked


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("hello", "hello"),
        ("  a \t b\r\n\x00c  ", "a b c"),
        ("ﬁne ①", "fine 1"),
        ("left\u202eright", "leftright"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",) * 2,
        ("a" + "\u0323" * 6, "\u1ea1" + "\u0323" * 4),
        ("x" * 300, "x" * 300),
    ],
)
def test_text_is_shown_without_what_disguises_or_disturbs(raw: str, shown: str) -> None:
    assert clean_text(raw) == unicodedata.normalize("NFKC", shown)


@pytest.mark.parametrize(
    "raw", ["", "   ", "\u200b", "\u200d", "\u3164\u2800", "\x00\x1f", "x" * 301, "y" * 5000, "\ufdfa" * 20]
)
def test_nothing_and_too_much_are_refused(raw: str) -> None:
    with pytest.raises(TextRefused):
        clean_text(raw)


@given(st.text(max_size=400))
def test_whatever_is_typed_comes_out_clean_or_not_at_all(raw: str) -> None:
    try:
        text = clean_text(raw)
    except TextRefused:
        return
    assert 1 <= len(text) <= MAX_TEXT
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for c in text)
    text.encode()
    assert max(_towers(text)) <= MAX_MARKS


def _towers(text: str) -> list[int]:
    heights = [0]
    for c in text:
        heights.append(heights[-1] + 1 if unicodedata.category(c) in ("Mn", "Me") else 0)
    return heights


@pytest.mark.parametrize("said", ["scam", "SCAM!", "s-c-a-m", "ѕсаm", "5c4m", "ścám", "a scam it is"])
def test_a_blocked_word_is_found_in_its_disguises(said: str) -> None:
    assert is_blocked(said, ["scam"])


@pytest.mark.parametrize("said", ["scampi", "this came", "is camera", ""])
def test_a_blocked_word_is_not_found_in_others(said: str) -> None:
    assert not is_blocked(said, ["scam", ""])


def test_a_long_blocked_word_is_found_spelt_out() -> None:
    assert is_blocked("c r y p t o scheme", ["crypto"])
    assert fold("C R Ÿ P T 0") == "crypto"


@given(st.text(st.characters(max_codepoint=127), max_size=MAX_TEXT - 2))
def test_the_short_way_for_ascii_says_what_the_long_one_does(text: str) -> None:
    """One letter of another alphabet behind it, and the text goes the long way."""
    assert fold(text + "é") == fold(text) + "e"
    whole, *words = folded_text(text)
    slow_whole, *slow_words = folded_text(text + " é")
    assert whole + "e" == slow_whole
    assert {*words} | {whole, "e", ""} >= {*slow_words} - {slow_whole}
    assert {*slow_words} | {slow_whole, whole} >= {*words}
    with contextlib.suppress(TextRefused):
        assert clean_text(text + " é") == f"{clean_text(text)} é"
