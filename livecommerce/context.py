"""The composition: everything a request may need, built once a worker (livecommerce/worker.py) and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from chat.service import ChatService
    from deals.service import DealService
    from livecommerce.analytics import Analytics
    from livecommerce.auth import TokenAuthority
    from livecommerce.clock import ValkeyClock
    from livecommerce.hub import Hub
    from livecommerce.presence import Presence
    from livecommerce.scripting import ScriptRunner
    from livecommerce.settings import Settings
    from livecommerce.workers import WorkerDirectory
    from streams.relay import Relay
    from streams.service import StreamService


@dataclass(frozen=True)
class Context:
    """One worker's parts; the app owns none of them: who built them starts and closes them."""

    settings: Settings
    worker_id: str
    redis: Redis
    run_script: ScriptRunner
    clock: ValkeyClock
    tokens: TokenAuthority
    workers: WorkerDirectory
    streams: StreamService
    relay: Relay
    deals: DealService
    chat: ChatService
    hub: Hub
    presence: Presence
    analytics: Analytics


#: where handlers find the context: ``request.app[CONTEXT]``
CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
