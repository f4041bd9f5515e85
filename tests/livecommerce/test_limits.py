"""Who is limited, by which address, and how a limit is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from livecommerce.limits import Limits, Rate, RateLimiter, TrustedProxies, bucket_of, is_loopback, parse_limits
from tests.livecommerce.edge import GENEROUS, edge_worker


def test_a_burst_passes_then_one_a_tick_and_the_wait_is_told() -> None:
    limiter = RateLimiter(Rate(per_second=2, burst=3))
    assert [limiter.take("a", 0.0) for _ in range(4)] == [None, None, None, 500]
    assert limiter.take("a", 0.25) == 250
    assert limiter.take("a", 0.5) is None
    assert limiter.take("b", 0.5) is None
    assert limiter.refused == 2


def test_looking_takes_nothing() -> None:
    limiter = RateLimiter(Rate(per_second=2, burst=1))
    assert [limiter.wait_ms("a", 0.0) for _ in range(3)] == [None] * 3
    assert limiter.take("a", 0.0) is None
    assert (limiter.wait_ms("a", 0.1), limiter.wait_ms("a", 0.5), len(limiter)) == (400, None, 1)


@given(times=st.lists(st.floats(0, 100), max_size=200), rate=st.integers(1, 20), burst=st.integers(1, 20))
def test_never_more_than_the_rate_and_the_burst(times: list[float], rate: int, burst: int) -> None:
    limiter = RateLimiter(Rate(rate, burst))
    allowed = sum(limiter.take("a", t) is None for t in sorted(times))
    assert allowed <= burst + rate * 100


def test_the_wait_it_tells_is_enough() -> None:
    limiter = RateLimiter(Rate(3, 1))
    assert limiter.take("a", 0.0) is None
    wait_ms = limiter.take("a", 0.1)
    assert wait_ms is not None
    assert limiter.take("a", 0.1 + wait_ms / 1000) is None


def test_it_remembers_a_bounded_number_the_recent_ones() -> None:
    limiter = RateLimiter(Rate(1, 1), capacity=2)
    for name in ("a", "b", "a", "c"):
        limiter.take(name, 0.0)
    assert len(limiter) == 2
    assert limiter.take("a", 0.0) is not None
    assert limiter.take("b", 0.0) is None, "the longest unused one was forgotten"


def test_limits_are_given_by_name_and_the_rest_keep_their_defaults() -> None:
    assert parse_limits([]) == Limits()
    given = parse_limits(["user=0.5/3", "viewers=10", "viewers=20"])
    assert given == Limits(user=Rate(0.5, 3), viewers=20)


@pytest.mark.parametrize(
    "word",
    [
        *("user", "user=", "user=1", "user=1/", "user=1/0", "user=0/1", "user=-1/1", "user=1/1.5", "user=nan/1"),
        *("user=1e3/1", "user=1/1/1", "viewers=1/1", "viewers=0", "viewers=0.5", "viewers=x", "viewers=99999999"),
        *("address=1/²", "address=1/9999999", "speed=1/1", "=1/1"),
    ],
)
def test_a_limit_nobody_could_mean_is_refused_with_its_form(word: str) -> None:
    with pytest.raises(ValueError, match=r"write it like|choose from address"):
        parse_limits([word])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::7", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_nearest_that_is_not_our_proxy(peer: str, forwarded: str, client: str) -> None:
    assert TrustedProxies(["10.0.0.0/8", "fd00::/8"]).client(peer, forwarded) == client


def test_an_ipv6_network_counts_as_one_and_mapped_addresses_as_ipv4() -> None:
    assert bucket_of("2001:db8::1") == bucket_of("2001:db8::ffff:2") != bucket_of("2001:db8:0:1::1")
    assert bucket_of("::ffff:192.0.2.1") == bucket_of("192.0.2.1")
    assert [is_loopback(a) for a in ("127.0.0.9", "::1", "::ffff:127.0.0.1", "", "192.0.2.1", "x")] == [
        *(True, True, True, True),
        *(False, False),
    ]


TIGHT = Limits(address=Rate(1, 3), guest=Rate(1, 2), user=Rate(1, 5))


async def ask_from(edge: Any, address: str, method: str = "GET", path: str = "/api/v1/streams", **how: Any) -> Any:
    return await edge.ask(method, path, headers={"X-Forwarded-For": address}, **how)


async def test_an_address_is_limited_behind_a_trusted_proxy_and_told_when_to_return(redis: Redis) -> None:
    async with edge_worker(redis, limits=TIGHT, trusted_proxy=("127.0.0.1/32",)) as edge:
        answers = [await ask_from(edge, "198.51.100.1") for _ in range(4)]
        assert [a.status for a in answers] == [200, 200, 200, 429]
        assert (answers[3].code, answers[3].headers["Retry-After"]) == ("rate_limited", "1")
        assert 0 < answers[3].body["retry_after_ms"] <= 1000
        assert (await ask_from(edge, "198.51.100.2")).status == 200
        assert (await ask_from(edge, "198.51.100.1", path="/healthz")).status == 200
        sign_ins = [
            await ask_from(edge, "198.51.100.3", "POST", "/api/v1/guest", json={"name": "Ann"}) for _ in range(3)
        ]
        assert [a.status for a in sign_ins] == [201, 201, 429]


async def test_loopback_is_never_limited_and_strangers_cannot_forward(redis: Redis) -> None:
    async with edge_worker(redis, limits=TIGHT) as edge:
        answers = [await ask_from(edge, "198.51.100.1") for _ in range(10)]
        assert {a.status for a in answers} == {200}, "nobody is a trusted proxy: the header means nothing"


async def test_a_user_is_limited_wherever_they_come_from_a_shop_is_not(redis: Redis) -> None:
    limits = Limits(address=GENEROUS.address, guest=GENEROUS.guest, user=Rate(1, 5))
    async with edge_worker(redis, limits=limits) as edge:
        token, path = edge.token("u", "buy"), "/api/v1/orders"
        answers = [await edge.ask("GET", path, token=token) for _ in range(6)]
        assert [a.status for a in answers] == [200] * 5 + [429]
        assert (await edge.ask("GET", path, token=edge.token("v", "buy"))).status == 200
        shop = edge.token("shop", "admin")
        assert {(await edge.ask("GET", path, token=shop)).status for _ in range(10)} == {200}


async def test_a_request_passed_between_workers_is_counted_once(redis: Redis) -> None:
    limits = Limits(address=GENEROUS.address, guest=GENEROUS.guest, user=Rate(0.001, 2))
    async with edge_worker(redis) as front, edge_worker(redis, limits=limits) as home:
        stream_id = await home.stream("h")
        await home.go_live(stream_id, "h")
        viewer = front.token("v", "watch")
        for _ in range(4):
            assert (await front.offer(f"/whep/{stream_id}", viewer)).status == 201
