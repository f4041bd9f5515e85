"""What a token allows, and that its secret stays one."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.auth import EVERY_STREAM, MAX_NAME, Grant, Identity, TokenAuthority
from livecommerce.problems import Problem

SECRET = "a-secret-of-the-tests-with-32-bytes-at-least"


def bearer(*can: str, stream: str = EVERY_STREAM, user_id: str = "u") -> Identity:
    return Identity(user_id, "Ann", stream, frozenset(Grant(g) for g in can), 0)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (bearer("host", user_id="h"), True),
        (bearer("host"), False),
        (bearer("host", stream="s1"), True),
        (bearer("host", stream="s2", user_id="h"), False),
        (bearer("moderate", user_id="h"), False),
        (bearer("admin"), True),
        (bearer("admin", stream="s2"), False),
    ],
)
def test_who_controls_stream_s1_of_host_h(who: Identity, allowed: bool) -> None:
    assert who.controls("s1", "h") is allowed


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (bearer("moderate"), True),
        (bearer("moderate", stream="s1"), True),
        (bearer("moderate", stream="s2"), False),
        (bearer("host", user_id="h"), True),
        (bearer("host"), False),
        (bearer("chat"), False),
    ],
)
def test_who_moderates_stream_s1_of_host_h(who: Identity, allowed: bool) -> None:
    assert who.moderates("s1", "h") is allowed


def test_a_token_says_what_was_minted_until_it_expires() -> None:
    now_s = [1_700_000_000.0]
    authority = TokenAuthority(SECRET)
    minted = authority.mint("u1", "Ann", ["buy", "watch"], stream="s1", ttl_s=60)
    identity = authority.verify(minted)
    assert (identity.user_id, identity.name, identity.stream) == ("u1", "Ann", "s1")
    assert identity.can == {Grant.BUY, Grant.WATCH}
    old = TokenAuthority(SECRET, now_s=lambda: now_s[0]).mint("u1", "Ann", ["buy"], ttl_s=60)
    with pytest.raises(Problem) as refused:
        authority.verify(old)
    assert refused.value.code == "token_expired"


def test_a_remembered_token_still_expires() -> None:
    now_s = time.time()
    authority = TokenAuthority(SECRET, now_s=lambda: now_s)
    token = authority.mint("u1", "Ann", ["buy"], ttl_s=60)
    assert authority.verify(token) == authority.verify(token)
    now_s += 61
    with pytest.raises(Problem) as refused:
        authority.verify(token)
    assert refused.value.code == "token_expired"


def test_only_good_tokens_are_remembered_and_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.auth.MAX_REMEMBERED", 2)
    authority = TokenAuthority(SECRET)
    tokens = [authority.mint(f"u{n}", "Ann", ["buy"]) for n in range(3)]
    assert [authority.verify(t).user_id for t in tokens + tokens] == ["u0", "u1", "u2"] * 2
    for _ in range(2):
        with pytest.raises(Problem):
            authority.verify(tokens[0] + "x")
    assert len(authority._verified) == 2


def test_an_unknown_grant_allows_nothing_and_a_long_name_is_cut() -> None:
    claims = {"sub": "u", "name": "x" * 100, "can": ["fly", "buy"], "aud": "livecommerce", "exp": 4_000_000_000}
    identity = TokenAuthority(SECRET).verify(jwt.encode(claims, SECRET, algorithm="HS256"))
    assert identity.can == {Grant.BUY}
    assert len(identity.name) == MAX_NAME
    assert not identity.may(Grant.BUY, "s1"), "without a stream claim it is for no stream"


@pytest.mark.parametrize("claims", [{"single": True}, {"single": True, "jti": ""}, {"single": 1, "jti": "t1"}])
def test_a_token_for_one_connection_needs_an_id(claims: dict[str, Any]) -> None:
    whole = {"sub": "u", "aud": "livecommerce", "exp": 4_000_000_000}
    with pytest.raises(Problem, match="claims"):
        TokenAuthority(SECRET).verify(jwt.encode(whole | claims, SECRET))
    taken = TokenAuthority(SECRET).verify(jwt.encode(whole | {"single": True, "jti": "t1"}, SECRET))
    assert taken.single == "t1"


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        TokenAuthority("short")


def test_derived_keys_differ_by_purpose_and_secret_and_are_the_same_everywhere() -> None:
    one, same, other = TokenAuthority(SECRET), TokenAuthority(SECRET), TokenAuthority(SECRET + "!")
    assert one.derive("hop") == same.derive("hop")
    assert len({one.derive("hop"), one.derive("pipe"), other.derive("hop")}) == 3
    assert SECRET.encode() not in one.derive("hop")


NOW_S = 1_700_000_000
_claim: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=5))
)
_near_now = st.integers(NOW_S - 2, NOW_S + 2) | st.floats(NOW_S - 2, NOW_S + 2)


@given(
    claims=st.fixed_dictionaries(
        {},
        optional={
            "sub": st.just("u") | _claim,
            "aud": st.just("livecommerce") | st.just(["livecommerce", "x"]) | _claim,
            "exp": st.just(NOW_S + 60) | _near_now | _claim,
            "iat": _near_now | _claim,
            "nbf": _near_now | _claim,
            "can": st.just(["buy"]) | _claim,
            "stream": st.just("s1") | _claim,
            "name": st.just("Ann") | _claim,
            "jti": st.just("t1") | _claim,
            "single": st.booleans() | _claim,
        },
    ),
    headers=st.none() | st.just({"kid": "1"}) | st.just({"typ": None}) | st.just({"crit": ["b64"], "b64": True}),
    change=st.none() | st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from("Aa-_.=é\n ")),
)
def test_the_short_way_accepts_nothing_that_the_long_way_does_not(
    claims: dict[str, Any], headers: dict[str, Any] | None, change: tuple[float, str] | None
) -> None:
    """The long way is PyJWT; its clock is the real one, so both are asked at a time that it is told."""
    try:
        token = jwt.encode(claims, SECRET, algorithm="HS256", headers=headers)
    except (TypeError, ValueError):
        return  # what even PyJWT does not sign
    if change is not None:
        at = int(change[0] * len(token))
        token = token[:at] + change[1] + token[at + 1 :]
    short = TokenAuthority(SECRET, now_s=lambda: NOW_S)._plain_claims(token)
    if short is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jwt.api_jwt.datetime", FrozenTime)
        assert TokenAuthority(SECRET)._claims(token) == short


class FrozenTime:
    """What PyJWT asks for the time."""

    @staticmethod
    def now(tz: Any = None) -> datetime:
        return datetime.fromtimestamp(NOW_S, tz)


def test_the_tokens_we_mint_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = TokenAuthority(SECRET)

    def long_way(*_: Any, **__: Any) -> None:
        raise AssertionError("PyJWT takes 330 µs")

    token = authority.mint("u", "Ann", ["buy"], single=True)
    shop = jwt.encode({"sub": "u", "aud": "livecommerce", "iat": int(time.time()) - 1, "exp": 4_000_000_000}, SECRET)
    monkeypatch.setattr(jwt, "decode", long_way)
    assert authority.verify(token).user_id == authority.verify(shop).user_id == "u"
