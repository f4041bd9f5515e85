"""What can be done in a room's chat: say, take back, ban, announce."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chat import keys, scripts
from chat.errors import Banned, MessageNotFound, RateLimited, TextRefused, Unavailable
from chat.models import Author, Message, Sent, clean_text, is_blocked
from chat.scripts import RunScript


class Pace(msgspec.Struct, frozen=True):
    """How fast one user may talk: ``burst`` messages at once, then one each ``interval_ms``."""

    interval_ms: int
    burst: int


#: the stated defaults; hosts and moderators answer many
PACE = Pace(interval_ms=1000, burst=5)
STAFF_PACE = Pace(interval_ms=100, burst=20)


class ChatService:
    """The chat of every stream; holds no state, so any worker may be asked."""

    def __init__(
        self,
        redis: Redis,
        run_script: RunScript,
        *,
        new_id: Callable[[str], str],
        pace: Pace = PACE,
        staff_pace: Pace = STAFF_PACE,
        blocked_words: Iterable[str] = (),
    ) -> None:
        self._redis = redis
        self._run_script = run_script
        self._new_id = new_id
        self._pace = pace
        self._staff_pace = staff_pace
        self._blocked_words = tuple(blocked_words)

    async def send(
        self, stream_id: str, author: Author, text: str, *, reply_to: str | None = None, key: str | None = None
    ) -> Sent:
        """Say something; the same ``key`` (for ten minutes) says it once and finds the same message.

        Raises :class:`TextRefused`, :class:`Banned`, :class:`RateLimited` and, for ``reply_to``,
        :class:`MessageNotFound`.
        """
        text = clean_text(text)
        if is_blocked(text, self._blocked_words):
            raise TextRefused("This message has a word that is not welcome here.")
        message = Message(self._new_id("m"), author, text, reply_to)
        pace = self._staff_pace if author.roles else self._pace
        code, *rest = await self._run(
            scripts.SEND,
            [
                keys.room(stream_id),
                keys.log(stream_id),
                keys.messages(stream_id),
                keys.bans(stream_id),
                keys.rate(stream_id, author.id),
                keys.sent(stream_id, author.id, key or ""),
            ],
            [
                author.id,
                message.id,
                msgspec.json.encode(message),
                "0" if key is None else "1",
                keys.KEY_TTL_MS,
                pace.interval_ms,
                pace.burst,
                keys.MESSAGES_CAP,
                reply_to or "",
            ],
        )
        if code == scripts.BANNED:
            raise Banned("You are banned from this chat.")
        if code == scripts.RATE_LIMITED:
            raise RateLimited("You are talking too fast.", retry_after_ms=rest[0])
        if code == scripts.NO_MESSAGE:
            raise MessageNotFound("The message you reply to is not there any more.")
        return Sent(id=rest[1].decode(), offset=rest[0])

    async def delete(self, stream_id: str, message_id: str, *, by: str) -> int:
        """Take back a message (``by``: a user id); its event's offset. Raises :class:`MessageNotFound`."""
        code, *rest = await self._run(
            scripts.DELETE,
            [keys.room(stream_id), keys.log(stream_id), keys.messages(stream_id)],
            [message_id, msgspec.json.encode({"id": message_id})],
        )
        if code == scripts.NO_MESSAGE:
            raise MessageNotFound("There is no such message.")
        return int(rest[0])

    async def ban(self, stream_id: str, user_id: str, *, seconds: int | None, by: str) -> int:
        """Ban a user for some seconds or for good; until when (ms). Their live connections are closed at once."""
        _, until_ms = await self._run(
            scripts.BAN,
            [keys.log(stream_id), keys.bans(stream_id)],
            [user_id, "" if seconds is None else seconds, keys.FOREVER_MS],
        )
        return int(until_ms)

    async def unban(self, stream_id: str, user_id: str, *, by: str) -> None:
        """Lift a ban; lifting none is fine."""
        await self._run(scripts.UNBAN, [keys.bans(stream_id)], [user_id])

    async def ban_until(self, stream_id: str, user_id: str) -> int | None:
        """Until when (ms) the user is banned; ``None`` when not."""
        _, until_ms = await self._run(scripts.BAN_UNTIL, [keys.bans(stream_id)], [user_id])
        return int(until_ms) or None

    async def bans(self, stream_ids: Sequence[str], *, most: int) -> list[Mapping[str, int] | None]:
        """Each stream's bans (until when, ms, by user id; some are over); ``None`` where there are more than most."""
        try:
            sizes = await self._ask(("HLEN", keys.bans(s)) for s in stream_ids)
            few = [s for s, size in zip(stream_ids, sizes, strict=True) if 0 < size <= most]
            found = dict(zip(few, await self._ask(("HGETALL", keys.bans(s)) for s in few), strict=True))
        except (RedisError, OSError) as error:
            raise Unavailable("The chat cannot be reached for the moment.", retry_after_ms=1000) from error
        return [
            None if size > most else {user.decode(): int(until) for user, until in found.get(s, {}).items()}
            for s, size in zip(stream_ids, sizes, strict=True)
        ]

    async def announce(self, stream_id: str, text: str, *, by: str) -> int:
        """Say something to all as the host; the event's offset. Raises :class:`TextRefused`."""
        _, offset = await self._run(
            scripts.ANNOUNCE,
            [keys.room(stream_id), keys.log(stream_id)],
            [msgspec.json.encode({"text": clean_text(text)})],
        )
        return int(offset)

    async def _ask(self, commands: Iterable[tuple[str, str]]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute())

    async def _run(self, source: str, names: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        try:
            return await self._run_script(source, names, args)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise Unavailable("The chat cannot be reached for the moment.", retry_after_ms=1000) from error
