"""The composition root: builds a worker's parts, starts them in order, and closes them in the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol

from redis.asyncio import Redis

from chat.service import ChatService, Pace
from deals.service import DealService
from livecommerce import addresses, redis_client
from livecommerce.analytics import Analytics
from livecommerce.auth import TokenAuthority
from livecommerce.clock import ValkeyClock
from livecommerce.context import Context
from livecommerce.http import placement
from livecommerce.hub import Hub
from livecommerce.ids import new_id
from livecommerce.limits import ClaimPace, Limits, Rate
from livecommerce.media_state import MediaReporter, Sweeper
from livecommerce.payments import payments_of
from livecommerce.poll_clock import PollClock
from livecommerce.presence import Presence
from livecommerce.scripting import ScriptRunner
from livecommerce.settings import Settings
from livecommerce.token_keys import PublicKey, read_public_keys
from livecommerce.worker_spec import WorkerSpec
from livecommerce.workers import WorkerDirectory
from streams.relay import Relay
from streams.service import StreamService


class _Part(Protocol):
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def compose(stack: AsyncExitStack, spec: WorkerSpec, *, worker_id: str, address: str) -> Context:
    """A worker's context, everything in it started; the stack closes it, the last started first."""
    settings = spec.settings
    redis = redis_client.make(spec.valkey_url)
    stack.push_async_callback(redis.aclose)
    run_script = ScriptRunner(redis)
    clock = ValkeyClock(redis)
    streams = StreamService(redis, run_script, new_id=new_id)
    reporter = MediaReporter(streams, worker_id=worker_id)
    relay = _relay(reporter, spec, worker_id)
    reporter.end_media = relay.end_stream
    workers = WorkerDirectory(redis, worker_id=worker_id, address=address)
    tokens = TokenAuthority(settings.secret, public_keys=_public_keys(settings))
    payments, of_payments = payments_of(settings, redis, tokens, address)
    buyers = ClaimPace(settings.limit)
    deals = DealService(
        redis,
        run_script,
        payments,
        now_ms=clock.now_ms,
        new_id=new_id,
        admit=buyers,
        admit_cancel=buyers.cancel,
        ticket_key=tokens.derive("claim-tickets"),
    )
    chat = chat_of(redis, run_script, settings.limit)
    hub = Hub(redis, run_script, follows_replication=bool(settings.redis_url))
    hub.on_released = deals.released
    presence = Presence(redis, hub, worker_id=worker_id, now_ms=clock.now_ms)
    analytics = Analytics(redis, run_script, hub, presence, deals, now_ms=clock.now_ms)
    polls = PollClock(hub, chat.polls)
    # Media before its reporter: what stops with the relay is still told.
    rooms: tuple[_Part, ...] = (hub, presence, analytics, polls)
    media: tuple[_Part, ...] = (reporter, relay, Sweeper(streams, workers))
    parts: tuple[_Part, ...] = (clock, workers, *of_payments, deals, *rooms, *media)
    for part in parts:
        stack.push_async_callback(part.aclose)
        await part.start()
    context = Context(
        settings=settings,
        worker_id=worker_id,
        redis=redis,
        run_script=run_script,
        clock=clock,
        tokens=tokens,
        workers=workers,
        streams=streams,
        relay=relay,
        deals=deals,
        chat=chat,
        hub=hub,
        presence=presence,
        analytics=analytics,
    )
    reporter.keep_home = partial(placement.keep_home, context)
    return context


def chat_of(redis: Redis, run_script: ScriptRunner, limit: Limits) -> ChatService:
    """The chat of every stream, with the limits that the operator set."""
    pace, staff_pace = _paces(limit.chat)
    return ChatService(
        redis,
        run_script,
        new_id=new_id,
        pace=pace,
        staff_pace=staff_pace,
        room_pace=_pace(limit.chatroom),
        address_pace=_pace(limit.chataddress),
    )


def _relay(reporter: MediaReporter, spec: WorkerSpec, worker_id: str) -> Relay:
    settings = spec.settings
    return Relay(
        reporter,
        worker_id=worker_id,
        bind_host=addresses.media_bind(settings, spec.advertise),
        port=settings.media_port + spec.index if settings.media_port else 0,
        advertise=spec.advertise,
        reread=addresses.reread(settings, spec.advertise),
        max_publishers=settings.limit.publishers,
        max_viewers=settings.limit.viewers,
    )


def _paces(rate: Rate) -> tuple[Pace, Pace]:
    """What chat calls a rate, and that of hosts and moderators, who answer many."""
    pace = _pace(rate)
    return pace, Pace(max(1, pace.interval_ms // 10), 4 * rate.burst)


def _pace(rate: Rate) -> Pace:
    return Pace(max(1, round(1000 / rate.per_second)), rate.burst)


def _public_keys(settings: Settings) -> Sequence[PublicKey]:
    return read_public_keys(settings.token_public_key) if settings.token_public_key else ()
