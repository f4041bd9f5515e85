"""The robot host: finds or makes its stream, keeps the show on the air, and runs a flash deal every minute."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from livecommerce.auth import Grant, TokenAuthority
from livecommerce.client import Client, ClientError, Event, Room
from livecommerce.demo.audience import Chatter, Crowd
from livecommerce.demo.picture import ShowPicture
from livecommerce.demo.programme import (
    CHATTERS,
    COUNTDOWN_S,
    GREETING,
    HOST_ID,
    HOST_NAME,
    ITEMS,
    OPEN_S,
    REMEMBERED,
    REST_S,
    STREAM_TITLE,
    Item,
)
from livecommerce.demo.publisher import Publisher

log = logging.getLogger(__name__)

#: waits before something refused is tried again: doubled each time, from the first to the last
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 5.0
#: something that went on this long had not failed to start
STEADY_S = 30.0
TOKEN_TTL_S = 30 * 86_400
#: the robot greets at most this often
GREET_PAUSE_S = 10.0
#: streams looked through for our own: live ones come first
PAGES, PAGE = 10, 100
#: when a new poster is sent, like the studio does: the first when the picture has settled
POSTER_FIRST_S, POSTER_EVERY_S = 3.0, 20.0


class StreamOver(Exception):
    """This stream's show is over: look for another stream, or make one."""


