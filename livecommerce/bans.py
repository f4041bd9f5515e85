"""Bans where there is no connection to close: HTTP requests are refused, and media sessions are ended at once.

A worker that answers for a stream by HTTP, or carries its media, *watches* it: it holds the stream's room open, so
that the ban's private event is heard here whether or not anybody has a WebSocket on this worker, and it keeps the list
of bans. Pub/sub may lose an event, so the list is also read anew every second. Hot path: with the list at hand a claim
costs no question to Valkey (measured over HTTP with the loop full: 170 µs of CPU less each).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from redis.exceptions import RedisError

from livecommerce.problems import Problem
from livecommerce.room import Room
from livecommerce.tasks import stop

log = logging.getLogger(__name__)

#: how often the lists are read anew; a list this many times as old is not trusted, and Valkey is asked instead
REFRESH_S, STALE = 1.0, 3
#: a stream that nobody asked about, and that has no media here, is watched for so long
IDLE_S = 60.0
#: streams watched without having media here; beyond it the one asked about longest ago goes
MOST_WATCHED = 1000
#: bans of one stream kept here; where there are more, Valkey is asked each time
MOST_BANS = 10_000
#: a ban without end, in ms since the epoch
_FOR_EVER = 2**53


class Chat(Protocol):
    """Who knows the bans."""

    async def bans(self, stream_ids: list[str], *, most: int) -> list[Mapping[str, int] | None]:
        """Until when by user id, for each stream."""

    async def ban_until(self, stream_id: str, user_id: str) -> int | None:
        """Until when one user is banned."""


class Streams(Protocol):
    """Who knows which streams there are."""

    async def get(self, stream_id: str) -> object:
        """Raises the refusal for one that is not."""


class Rooms(Protocol):
    """Who opens rooms."""

    async def hold(self, stream_id: str) -> Room:
        """The room, open until it is released."""


class Sessions(Protocol):
    """Who carries media."""

    def session_kind(self, session_id: str) -> tuple[str, str]:
        """Raises when there is no such session."""

    async def end_session(self, session_id: str) -> None:
        """Raises when there is no such session."""


class _Watched:
    """One stream's bans, and who may have to leave."""

    def __init__(self, room: Room, wake: Callable[[], None]) -> None:
        self.room = room
        self.bans: dict[str, int] | None = None
        #: bans heard of while the list was on its way
        self.heard: dict[str, int] = {}
        self.sessions: dict[str, set[str]] = {}
        self.asked_s = 0.0
        self.read_s = float("-inf")
        self._wake = wake
        room.on_ban = self._hear

    def _hear(self, user_id: str, until_ms: int | None) -> None:
        self.heard[user_id] = _FOR_EVER if until_ms is None else until_ms
        if self.bans is not None:
            self.bans[user_id] = self.heard[user_id]
        if user_id in self.sessions:
            self._wake()

    def take(self, bans: Mapping[str, int] | None, now_s: float) -> None:
        """The list as it was read; what was heard meanwhile is newer."""
        self.bans = None if bans is None else {**bans, **self.heard}
        self.read_s = now_s

    def keep(self, heard: Mapping[str, int]) -> None:
        """What was heard, and is in no list that could be read, stays for those who have media here."""
        self.heard = {**{user_id: t for user_id, t in heard.items() if user_id in self.sessions}, **self.heard}

    def until_ms(self, user_id: str) -> int:
        """Until when, as far as is known here."""
        return max((self.bans or {}).get(user_id, 0), self.heard.get(user_id, 0))


