"""Who is asking, how often, and what they may touch. Checks run in the order 401, 404, 403, then the body's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from livecommerce.auth import Grant, Identity
from livecommerce.bans import BanWatch
from livecommerce.context import CONTEXT
from livecommerce.http.bodies import path_id
from livecommerce.http.hops import HOP, Hop, SignedHops
from livecommerce.limits import Limits, RateLimiter, TrustedProxies, bucket_of, is_loopback
from livecommerce.problems import Problem

if TYPE_CHECKING:
    from streams.models import Stream


@dataclass(frozen=True)
class Gate:
    """What admission needs: the limiters, and whose forwarding headers are believed."""

    proxies: TrustedProxies
    hops: SignedHops
    by_address: RateLimiter
    by_user: RateLimiter
    guests: RateLimiter
    forgeries: RateLimiter

    @classmethod
    def of(cls, limits: Limits, proxies: TrustedProxies, hops: SignedHops) -> Gate:
        """A gate with empty limiters."""
        return cls(
            proxies,
            hops,
            RateLimiter(limits.address),
            RateLimiter(limits.user),
            RateLimiter(limits.guest, capacity=10_000),
            RateLimiter(limits.forgeries, capacity=10_000),
        )


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)
BANS: web.AppKey[BanWatch] = web.AppKey("bans", BanWatch)


def client_address(request: web.Request) -> str:
    """The address of who asks, through our own workers and trusted proxies."""
    hop: Hop | None = request.get(HOP)
    if hop is not None:
        return hop.client
    forwarded = request.headers.getall("X-Forwarded-For", ())
    peer, proxies = request.remote or "", request.app[GATE].proxies
    return proxies.client(peer, ",".join(forwarded)) if forwarded else peer


def limited_address(request: web.Request) -> str:
    """The address that limits of addresses count for; "" on loopback, which has none."""
    address = client_address(request)
    return "" if is_loopback(address) else bucket_of(address)


def admit(request: web.Request, limiter: RateLimiter) -> None:
    """Take one token of the asker's address; raises ``rate_limited``. Loopback is never limited."""
    bucket = limited_address(request)
    wait_ms = limiter.take(bucket, time.monotonic()) if bucket else None
    if wait_ms is not None:
        raise Problem("rate_limited", "Too many requests from this address.", retry_after_ms=wait_ms)


def authenticate(request: web.Request) -> Identity:
    """The bearer of the request's token; raises the three ``token_…`` refusals and ``rate_limited``."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem("token_required", "Send a token: Authorization: Bearer <token>.")
    identity = request.app[CONTEXT].tokens.verify(token.strip())
    # A hop was counted by the worker it came through.
    if Grant.ADMIN not in identity.can and request.get(HOP) is None:
        wait_ms = request.app[GATE].by_user.take(identity.user_id, time.monotonic())
        if wait_ms is not None:
            raise Problem("rate_limited", "You are asking too often.", retry_after_ms=wait_ms)
    return identity


def require(allowed: bool, detail: str) -> None:
    """Raise ``forbidden`` unless allowed."""
    if not allowed:
        raise Problem("forbidden", detail)


async def find_stream(request: web.Request) -> Stream:
    """The stream the path names; raises ``stream_not_found``."""
    return await request.app[CONTEXT].streams.get(path_id(request, "stream_id"))


async def controlled_stream(request: web.Request) -> Stream:
    """The stream the path names, for who runs it: 401, then 404, then 403."""
    identity = authenticate(request)
    stream = await find_stream(request)
    require(identity.controls(stream.id, stream.host.id), "Only the host of this stream may do this.")
    return stream


def refuse_ended(stream: Stream) -> None:
    """Raise ``stream_ended`` for what an ended stream no longer does."""
    if stream.state == "ended":
        raise Problem("stream_ended", "The stream has ended.")


async def refuse_banned(request: web.Request, stream_id: str, user_id: str) -> None:
    """Raise ``banned`` when this user is banned from this stream now; ``stream_not_found`` when there is none."""
    await request.app[BANS].refuse(stream_id, user_id)
