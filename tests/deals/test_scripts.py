"""The scripts' form: headers, length, declared keys, one table of codes."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from deals import errors, keys
from deals.errors import DealsError
from deals.scripts import CLAIM_SENTENCES, REFUSALS, SOURCES, refusal
from livecommerce.problems import KINDS

FILES = {
    path.name: path.read_text("utf-8")
    for path in resources.files("deals").joinpath("lua").iterdir()
    if path.name.endswith(".lua")
}
#: what scripts share; never run by themselves
SHARED = {
    *("of_deal.lua", "bundle.lua", "prices.lua", "deal.lua", "timeline.lua", "codes.lua", "order.lua"),
    *("queue.lua", "waiting.lua", "claiming.lua"),
}
ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, DealsError) and e is not DealsError]


@pytest.mark.parametrize("name", FILES)
def test_a_script_is_at_most_60_lines(name: str) -> None:
    assert len(FILES[name].splitlines()) <= 60


@pytest.mark.parametrize("name", sorted(set(FILES) - SHARED))
def test_a_script_says_its_keys_arguments_and_answer(name: str) -> None:
    header = FILES[name].partition("\nlocal ")[0]
    assert header.startswith(f"-- {name}: ")
    for word in ("-- KEYS: ", "-- ARGV: ", "-- Returns {0"):
        assert word in header


@pytest.mark.parametrize("name", FILES)
def test_a_script_names_no_key_but_through_keys(name: str) -> None:
    assert "lc:" not in FILES[name]
    assert set(re.findall(r"redis\.call\('\w+', '", FILES[name])) == set()


def test_every_script_file_is_loaded() -> None:
    assert {f"{verb}.lua" for verb in SOURCES} | SHARED == set(FILES)


def test_every_refusal_that_a_script_names_is_in_the_table() -> None:
    named = {code for text in FILES.values() for code in re.findall(r"REFUSED\.([a-z_]+)", text)}
    assert named == {kind.code for kind in REFUSALS.values()}


def test_every_bare_integer_of_a_batch_has_its_sentence() -> None:
    bare = set(re.findall(r"return REFUSED\.([a-z_]+)", FILES["claim.lua"] + FILES["codes.lua"]))
    assert bare == {kind.code for kind in CLAIM_SENTENCES}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_that_the_wire_knows(kind: type[DealsError]) -> None:
    assert kind.code in KINDS
    assert kind("why", retry_after_ms=5).retry_after_ms == 5


def test_a_refusal_carries_its_sentence_and_its_time() -> None:
    error = refusal([-4, b"not now", 250])
    assert (error.code, error.detail, error.retry_after_ms) == ("illegal_state", "not now", 250)


def test_all_keys_of_a_deal_share_one_hash_tag() -> None:
    assert all(
        key.startswith("lc:{s1}:") for key in (*keys.of_deal("s1", "d1"), *keys.of_showcase("s1"), *keys.of_rules("s1"))
    )


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c.d", "a..c", "a.b.c}", "{a.b.c", "é.b.c", "a.b.c\n", "a.b." + "c" * 65]
)
def test_what_cannot_be_an_order_id_never_reaches_a_key(text: str) -> None:
    assert keys.split_order_id(text) is None
