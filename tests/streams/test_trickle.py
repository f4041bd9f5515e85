"""Trickle fragments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.relay_errors import BadFragment
from streams.trickle import Fragment, parse_fragment, write_fragment

FIREFOX = "\r\n".join(
    (
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=candidate:0 1 UDP 2122055935 8c1f.local 39196 typ host",
        "a=candidate:3 2 TCP 2122252543 fd00::2 9 typ host tcptype active",
        "",
    )
)


def test_candidates_of_any_kind_are_read() -> None:
    assert parse_fragment(FIREFOX) == Fragment("abcd", "0123456789012345678901", 2, False)


def test_a_bare_end_of_candidates_is_a_fragment() -> None:
    assert parse_fragment("a=end-of-candidates\r\n") == Fragment("", "", 0, True)


@pytest.mark.parametrize(
    "body", ["", "\r\n", "{}", "hello", "a=ice-ufrag:", "a=ice-pwd:" + "x" * 300, "a=x\n" * 40_000]
)
def test_what_is_no_fragment_is_refused(body: str) -> None:
    with pytest.raises(BadFragment):
        parse_fragment(body)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(body: str) -> None:
    for each in (body, "a=" + body, FIREFOX + body):
        try:
            parse_fragment(each)
        except BadFragment:
            continue


def test_what_we_answer_we_can_read() -> None:
    written = write_fragment(
        "abcd", "p" * 22, ["a=candidate:1 1 udp 1 192.0.2.1 9 typ host", "a=end-of-candidates"], "0", "audio"
    )
    assert parse_fragment(written) == Fragment("abcd", "p" * 22, 1, True)
