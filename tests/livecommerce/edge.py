"""Workers for tests of the HTTP edge: real Valkey, catalogue, deals and chat; relay and rooms are small fakes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from redis.asyncio import Redis

from chat.service import ChatService
from deals.payments import PaymentProvider, SimulatedPayments
from deals.service import DealService
from livecommerce.analytics import Analytics
from livecommerce.auth import TokenAuthority
from livecommerce.clock import ValkeyClock
from livecommerce.context import Context
from livecommerce.http.access import GATE
from livecommerce.http.app import build_app
from livecommerce.http.hops import SignedHops
from livecommerce.hub import Hub
from livecommerce.ids import new_id
from livecommerce.limits import ClaimPace, Limits, Rate
from livecommerce.scripting import ScriptRunner
from livecommerce.settings import Settings
from livecommerce.workers import WorkerDirectory
from streams.relay_errors import BadSdp, NotHere, SessionNotFound
from streams.service import StreamService

SECRET = "a-secret-of-the-tests-with-32-bytes-at-least"
#: a relay that answers takes this for an offer; anything else is bad SDP
OFFER = "v=0\r\n(an offer)\r\n"
#: what no test about something else should meet
GENEROUS = Limits(
    address=Rate(10_000, 10_000), guest=Rate(10_000, 10_000), user=Rate(10_000, 10_000), claims=Rate(10_000, 10_000)
)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 5) -> None:
    """Wait for a condition; raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.005)


@dataclass(frozen=True)
class FakeSession:
    """What the relay answers an offer with."""

    id: str
    answer: str
    etag: str


@dataclass(frozen=True)
class FakePatchAnswer:
    """What the relay answers a PATCH with."""

    status: int
    body: str
    etag: str


@dataclass
class FakeRelay:
    """Sessions without media."""

    worker_id: str
    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)
    patched: list[tuple[str, str, str | None]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def publish(self, stream_id: str, offer: str) -> FakeSession:
        """WHIP."""
        return self._session("publish", stream_id, offer)

    def pull_by(self, exchange: object) -> None:
        """Pulls nothing: every viewer is passed on to the stream's home."""

    async def view(self, stream_id: str, offer: str, *, pull: bool = False) -> FakeSession:
        """WHEP."""
        if pull:
            raise NotHere("This relay pulls nothing.")
        return self._session("view", stream_id, offer)

    def _session(self, kind: str, stream_id: str, offer: str) -> FakeSession:
        if offer == "explode":
            raise RuntimeError("a defect of the relay, with a secret in it")
        if offer != OFFER:
            raise BadSdp("This is no offer.")
        session_id = f"{self.worker_id}.{new_id()}"
        self.sessions[session_id] = (kind, stream_id)
        return FakeSession(session_id, "v=0\r\n(an answer)\r\n", '"first"')

    async def patch(self, session_id: str, body: str, if_match: str | None) -> FakePatchAnswer:
        """Trickle, or restart when the body says so."""
        self.session_kind(session_id)
        self.patched.append((session_id, body, if_match))
        if "ice-ufrag" in body:
            return FakePatchAnswer(200, "a=ice-ufrag:new\r\n", '"second"')
        return FakePatchAnswer(204, "", '"first"')

    async def end_session(self, session_id: str) -> None:
        """End one."""
        self.session_kind(session_id)
        del self.sessions[session_id]

    def session_kind(self, session_id: str) -> tuple[str, str]:
        """What a session is for."""
        if session_id not in self.sessions:
            raise SessionNotFound("There is no such session.")
        return self.sessions[session_id]

    def stats(self, stream_id: str, *, viewers: int = 0) -> dict[str, Any]:
        """Nothing: there is no media."""
        return {}

    async def end_stream(self, stream_id: str) -> None:
        """End all of a stream."""
        self.ended.append(stream_id)
        self.sessions = {k: v for k, v in self.sessions.items() if v[1] != stream_id}


class FakePresence:
    """Three are always watching."""

    async def count(self, stream_id: str) -> int:
        """How many watch."""
        return 3


@dataclass
class Answer:
    """What came back, decoded when it is JSON."""

    status: int
    headers: Any
    body: Any
    text: str
    raw: bytes

    @property
    def code(self) -> str:
        """The problem's code, after checking that it is a whole problem document."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert self.body["status"] == self.status
        assert {"type", "title", "status", "code", "detail"} <= set(self.body)
        return str(self.body["code"])


@dataclass
class EdgeWorker:
    """One running worker and a client of it."""

    context: Context
    app: web.Application
    url: str
    relay: FakeRelay
    client: aiohttp.ClientSession
    server: TestServer

    async def ask(
        self, method: str, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **how: Any
    ) -> Answer:
        """One request."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, self.url + path, headers=headers, allow_redirects=False, **how
        ) as response:
            raw, text = await response.read(), await response.text(errors="replace")
            is_json = "json" in response.content_type and method != "HEAD"
            body = await response.json(content_type=None) if is_json else text
            return Answer(response.status, response.headers, body, text, raw)

    def app_hops(self) -> SignedHops:
        """What signs this worker's requests to others."""
        return self.app[GATE].hops

    def token(self, user_id: str, *grants: str, stream: str = "*", name: str = "Ann", ttl_s: int = 600) -> str:
        """A token of this group's secret."""
        return self.context.tokens.mint(user_id, name, grants, stream=stream, ttl_s=ttl_s)

    async def stream(self, host: str = "host") -> str:
        """A stream of this host; its id."""
        answer = await self.ask("POST", "/api/v1/streams", token=self.token(host, "host"), json={"title": "A show"})
        assert answer.status == 201, answer
        return str(answer.body["id"])

    async def go_live(self, stream_id: str, host: str = "host") -> str:
        """Publish, and let the media be seen; the session's path."""
        answer = await self.offer(f"/whip/{stream_id}", self.token(host, "host"))
        assert answer.status == 201, answer
        location = str(answer.headers["Location"])
        session_id = location.rpartition("/")[2]
        owner = session_id.partition(".")[0]
        await self.context.streams.went_live(stream_id, worker_id=owner, session_id=session_id)
        return location

    async def offer(self, path: str, token: str | None, offer: str = OFFER, kind: str = "application/sdp") -> Answer:
        """POST an offer."""
        return await self.ask("POST", path, token=token, data=offer, headers={"Content-Type": kind})