class BanWatch:
    """The bans of the streams that this worker answers for; owns one task."""

    def __init__(
        self, chat: Chat, streams: Streams, rooms: Rooms, media: Sessions, *, now_ms: Callable[[], int]
    ) -> None:
        self._chat = chat
        self._streams = streams
        self._rooms = rooms
        self._media = media
        self._now_ms = now_ms
        self._watched: dict[str, _Watched] = {}
        self._opening: dict[str, asyncio.Task[_Watched]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="ban-watch")

    async def aclose(self) -> None:
        """Stop, and let the rooms go; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task, *self._opening.values())
        for stream_id in list(self._watched):
            self._forget(stream_id)

    async def refuse(self, stream_id: str, user_id: str) -> None:
        """Raise ``banned`` when this user is banned from this stream now, ``stream_not_found`` when there is none."""
        watched = self._watched.get(stream_id) or await self._open(stream_id)
        now_s = watched.asked_s = asyncio.get_running_loop().time()
        until_ms: int | None = watched.until_ms(user_id)
        # Whoever seems to be banned is asked about, too: nobody tells us of a ban that was lifted.
        suspect = until_ms is not None and until_ms > self._now_ms()
        if suspect or watched.bans is None or now_s - watched.read_s > STALE * REFRESH_S:
            until_ms = await self._chat.ban_until(stream_id, user_id)
        if until_ms is not None and until_ms > self._now_ms():
            raise Problem("banned", "You are banned from this stream.")

    async def attach(self, stream_id: str, user_id: str, session_id: str) -> None:
        """From now on a ban of this user ends this session; raises ``banned`` when it is too late."""
        try:
            watched = self._watched.get(stream_id) or await self._open(stream_id)
            watched.sessions.setdefault(user_id, set()).add(session_id)
            await self.refuse(stream_id, user_id)
        except BaseException:
            await self._end(session_id)
            raise

    async def _open(self, stream_id: str) -> _Watched:
        task = self._opening.get(stream_id)
        if task is None:
            task = self._opening[stream_id] = asyncio.create_task(self._open_now(stream_id), name="ban-watch-open")
            task.add_done_callback(lambda _: self._opening.pop(stream_id, None))
        return await asyncio.shield(task)

    async def _open_now(self, stream_id: str) -> _Watched:
        # First: a room must not be made for a stream that somebody invented.
        await self._streams.get(stream_id)
        idle = [(w.asked_s, s) for s, w in self._watched.items() if not w.sessions]
        if len(idle) >= MOST_WATCHED:
            self._forget(min(idle)[1])
        watched = _Watched(await self._rooms.hold(stream_id), self._wake.set)
        try:
            now_s = asyncio.get_running_loop().time()
            [bans] = await self._chat.bans([stream_id], most=MOST_BANS)
        except BaseException:
            watched.room.release()
            raise
        watched.take(bans, now_s)
        watched.asked_s = now_s  # else it is forgotten before who opened it has asked
        self._watched[stream_id] = watched
        return watched

    def _forget(self, stream_id: str) -> None:
        room = self._watched.pop(stream_id).room
        room.on_ban = None
        room.release()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time() + REFRESH_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if loop.time() >= next_s:
                    next_s = loop.time() + REFRESH_S
                    self._tidy(loop.time())
                    await self._refresh(loop.time())
                await self._end_banned()
            except Exception:
                # Whatever it was: a worker that forgets its bans would never notice again.
                log.exception("the bans could not be read or carried out")

    def _tidy(self, now_s: float) -> None:
        """Forget sessions that ended by themselves, and streams that nobody asks about."""
        for stream_id, watched in list(self._watched.items()):
            for user_id, sessions in list(watched.sessions.items()):
                sessions -= {s for s in sessions if not self._lives(s)}
                if not sessions:
                    del watched.sessions[user_id]
            if not watched.sessions and not watched.room.viewers and now_s - watched.asked_s > IDLE_S:
                self._forget(stream_id)

    async def _refresh(self, now_s: float) -> None:
        watched = dict(self._watched)
        heard = [one.heard for one in watched.values()]
        for one in watched.values():
            one.heard = {}
        found: Sequence[Mapping[str, int] | None] = [None] * len(watched)
        try:
            found = await self._chat.bans(list(watched), most=MOST_BANS) if watched else []
        except Exception as error:
            if getattr(error, "code", "") != "unavailable" and not isinstance(error, (RedisError, OSError)):
                raise
            log.info("the bans cannot be read: %s", error)
            return
        finally:
            for one, before, bans in zip(watched.values(), heard, found, strict=True):
                if bans is None:
                    one.keep(before)
        for one, bans in zip(watched.values(), found, strict=True):
            one.take(bans, now_s)
            one.room.roster.close_banned(one.bans or {}, self._now_ms())

    async def _end_banned(self) -> None:
        now_ms = self._now_ms()
        for watched in list(self._watched.values()):
            for user_id in [u for u in watched.sessions if watched.until_ms(u) > now_ms]:
                for session_id in watched.sessions.pop(user_id, ()):
                    await self._end(session_id)

    async def _end(self, session_id: str) -> None:
        if self._lives(session_id):
            await self._media.end_session(session_id)

    def _lives(self, session_id: str) -> bool:
        try:
            self._media.session_kind(session_id)
        except Exception as error:
            if getattr(error, "code", "") != "session_not_found":
                raise
            return False
        return True
