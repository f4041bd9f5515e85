"""How often who may ask: token buckets by address and by user, and whose address a request really has."""

from __future__ import annotations

import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """So many requests a second in the long run, and so many at once."""

    per_second: float
    burst: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits an operator may set (``serve --limit NAME=VALUE``); docs/limits.md has these and all fixed ones."""

    #: requests from one address (an IPv6 /64 counts as one); loopback is exempt. A page load is about 20
    address: Rate = Rate(100, 400)
    #: guest sign-ins from one address; loopback is exempt
    guest: Rate = Rate(1, 30)
    #: authenticated requests of one user; `admin` tokens (a shop's back end) are exempt
    user: Rate = Rate(20, 100)
    #: claims of one user, over all connections
    claims: Rate = Rate(20, 60)
    #: claims of all users of one address; never on loopback. Behind one address may be a whole office
    claimaddress: Rate = Rate(100, 500)
    #: claims of one user with a discount code, right or wrong: what guessing codes is limited by
    codes: Rate = Rate(0.5, 10)
    #: the same of all users of one address, who may be guests made for guessing; never on loopback
    codesaddress: Rate = Rate(2, 100)
    #: orders that one user gives back, over all connections: each is kept for good, whatever becomes of it
    cancels: Rate = Rate(0.1, 10)
    #: the same of all users of one address; never on loopback
    canceladdress: Rate = Rate(1, 100)
    #: payment webhooks of one address that are not the provider's; beyond it none of that address is read
    forgeries: Rate = Rate(1, 20)
    #: WebSocket commands of one connection
    commands: Rate = Rate(20, 60)
    #: chat messages of one user in one stream; hosts and moderators talk ten times as fast
    chat: Rate = Rate(1, 5)
    #: chat messages of all users of one address in one stream; never on loopback
    chataddress: Rate = Rate(5, 20)
    #: chat messages of one stream, hosts and moderators not counted
    chatroom: Rate = Rate(200, 400)
    #: WebSockets and event streams from one address, on one worker; loopback is exempt
    connections: int = 500
    #: viewers of one stream's room, on one worker
    seats: int = 20_000
    #: media sessions opened from one address, on one worker; loopback is exempt
    mediaaddress: int = 500
    #: media sessions that watch, on one worker
    viewers: int = 2000
    #: media sessions that publish, on one worker
    publishers: int = 200


#: more a second, or at once, is no limit any more
_MOST = 1_000_000
_NUMBER, _WHOLE = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?"), re.compile(r"[1-9][0-9]{0,6}")


def parse_limits(words: Iterable[str]) -> Limits:
    """Limits from ``name=per second/at once`` or ``name=number``; raises ``ValueError`` with the rest of a sentence."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(Limits)}
    given: dict[str, Rate | int] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in defaults:
            raise ValueError(f"{word!r}: there is no such limit; choose from {', '.join(defaults)}")
        rate, (often, _, burst) = isinstance(defaults[name], Rate), text.partition("/")
        well_formed = bool(_NUMBER.fullmatch(often) and _WHOLE.fullmatch(burst) if rate else _WHOLE.fullmatch(text))
        if not well_formed or not 0 < float(often) <= _MOST or (rate and int(burst) > _MOST):
            raise ValueError(f"{word!r}: write it like {name}={_shown(defaults[name])}")
        given[name] = Rate(float(often), int(burst)) if rate else int(text)
    return Limits(**given)  # type: ignore[arg-type]  # by name, of each default's own type


def _shown(value: Rate | int) -> str:
    return f"{value.per_second:g}/{value.burst}" if isinstance(value, Rate) else str(value)