@contextlib.asynccontextmanager
async def edge_worker(
    redis: Redis,
    *,
    limits: Limits = GENEROUS,
    worker_id: str | None = None,
    payments: PaymentProvider | None = None,
    **settings: Any,
) -> AsyncIterator[EdgeWorker]:
    """Run one worker; several on one Valkey are a group."""
    worker_id = worker_id or new_id("w")
    port = unused_port()
    run_script, clock, relay = ScriptRunner(redis), ValkeyClock(redis), FakeRelay(worker_id)
    await clock.measure()
    buyers = ClaimPace(limits)
    deals = DealService(
        redis,
        run_script,
        payments or SimulatedPayments(redis, development=True),
        now_ms=clock.now_ms,
        new_id=new_id,
        admit=buyers,
        admit_cancel=buyers.cancel,
        ticket_key=b"the same on every worker",
    )
    hub, presence = Hub(redis, run_script), cast(Any, FakePresence())
    context = Context(
        settings=Settings(secret=SECRET, port=port, limit=limits, **settings),
        worker_id=worker_id,
        redis=redis,
        run_script=run_script,
        clock=clock,
        tokens=TokenAuthority(SECRET),
        workers=WorkerDirectory(redis, worker_id=worker_id, address=f"http://127.0.0.1:{port}"),
        streams=StreamService(redis, run_script, new_id=new_id),
        relay=cast(Any, relay),
        deals=deals,
        chat=ChatService(redis, run_script, new_id=new_id),
        hub=hub,
        presence=presence,
        analytics=Analytics(redis, run_script, hub, presence, deals, now_ms=clock.now_ms),
    )
    app = build_app(context)
    server = TestServer(app, port=port)
    await context.workers.start()
    await context.hub.start()
    await server.start_server()
    async with aiohttp.ClientSession() as client:
        try:
            yield EdgeWorker(context, app, f"http://127.0.0.1:{port}", relay, client, server)
        finally:
            await server.close()
            await context.hub.aclose()
            await context.deals.aclose()
            await context.workers.aclose()
