"""Is this worker alive, and may it take traffic?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from livecommerce.context import CONTEXT
from livecommerce.http.answers import json_answer
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.http.metrics import CONTENT_TYPE, metrics
from livecommerce.problems import Problem

#: an orchestrator asks every second or two; a Valkey that needs longer is not one to send people to
_TIMEOUT_S = 2.0
_PROBE_TTL_MS = 5_000

#: set to True by the worker as it begins to stop: load balancers then look elsewhere
DRAINING: web.AppKey[list[bool]] = web.AppKey("draining", list)


class Alive(msgspec.Struct, frozen=True):
    """This worker runs."""

    worker: str
    state: str = "alive"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """This worker may take traffic; ``durable`` says whether an answered claim survives a crash of Valkey, and why."""

    worker: str
    state: str = "ready"
    durable: bool
    why: str


def drain(app: web.Application) -> None:
    """Let ``/readyz`` refuse from now on: the worker is about to stop."""
    app[DRAINING][:] = [True]


async def healthz(request: web.Request) -> web.Response:
    """``GET /healthz``: the loop runs; says nothing about Valkey, so that nobody restarts workers for its sake."""
    return json_answer(Alive(request.app[CONTEXT].worker_id), headers={"Cache-Control": "no-store"})


async def readyz(request: web.Request) -> web.Response:
    """``GET /readyz``."""
    context = request.app[CONTEXT]
    if request.app[DRAINING]:
        raise Problem("unavailable", "This worker is stopping.")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            durable, why = await examine(context.redis, context.worker_id)
    except TimeoutError:
        raise Problem("unavailable", f"Valkey did not answer within {_TIMEOUT_S:.0f} s.") from None
    except ResponseError as error:
        # MISCONF, OOM, READONLY: it answers, but takes no writes
        raise Problem("unavailable", f"Valkey takes no writes ({str(error).partition(' ')[0]}).") from error
    except (RedisError, OSError) as error:
        raise Problem("unavailable", "Valkey cannot be reached.") from error
    ready = Ready(worker=context.worker_id, durable=durable, why=why)
    return json_answer(ready, headers={"Cache-Control": "no-store"})


async def examine(redis: Redis, worker_id: str) -> tuple[bool, str]:
    """Write to Valkey and read how it keeps things: (durable, why); raises what makes it unusable."""
    await redis.set(f"lc:ready:{worker_id}", "1", px=_PROBE_TTL_MS)
    memory = await _info(redis, "memory")
    policy = memory.get("maxmemory_policy", "unknown")
    if policy not in ("noeviction", "unknown"):
        raise Problem("unavailable", f"Valkey may evict keys (maxmemory-policy {policy}); set it to noeviction.")
    persistence = await _info(redis, "persistence")
    if str(persistence.get("aof_enabled", "0")) != "1":
        return False, "appendonly is off: a crash of Valkey forgets everything since its last snapshot"
    if persistence.get("aof_last_write_status", "ok") != "ok":
        raise Problem("unavailable", "Valkey could not write its append-only file.")
    try:
        answer = await redis.config_get("appendfsync")
    except ResponseError:
        return False, "appendonly is on, but the server does not tell its appendfsync"
    fsync = str(_decoded(answer).get("appendfsync", "unknown"))
    if fsync == "always":
        return True, "appendonly with appendfsync always: fsync before every answer"
    return False, f"appendfsync {fsync}: a crash of Valkey's machine may forget about the last second"


async def _info(redis: Redis, section: str) -> dict[str, Any]:
    return _decoded(await redis.info(section))


def _decoded(answer: Mapping[Any, Any]) -> dict[str, Any]:
    """Names and texts as str, however the client was told to decode."""
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


ENDPOINTS = (
    Endpoint("GET", "/healthz", healthz, "Whether the worker is alive", "operation", {200: (Body(Alive),)}),
    Endpoint(
        "GET",
        "/readyz",
        readyz,
        "Whether the worker may take traffic: Valkey reachable, writable, and never evicting",
        "operation",
        {200: (Body(Ready),)},
        refusals=("unavailable",),
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        "Prometheus metrics of all workers on this machine",
        "operation",
        {200: (Body(None, CONTENT_TYPE.partition(";")[0]),)},
    ),
)