class Bucket:
    """A token bucket: ``burst`` tokens at most, ``per_second`` more each second."""

    __slots__ = ("_rate", "_then_s", "_tokens")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._then_s = now_s

    def take(self, now_s: float) -> int | None:
        """Take one token at ``now_s`` (monotonic seconds); returns ``None``, or in how many ms to come back."""
        rate = self._rate
        tokens = self._tokens + (now_s - self._then_s) * rate.per_second
        if tokens > rate.burst:
            tokens = float(rate.burst)
        self._then_s = now_s
        if tokens >= 1:
            self._tokens = tokens - 1
            return None
        self._tokens = tokens
        return math.ceil((1 - tokens) / rate.per_second * 1000)

    def wait_ms(self, now_s: float) -> int | None:
        """In how many ms there is a token to take; ``None``: now."""
        missing = 1 - self._tokens - (now_s - self._then_s) * self._rate.per_second
        return math.ceil(missing / self._rate.per_second * 1000) if missing > 0 else None


class RateLimiter:
    """Token buckets by key, at most ``capacity`` of them.

    Policy when full: the bucket unused for longest goes, and is full again if its owner returns. 100,000 buckets are
    about 20 MiB.
    """

    def __init__(self, rate: Rate, *, capacity: int = 100_000) -> None:
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        #: how many requests were refused, for metrics and tests
        self.refused = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_ms(self, key: str, now_s: float) -> int | None:
        """In how many ms there is a token to take; ``None``: now."""
        bucket = self._buckets.get(key)
        return None if bucket is None else bucket.wait_ms(now_s)

    def take(self, key: str, now_s: float) -> int | None:
        """Take one token at ``now_s`` (monotonic seconds); returns ``None``, or in how many ms to come back."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, now_s)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        wait_ms = bucket.take(now_s)
        if wait_ms is not None:
            self.refused += 1
        return wait_ms


class ClaimPace:
    """How often one user, and all of one address, may claim (also with a code) and cancel orders, on this worker.

    The address "" has no limit.
    """

    def __init__(self, limits: Limits, now_s: Callable[[], float] = time.monotonic) -> None:
        self._users = RateLimiter(limits.claims)
        self._addresses = RateLimiter(limits.claimaddress)
        self._codes = RateLimiter(limits.codes)
        self._codes_of_address = RateLimiter(limits.codesaddress)
        self._cancels = RateLimiter(limits.cancels)
        self._cancels_of_address = RateLimiter(limits.canceladdress)
        self._now_s = now_s

    def __call__(self, user_id: str, address: str, coded: bool = False) -> int | None:
        """Take one claim; ``None``, or in how many ms to come back."""
        now_s = self._now_s()
        wait_ms = self._users.take(user_id, now_s)
        if wait_ms is None and coded:
            wait_ms = self._codes.take(user_id, now_s)
            if wait_ms is None and address:
                wait_ms = self._codes_of_address.take(address, now_s)
        return self._addresses.take(address, now_s) if wait_ms is None and address else wait_ms

    def cancel(self, user_id: str, address: str) -> int | None:
        """Take one cancellation of an order; ``None``, or in how many ms to come back."""
        now_s = self._now_s()
        wait_ms = self._cancels.take(user_id, now_s)
        return self._cancels_of_address.take(address, now_s) if wait_ms is None and address else wait_ms


class TrustedProxies:
    """Whose ``X-Forwarded-…`` headers are believed: the networks of ``--trusted-proxy``."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ip_network(n, strict=False) for n in networks]

    def trusts(self, address: str) -> bool:
        """Whether this peer is one of our proxies."""
        parsed = parse_address(address)
        return parsed is not None and any(parsed in n for n in self._networks if n.version == parsed.version)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The address a request came from: the nearest one that is not a trusted proxy.

        Read from the right, because a client may send an ``X-Forwarded-For`` of its own, which proxies append to.
        """
        address = peer
        if not self._networks:
            return address
        for hop in reversed(forwarded_for.split(",")):
            if not self.trusts(address) or parse_address(hop.strip()) is None:
                break
            address = hop.strip()
        return address


@lru_cache(maxsize=4096)  # the same clients ask again and again: parsing takes 10 µs, what is asked of it 1 to 20
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address (an IPv4 one mapped into IPv6 comes out as IPv4), or ``None``."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own loopback (a Unix socket's peer, without address, is too)."""
    if not address:
        return True
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback


@lru_cache(maxsize=4096)
def bucket_of(address: str) -> str:
    """The limiter's key for an address: an IPv6 user owns a whole /64."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)
