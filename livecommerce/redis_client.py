"""Connections to Valkey or Redis, and what an outside server must be like before we sell anything with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from livecommerce.joined import JoinedRedis

#: until a connection stands
CONNECT_S = 3.0
#: until a plain command is answered (scripts have their own, stated by the ScriptRunner)
COMMAND_S = 5.0
#: connections of one worker beside the joined one, for transactions; whoever needs another waits, at most WAIT_S
MAX_CONNECTIONS = 64
WAIT_S = 5.0

_NEEDED = {"valkey": (8, 0), "redis": (7, 0)}


class ServerRefused(Exception):
    """The outside server will not do; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server says of itself; ``durable`` is whether an acknowledged write survives its crash."""

    product: str
    version: str
    writable: bool
    eviction_policy: str
    durable: bool
    #: why it is not durable, or a warning; empty when all is well
    why: str


class _CancellableWrites(AbstractConnection):
    """Writes with a time limit that never swallows a cancellation.

    redis-py limits a write by ``asyncio.wait_for``, which on Python 3.11 drops a cancellation that meets the write's
    end (a task that loops over commands then never stops: seen in about half of the rounds of a stress test), and
    costs a task for each command. ``asyncio.timeout`` does neither.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Write a packed command; raises redis-py's ``TimeoutError`` when the kernel does not take it in time."""
        command_s, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(command_s):
                await super().send_packed_command(command, check_health)
        except TimeoutError as error:
            raise RedisTimeoutError("Timeout writing to socket") from error
        finally:
            self.socket_timeout = command_s


class _Tcp(_CancellableWrites, Connection):
    """Over TCP."""


class _Tls(_CancellableWrites, SSLConnection):
    """Over TLS."""


class _Unix(_CancellableWrites, UnixDomainSocketConnection):
    """Over a Unix socket."""


_CONNECTIONS = {Connection: _Tcp, SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


def make(url: str, *, command_s: float | None = COMMAND_S, max_connections: int = MAX_CONNECTIONS) -> Redis:
    """A client that asks **once**: a lost reply means "unknown", and only the caller knows if asking again is safe.

    All its commands share one connection (see :mod:`livecommerce.joined`).
    """
    pool = BlockingConnectionPool.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=command_s,
        socket_connect_timeout=CONNECT_S,
        max_connections=max_connections,
        timeout=WAIT_S,
    )
    pool.connection_class = _CONNECTIONS[pool.connection_class]
    return JoinedRedis.from_pool(pool)


def without_password(url: str) -> str:
    """The URL for people to see."""
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@", 1)


async def inspect(redis: Redis) -> ServerReport:
    """Ask a server what it is and how it keeps its data; raises redis-py's errors when it does not answer."""
    info = await redis.info("server")
    replication = await redis.info("replication")
    product = "valkey" if "valkey_version" in info else "redis"
    role = str(replication.get("role", "master"))
    try:
        settings = _texts(await redis.config_get("appendonly", "appendfsync", "maxmemory-policy"))
    except ResponseError:
        # Managed services forbid CONFIG: then nobody can promise anything.
        settings = {}
    durable, why = _durability(settings)
    return ServerReport(
        product=product,
        version=str(info.get(f"{product}_version", "0")),
        writable=role == "master",
        eviction_policy=settings.get("maxmemory-policy", "unknown"),
        durable=durable,
        why=why,
    )


async def check(redis: Redis, url: str) -> ServerReport:
    """Inspect an outside server at start; raises :class:`ServerRefused` where it cannot be used."""
    shown = without_password(url)
    try:
        report = await inspect(redis)
    except AuthenticationError as error:
        raise ServerRefused(f"{shown} refuses our name or password: {str(error).rstrip('.')}.") from error
    except (RedisError, OSError) as error:
        raise ServerRefused(f"{shown} does not answer: {str(error).rstrip('.')}.") from error
    needed = _NEEDED[report.product]
    if _numbers(report.version) < needed:
        raise ServerRefused(
            f"{shown} is {report.product.title()} {report.version}; Valkey 8 or Redis 7 is the oldest that will do."
        )
    if not report.writable:
        raise ServerRefused(f"{shown} is a read-only replica; name its primary in --redis-url.")
    if report.eviction_policy not in ("noeviction", "unknown"):
        raise ServerRefused(
            f"{shown} evicts keys when its memory is full (maxmemory-policy {report.eviction_policy}), orders among "
            "them; set maxmemory-policy noeviction."
        )
    return report


def _durability(settings: dict[str, str]) -> tuple[bool, str]:
    if not settings:
        return False, "the server does not tell its settings (CONFIG is forbidden)"
    if settings.get("appendonly") != "yes":
        return False, "appendonly is off: a crash of the server loses orders that were confirmed"
    if settings.get("appendfsync") != "always":
        return False, f"appendfsync is {settings.get('appendfsync')}: a crash may lose the last second of orders"
    return True, ""


def _texts(found: dict[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
