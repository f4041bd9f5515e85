"""What can be done in a room's chat: say, moderate, ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat import keys, scripts
from chat.errors import PollNotFound, TextRefused
from chat.models import (
    Author,
    ChatState,
    Message,
    Poll,
    Rules,
    Sent,
    Step,
    clean_text,
    folded_text,
    is_blocked,
)
from chat.moderation import Moderation
from chat.polls import Polls
from chat.scripts import Runner, RunScript, unavailable


class Pace(msgspec.Struct, frozen=True):
    """How fast one may talk: ``burst`` messages at once, then one each ``interval_ms``; no limit where that is 0."""

    interval_ms: int
    burst: int


#: the stated defaults; hosts and moderators answer many
PACE = Pace(interval_ms=1000, burst=5)
STAFF_PACE = Pace(interval_ms=100, burst=20)
#: of all who are no staff together: more than people can read, and what a room costs stays bounded
ROOM_PACE = Pace(interval_ms=5, burst=400)
#: of all users of one address (a household, a school); loopback has none
ADDRESS_PACE = Pace(interval_ms=200, burst=20)
NO_LIMIT = Pace(interval_ms=0, burst=1)

_CURSOR = re.compile(r"[0-9]{1,20}-[0-9]{1,20}\Z")
_read_message = msgspec.json.Decoder(Message).decode
_read_poll = msgspec.json.Decoder(Poll).decode
_read_words = msgspec.json.Decoder(list[str]).decode
_read_step = msgspec.json.Decoder(Step).decode


class ChatService(Moderation):
    """The chat of every stream; holds no state, so any worker may be asked."""

    def __init__(
        self,
        redis: Redis,
        run_script: RunScript,
        *,
        new_id: Callable[[str], str],
        pace: Pace = PACE,
        staff_pace: Pace = STAFF_PACE,
        room_pace: Pace = ROOM_PACE,
        address_pace: Pace = ADDRESS_PACE,
        blocked_words: Iterable[str] = (),
    ) -> None:
        super().__init__(Runner(run_script))
        self._redis = redis
        self._new_id = new_id
        self._pace = pace
        self._staff_pace = staff_pace
        self._room_pace = room_pace
        self._address_pace = address_pace
        self._blocked_words = tuple(blocked_words)
        #: polls and questions
        self.polls = Polls(self._run, new_id)

    async def send(
        self,
        stream_id: str,
        author: Author,
        text: str,
        *,
        reply_to: str | None = None,
        key: str | None = None,
        mentions: Sequence[str] = (),
        address: str = "",
    ) -> Sent:
        """Say something; the same ``key`` (for ten minutes) says it once and finds the same message.

        ``address`` is the author's, for the limit that all users of one share; "" has none. Raises
        :class:`TextRefused`, :class:`Banned`, :class:`RateLimited`, :class:`Frozen`, :class:`Duplicate` and, for
        ``reply_to``, :class:`MessageNotFound`.
        """
        message = self._message(author, text, reply_to, mentions)
        return _sent(await self._run(scripts.SEND, *self._sending(stream_id, message, key, address)))

    def begin_send(
        self,
        stream_id: str,
        author: Author,
        text: str,
        told: Callable[[Sent | Exception], None],
        *,
        reply_to: str | None = None,
        key: str | None = None,
        mentions: Sequence[str] = (),
        address: str = "",
    ) -> bool:
        """The same without waiting; False, and nothing was said, where that cannot be done now.

        ``told`` hears what :meth:`send` would return or raise, but for :class:`TextRefused`, which is raised. What is
        begun one after the other is said in that order. Hot path (load_tests chat-storm).
        """
        message = self._message(author, text, reply_to, mentions)

        def heard(answer: list[Any] | Exception) -> None:
            told(answer if isinstance(answer, Exception) else _sent(answer))

        return self._run.begin(scripts.SEND, *self._sending(stream_id, message, key, address), heard)

    def _message(self, author: Author, text: str, reply_to: str | None, mentions: Sequence[str]) -> Message:
        text = clean_text(text)
        if is_blocked(text, self._blocked_words):
            raise TextRefused("This message has a word that is not welcome here.")
        return Message(self._new_id("m"), author, text, reply_to, list(dict.fromkeys(mentions)))

    def _sending(
        self, stream_id: str, message: Message, key: str | None, address: str
    ) -> tuple[list[str], list[str | bytes | int]]:
        """The keys and arguments of ``send.lua``."""
        author, text = message.user, message.text
        staff = bool(author.roles)
        paces = (
            self._staff_pace if staff else self._pace,
            NO_LIMIT if staff else self._room_pace,
            self._address_pace if address and not staff else NO_LIMIT,
        )
        return [
            *(keys.room(stream_id), keys.log(stream_id), keys.messages(stream_id), keys.authors(stream_id)),
            *(keys.bans(stream_id), keys.settings(stream_id), keys.words(stream_id)),
            *(keys.last(stream_id, author.id), keys.sent(stream_id, author.id, key or "")),
            *(keys.rate(stream_id, author.id), keys.pace(stream_id), keys.address(stream_id, address)),
        ], [
            *(author.id, message.id, msgspec.json.encode(message), "1" if staff else "0"),
            *("" if key is None else keys.KEY_TTL_MS, keys.MESSAGES_CAP, message.reply_to or "", text),
            *(msgspec.json.encode(folded_text(text)), keys.LAST_TTL_MS),
            *(value for pace in paces for value in (pace.interval_ms, pace.burst)),
        ]

    async def ban_until(self, stream_id: str, user_id: str) -> int | None:
        """Until when (ms) the user is banned; ``None`` when not."""
        [until_ms] = await self._run(scripts.BAN_UNTIL, [keys.bans(stream_id)], [user_id])
        return int(until_ms) or None

    async def bans(self, stream_ids: Sequence[str], *, most: int) -> list[Mapping[str, int] | None]:
        """Each stream's bans (until when, ms, by user id; some are over); ``None`` where there are more than most."""
        sizes = await self._ask(*(("HLEN", keys.bans(s)) for s in stream_ids))
        few = [s for s, size in zip(stream_ids, sizes, strict=True) if 0 < size <= most]
        found = dict(zip(few, await self._ask(*(("HGETALL", keys.bans(s)) for s in few)), strict=True))
        return [
            None if size > most else {user.decode(): int(until) for user, until in found.get(s, {}).items()}
            for s, size in zip(stream_ids, sizes, strict=True)
        ]

    async def is_moderator(self, stream_id: str, user_id: str) -> bool:
        """Whether the host made this user a moderator."""
        return bool((await self._ask(("SISMEMBER", keys.moderators(stream_id), user_id)))[0])

    async def state(self, stream_id: str) -> ChatState:
        """What who joins has to know beside the messages."""
        questions, order = keys.questions(stream_id)
        rules, pinned, moderators, asked, places = await self._ask(
            ("HMGET", keys.settings(stream_id), "slow_ms", "frozen", "words"),
            ("HGET", keys.pinned(stream_id), "message"),
            ("SMEMBERS", keys.moderators(stream_id)),
            ("HGETALL", questions),
            ("ZRANGE", order, 0, -1),
        )
        return ChatState(
            rules=Rules(int(rules[0] or 0) // 1000, rules[1] == b"1"),
            pinned=None if pinned is None else _read_message(pinned),
            poll=await self._newest_poll(stream_id),
            questions=[_read_message(asked[place]) for place in places if place in asked],
            moderators=sorted(user.decode() for user in moderators),
            words=_read_words(rules[2] or b"[]"),
        )

    async def journal(self, stream_id: str, *, after: str | None, limit: int) -> tuple[list[Step], str | None]:
        """Steps of moderation, newest first, and the cursor of the next page. Raises :class:`TextRefused`."""
        if after is not None and not _CURSOR.match(after):
            raise TextRefused("The cursor is none of ours.")
        start = "+" if after is None else f"({after}"
        [entries] = await self._ask(("XREVRANGE", keys.journal(stream_id), start, "-", "COUNT", limit + 1))
        steps = []
        for entry_id, fields in entries[:limit]:
            name = entry_id.decode()
            step = _read_step(fields[b"e"] if isinstance(fields, dict) else fields[1])
            steps.append(msgspec.structs.replace(step, id=name, at_ms=int(name.partition("-")[0])))
        return steps, steps[-1].id if len(entries) > limit else None

    async def _newest_poll(self, stream_id: str) -> Poll | None:
        try:
            [text] = await self._run(
                scripts.POLL_TICK, [keys.room(stream_id), keys.log(stream_id), keys.poll(stream_id)], [""]
            )
        except PollNotFound:
            return None
        return _read_poll(text)

    async def _ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        try:
            return list(await pipe.execute())
        except (RedisError, OSError) as error:
            raise unavailable() from error


def _sent(answer: Sequence[Any]) -> Sent:
    offset, message_id, again = answer
    return Sent(id=message_id.decode(), offset=offset, again=bool(again))
