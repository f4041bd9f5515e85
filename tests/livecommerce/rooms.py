"""Workers with real rooms for tests: real Valkey, catalogue, deals and chat; only the relay is a fake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp.test_utils import TestServer, unused_port

from deals.models import DealSpec, Money
from deals.payments import SimulatedPayments
from deals.service import DealService
from livecommerce import redis_client
from livecommerce.analytics import Analytics
from livecommerce.auth import TokenAuthority
from livecommerce.clock import ValkeyClock
from livecommerce.composition import chat_of
from livecommerce.context import Context
from livecommerce.http.app import build_app
from livecommerce.hub import Hub
from livecommerce.ids import new_id
from livecommerce.limits import ClaimPace
from livecommerce.poll_clock import PollClock
from livecommerce.presence import Presence
from livecommerce.scripting import ScriptRunner
from livecommerce.settings import Settings
from livecommerce.workers import WorkerDirectory
from streams.models import Host
from streams.service import StreamService
from tests.livecommerce.edge import GENEROUS, SECRET, FakeRelay

#: the longest any test waits for what should take milliseconds
PATIENCE_S = 15.0


async def eventually(condition: Callable[[], bool], what: str = "", timeout_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.005)


@dataclass
class Viewer:
    """A WebSocket client that keeps everything it was told, in order."""

    socket: aiohttp.ClientWebSocketResponse
    events: list[dict[str, Any]] = field(default_factory=list)
    replies: dict[int | None, dict[str, Any]] = field(default_factory=dict)
    #: every message of every frame, and how many messages each frame had
    frames: list[int] = field(default_factory=list)
    joined: dict[str, Any] = field(default_factory=dict)
    closed: int | None = None
    _next_id: int = 1

    async def post(self, verb: str, **fields: Any) -> int:
        """Send a command; its id."""
        number, self._next_id = self._next_id, self._next_id + 1
        message = {"id": number, "do": verb} | fields
        if self.socket.protocol == "livecommerce.v1.msgpack":
            await self.socket.send_bytes(msgspec.msgpack.encode(message))
        else:
            await self.socket.send_str(msgspec.json.encode(message).decode())
        return number

    async def do(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Send a command and wait for its reply."""
        return await self.reply(await self.post(verb, **fields))

    async def reply(self, number: int | None) -> dict[str, Any]:
        """The reply to a command."""
        await self.until(lambda: number in self.replies, f"a reply to {number}")
        return self.replies[number]

    async def event(self, kind: str) -> dict[str, Any]:
        """The first event of this type, already here or still to come."""
        await self.until(lambda: any(e["type"] == kind for e in self.events), kind)
        return next(e for e in self.events if e["type"] == kind)

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Read until a condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.closed is None, f"closed with {self.closed} while waiting for {what}"
                await self.read()

    async def until_closed(self) -> int:
        """Read until the server closes; the close code."""
        async with asyncio.timeout(PATIENCE_S):
            while self.closed is None:
                await self.read()
        return self.closed

    async def read(self) -> None:
        """One frame."""
        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            frame = msgspec.json.decode(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            frame = msgspec.msgpack.decode(message.data)
        else:
            # What the frame says: aiohttp's close_code is 1006 where our answer to it came too late.
            said = message.data if message.type is aiohttp.WSMsgType.CLOSE else self.socket.close_code
            self.closed = said or 1006
            return
        items = frame if isinstance(frame, list) else [frame]
        self.frames.append(len(items))
        for item in items:
            if "re" in item:
                self.replies[item["re"]] = item
            else:
                self.events.append(item)

    @property
    def numbered(self) -> list[dict[str, Any]]:
        """The numbered events."""
        return [e for e in self.events if "offset" in e]

    @property
    def offsets(self) -> list[int]:
        """Their offsets."""
        return [e["offset"] for e in self.numbered]

    @property
    def texts(self) -> list[str]:
        """What was said."""
        return [e["data"]["text"] for e in self.events if e["type"] == "chat.message"]


@dataclass
class RoomWorker:
    """One running worker with rooms."""

    context: Context
    url: str
    client: aiohttp.ClientSession
    #: kept until the client is closed: aiohttp complains of a connection that is collected before
    _sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    def token(self, user_id: str, *can: str, stream: str = "*", ttl_s: int = 600) -> str:
        """A token; without grants it may watch, chat and buy."""
        return self.context.tokens.mint(
            user_id, user_id.title(), can or ("watch", "chat", "buy"), stream=stream, ttl_s=ttl_s
        )

    async def stream(self, host: str = "host") -> str:
        """A stream; its id."""
        return (await self.context.streams.create("A show", Host(host, host.title()))).id

    async def connect(self, stream_id: str, protocol: str | None = "livecommerce.v1.json", **how: Any) -> Viewer:
        """A connection that has not joined."""
        socket = await self.client.ws_connect(
            f"{self.url}/ws/{stream_id}",
            protocols=(protocol,) if protocol else (),
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            **how,
        )
        self._sockets.append(socket)
        return Viewer(socket)

    async def join(
        self,
        stream_id: str,
        user_id: str = "ann",
        *can: str,
        protocol: str | None = "livecommerce.v1.json",
        **fields: Any,
    ) -> Viewer:
        """A viewer that has joined."""
        viewer = await self.connect(stream_id, protocol)
        reply = await viewer.do("join", token=self.token(user_id, *can), **fields)
        assert "ok" in reply, reply
        viewer.joined = reply["ok"]
        return viewer

    async def host(self, stream_id: str) -> Viewer:
        """The stream's host, joined."""
        return await self.join(stream_id, "host", "watch", "chat", "buy", "host")

    async def say(self, stream_id: str, *texts: str, user: str = "robot") -> None:
        """Messages by somebody whom no rate limits."""
        for text in texts:
            await self.context.run_script(
                "return emit(KEYS[1], KEYS[2], now_ms(), 'chat.message', ARGV[1])",
                [f"lc:{{{stream_id}}}:room", f"lc:{{{stream_id}}}:log"],
                [
                    msgspec.json.encode(
                        {"id": new_id("m"), "user": {"id": user, "name": user, "roles": []}, "text": text}
                    )
                ],
            )


@contextlib.asynccontextmanager
async def room_worker(
    valkey_url: str,
    *,
    linger_s: float = 30.0,
    follows_replication: bool = False,
    command_s: float = redis_client.COMMAND_S,
    **settings: Any,
) -> AsyncIterator[RoomWorker]:
    """Run one worker with its own connections to Valkey (which may take ``command_s``); several are a group."""
    worker_id, port = new_id("w"), unused_port()
    redis = redis_client.make(valkey_url, command_s=command_s)
    run_script, clock = ScriptRunner(redis, timeout_s=command_s), ValkeyClock(redis)
    hub = Hub(redis, run_script, linger_s=linger_s, follows_replication=follows_replication)
    buyers = ClaimPace(settings.get("limit", GENEROUS))
    deals = DealService(
        redis,
        run_script,
        SimulatedPayments(redis, development=True),
        now_ms=clock.now_ms,
        new_id=new_id,
        admit=buyers,
        admit_cancel=buyers.cancel,
    )
    presence = Presence(redis, hub, worker_id=worker_id, now_ms=clock.now_ms)
    context = Context(
        settings=Settings(
            **{"secret": SECRET, "port": port, "public_url": "https://shop.example", "limit": GENEROUS} | settings
        ),
        worker_id=worker_id,
        redis=redis,
        run_script=run_script,
        clock=clock,
        tokens=TokenAuthority(SECRET),
        workers=WorkerDirectory(redis, worker_id=worker_id, address=f"http://127.0.0.1:{port}"),
        streams=StreamService(redis, run_script, new_id=new_id),
        relay=cast(Any, FakeRelay(worker_id)),
        deals=deals,
        chat=chat_of(redis, run_script, settings.get("limit", GENEROUS)),
        hub=hub,
        presence=presence,
        analytics=Analytics(redis, run_script, hub, presence, deals, now_ms=clock.now_ms),
    )
    server = TestServer(build_app(context), port=port)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        for part in (
            clock,
            context.hub,
            context.presence,
            context.analytics,
            PollClock(context.hub, context.chat.polls),
        ):
            stack.push_async_callback(part.aclose)
            await part.start()
        stack.push_async_callback(context.deals.aclose)
        await server.start_server()
        stack.push_async_callback(server.close)
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30))
        )
        stack.push_async_callback(hub.close_all, 3001)
        yield RoomWorker(context, f"http://127.0.0.1:{port}", client)


async def a_claim(worker: RoomWorker) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A command that claims a unit of another stream's deal, always under one key; one under another key was made."""
    stream_id = await worker.stream()
    spec = DealSpec("Mug", Money(500, "EUR"), stock=2, per_buyer_limit=2, duration_s=60, hold_s=60)
    deal = await worker.context.deals.create(stream_id, spec)
    await worker.context.deals.open(stream_id, deal.id)
    dan = await worker.join(stream_id, "dan")
    assert "ok" in await dan.do("deal.claim", deal_id=deal.id, units=1, key="before")
    return lambda: dan.do("deal.claim", deal_id=deal.id, units=1, key="k")
