"""Moderation: taking back, banning, the room's rules, moderators, and the journal of all that."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chat import keys, scripts
from chat.models import RulesForStaff, Step, clean_text, folded_words
from chat.scripts import Runner

#: seconds between one user's messages in slow mode, at most
MAX_SLOW_S = 3600
#: moderators whom the host may appoint
MOST_MODERATORS = 50

_read_words = msgspec.json.Decoder(list[str]).decode


class Moderation:
    """What hosts and moderators do; ``by`` is always their user id, for the journal."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    async def delete(self, stream_id: str, message_id: str, *, by: str) -> int:
        """Take back a message; its event's offset. Raises :class:`MessageNotFound`."""
        step = Step("delete", by, message_id=message_id)
        args = [message_id, msgspec.json.encode({"id": message_id}), *_entry(step)]
        return int((await self._run(scripts.DELETE, _message_keys(stream_id), args))[0])

    async def clear_user(self, stream_id: str, user_id: str, *, by: str) -> int:
        """Take back all that a user said; how many messages that were."""
        args = [user_id, msgspec.json.encode({"user_id": user_id}), *_entry(Step("clear_user", by, user_id))]
        return int((await self._run(scripts.CLEAR_USER, _message_keys(stream_id), args))[1])

    async def ban(self, stream_id: str, user_id: str, *, seconds: int | None, by: str) -> int:
        """Ban a user for some seconds or for good; until when (ms). Their live connections are closed at once."""
        names = [keys.log(stream_id), keys.bans(stream_id), keys.journal(stream_id)]
        span = "" if seconds is None else str(seconds)
        step = Step("ban", by, user_id, detail=span or None)
        return int((await self._run(scripts.BAN, names, [user_id, span, keys.FOREVER_MS, *_entry(step)]))[0])

    async def unban(self, stream_id: str, user_id: str, *, by: str) -> None:
        """Lift a ban; lifting none is fine."""
        names = [keys.bans(stream_id), keys.journal(stream_id)]
        await self._run(scripts.UNBAN, names, [user_id, *_entry(Step("unban", by, user_id))])

    async def set_rules(
        self,
        stream_id: str,
        *,
        slow_s: int | None = None,
        frozen: bool | None = None,
        words: Sequence[str] | None = None,
        by: str,
    ) -> RulesForStaff:
        """Change the rules; what is ``None`` stays. Raises :class:`TextRefused` for words that are none."""
        names = [keys.room(stream_id), keys.log(stream_id), keys.settings(stream_id), keys.words(stream_id)]
        changes = {"slow_s": slow_s, "frozen": frozen, "words": words and len(words)}
        detail = ", ".join(f"{name}={value}" for name, value in changes.items() if value is not None)
        args = [
            "" if slow_s is None else slow_s * 1000,
            "" if frozen is None else int(frozen),
            "" if words is None else msgspec.json.encode(list(words)),
            b"" if words is None else msgspec.json.encode(folded_words(words)),
            *_entry(Step("settings", by, detail=detail)),
        ]
        _, slow_ms, is_frozen, kept = await self._run(scripts.SETTINGS, [*names, keys.journal(stream_id)], args)
        return RulesForStaff(slow_ms // 1000, bool(is_frozen), _read_words(kept))

    async def pin(self, stream_id: str, message_id: str | None, *, by: str) -> int:
        """Pin a message, or none; the event's offset. Raises :class:`MessageNotFound`."""
        names = [keys.room(stream_id), keys.log(stream_id), keys.messages(stream_id), keys.pinned(stream_id)]
        args = [message_id or "", *_entry(Step("pin", by, message_id=message_id))]
        return int((await self._run(scripts.PIN, [*names, keys.journal(stream_id)], args))[0])

    async def appoint(self, stream_id: str, user_id: str, *, granted: bool, by: str) -> None:
        """Make somebody a moderator of this stream, or no longer. Raises :class:`TooMany`."""
        action = "grant" if granted else "revoke"
        names = [keys.log(stream_id), keys.moderators(stream_id), keys.journal(stream_id)]
        await self._run(scripts.APPOINT, names, [user_id, action, MOST_MODERATORS, *_entry(Step(action, by, user_id))])

    async def announce(self, stream_id: str, text: str, *, by: str, key: str | None = None) -> int:
        """Say something to all as the host, with the same ``key`` (for ten minutes) once; the event's offset.

        Raises :class:`TextRefused`.
        """
        names = [keys.room(stream_id), keys.log(stream_id), keys.journal(stream_id)]
        names.append(keys.announced(stream_id, by, key or ""))
        remembered = "" if key is None else keys.KEY_TTL_MS
        args = [msgspec.json.encode({"text": clean_text(text)}), *_entry(Step("announce", by)), remembered]
        return int((await self._run(scripts.ANNOUNCE, names, args))[0])


def _message_keys(stream_id: str) -> list[str]:
    return [
        keys.room(stream_id),
        keys.log(stream_id),
        keys.messages(stream_id),
        keys.authors(stream_id),
        keys.pinned(stream_id),
        keys.journal(stream_id),
    ]


def _entry(step: Step) -> list[str | bytes | int]:
    return [msgspec.json.encode(step), keys.JOURNAL_CAP]