class RobotHost:
    """The whole demo; :meth:`run` goes on until cancelled, whatever happens to the server."""

    def __init__(self, base_url: str, tokens: TokenAuthority, session: aiohttp.ClientSession) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._session = session
        self._picture = ShowPicture(ITEMS[0].id)
        self._client = self._identify(HOST_ID, HOST_NAME)
        self._publisher = Publisher(self._client, self._picture)
        self._greeted_s = 0.0

    async def run(self) -> None:
        """One stream after the other; the next only when the last was ended."""
        await patiently("the show", self._show)

    async def _show(self) -> None:
        self._client.token = self._token(HOST_ID, HOST_NAME)
        stream_id = await self._own_stream()
        for item in ITEMS:
            await self._client.put_product(stream_id, item.id, item.product())
        async with self._client.room(stream_id) as room:
            crowd, said = Crowd(self._identify, stream_id), deque[str](maxlen=REMEMBERED)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(patiently("the picture", lambda: self._publisher.run(stream_id)))
                    tasks.create_task(patiently("the deals", lambda: self._deals(stream_id, room)))
                    tasks.create_task(patiently("the poster", lambda: self._posters(stream_id)))
                    for number, name in enumerate(CHATTERS):
                        chatter = Chatter(self._identify(f"demo-robot-{number}", name), stream_id, said)
                        tasks.create_task(patiently(name, chatter.run))
                    await self._listen(room, crowd, tasks)
            except* StreamOver as over:
                log.info("%s", over.exceptions[0])

    async def _own_stream(self) -> str:
        """The newest of our streams that has not ended (the others end), or a new one."""
        own = [s for s in await self._live_streams() if s["host"]["id"] == HOST_ID and s["state"] != "ended"]
        own.sort(key=lambda stream: int(stream["created_ms"]), reverse=True)
        for stale in own[1:]:
            await self._client.end_stream(stale["id"])
        stream = own[0] if own else await self._client.create_stream(STREAM_TITLE)
        return str(stream["id"])

    async def _live_streams(self) -> list[dict[str, Any]]:
        streams: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(PAGES):
            page = await self._client.streams(after=after, limit=PAGE)
            streams += page["items"]
            after = page["next"]
            if after is None or page["items"][-1]["state"] == "ended":
                break
        return streams

    # --- what happens in the room ---------------------------------------------------------------------------------

    async def _listen(self, room: Room, crowd: Crowd, tasks: asyncio.TaskGroup) -> None:
        try:
            async for event in room:
                if event.type == "joined":
                    self._picture.deal_open = any(deal["state"] == "open" for deal in event.data["deals"])
                    if room.reconnects:
                        # The worker that died may have been the one with our media too. Publishing once too often
                        # only replaces a publisher; waiting until the server notices costs viewers five seconds.
                        self._publisher.again()
                elif not room.is_history(event):
                    await self._react(event, room, crowd, tasks)
        except ClientError as error:
            raise StreamOver(f"the room was lost: {error}") from error
        raise StreamOver("the stream has ended")

    async def _react(self, event: Event, room: Room, crowd: Crowd, tasks: asyncio.TaskGroup) -> None:
        if event.type == "stream.ended":
            raise StreamOver("somebody ended the stream")
        if event.type == "stream.interrupted":
            self._publisher.again()
        elif event.type == "deal.opened":
            self._picture.deal_open = True
            tasks.create_task(crowd.buy(event.data["deal"]["id"]))
        elif event.type in ("deal.closed", "deal.cancelled", "deal.sold_out"):
            self._picture.deal_open = False
        elif event.type == "chat.message" and not event.data["user"]["id"].startswith("demo-"):
            await self._greet(room, event.data["user"]["name"])

    async def _greet(self, room: Room, name: str) -> None:
        now_s = time.monotonic()
        if now_s - self._greeted_s >= GREET_PAUSE_S:
            self._greeted_s = now_s
            await self._say(room, GREETING.format(name=name))

    # --- what the host does -----------------------------------------------------------------------------------------

    async def _deals(self, stream_id: str, room: Room) -> None:
        number = random.randrange(len(ITEMS))
        while True:
            item = ITEMS[number % len(ITEMS)]
            await self._round(stream_id, room, item)
            number += 1
            upcoming = ITEMS[number % len(ITEMS)]
            await self._present(stream_id, upcoming)
            await self._say(room, f"Next: {upcoming.title}. {upcoming.pitch}")
            await asyncio.sleep(REST_S)

    async def _round(self, stream_id: str, room: Room, item: Item) -> None:
        await self._present(stream_id, item)
        server_ms = (await room.do("ping"))["server_ms"]
        await self._client.create_deal(stream_id, item.deal(server_ms + COUNTDOWN_S * 1000))
        await self._say(room, f"Flash deal on the {item.title.lower()} in {COUNTDOWN_S} seconds!")
        await asyncio.sleep(COUNTDOWN_S + OPEN_S + 2)

    async def _posters(self, stream_id: str) -> None:
        await asyncio.sleep(POSTER_FIRST_S)
        while True:
            jpeg = self._picture.poster()
            if jpeg is not None:
                await self._client.put_poster(stream_id, jpeg)
            await asyncio.sleep(POSTER_EVERY_S)

    async def _present(self, stream_id: str, item: Item) -> None:
        self._picture.scene = item.id
        await self._client.pin_product(stream_id, item.id)

    async def _say(self, room: Room, text: str) -> None:
        try:
            await room.chat(text)
        except ClientError as error:
            log.debug("not said: %s", error)

    # --- who is who -------------------------------------------------------------------------------------------------

    def _token(self, user_id: str, name: str) -> str:
        can = [Grant.WATCH, Grant.CHAT, Grant.BUY] + ([Grant.HOST] if user_id == HOST_ID else [])
        return self._tokens.mint(user_id, name, can, ttl_s=TOKEN_TTL_S)

    def _identify(self, user_id: str, name: str) -> Client:
        return Client(self._base_url, token=self._token(user_id, name), session=self._session)


async def patiently(name: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again: at once after a steady run, with backoff while it is refused, until cancelled."""
    backoff_s, loop = FIRST_BACKOFF_S, asyncio.get_running_loop()
    while True:
        started_s = loop.time()
        try:
            await attempt()
            backoff_s = FIRST_BACKOFF_S
        except ClientError as error:
            log.info("%s: %s", name, error)
        if loop.time() - started_s > STEADY_S:
            backoff_s = FIRST_BACKOFF_S
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1))
        backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
