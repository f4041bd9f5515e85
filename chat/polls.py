"""Polls and questions: what everybody is asked, and what everybody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from chat import keys, scripts
from chat.errors import PollNotFound, TextRefused
from chat.models import Poll, clean_text
from chat.scripts import Runner

#: answers of a poll
MIN_ANSWERS, MAX_ANSWERS = 2, 5
#: how long a poll may be open
MIN_POLL_S, MAX_POLL_S = 5, 3600
#: counts are shown at most this often
SHOW_MS = 250
#: questions that wait for an answer
MOST_QUESTIONS = 50

_read_poll = msgspec.json.Decoder(Poll).decode


class _Fixed(msgspec.Struct, frozen=True):
    """The members of a poll that never change."""

    id: str
    question: str
    answers: list[str]


class Polls:
    """Polls and questions of every stream."""

    def __init__(self, run: Runner, new_id: Callable[[str], str]) -> None:
        self._run = run
        self._new_id = new_id

    async def open(self, stream_id: str, question: str, answers: Sequence[str], *, seconds: int) -> Poll:
        """Ask everybody; raises :class:`TextRefused`, :class:`IllegalState` while another poll is open."""
        cleaned = [clean_text(answer) for answer in answers]
        if not MIN_ANSWERS <= len(cleaned) <= MAX_ANSWERS or len(set(cleaned)) < len(cleaned):
            raise TextRefused(f"A poll has {MIN_ANSWERS} to {MAX_ANSWERS} different answers.")
        if not MIN_POLL_S <= seconds <= MAX_POLL_S:
            raise TextRefused(f"A poll is open for {MIN_POLL_S} to {MAX_POLL_S} seconds.")
        fixed = _Fixed(self._new_id("poll"), clean_text(question), cleaned)
        spliced = msgspec.json.encode(fixed)[1:-1]
        # Before poll_open.lua refuses because another one is open, let one that is over be closed.
        await self.tick(stream_id)
        [text] = await self._run(
            scripts.POLL_OPEN, self._keys(stream_id), [fixed.id, spliced, len(cleaned), seconds * 1000]
        )
        return _read_poll(text)

    async def vote(self, stream_id: str, poll_id: str, user_id: str, answer: int) -> None:
        """Vote, once; the same vote again is fine.

        Raises :class:`PollNotFound`, :class:`IllegalState` when closed or voted otherwise already.
        """
        names = [*self._keys(stream_id), keys.votes(stream_id, poll_id)]
        await self._run(scripts.POLL_VOTE, names, [poll_id, user_id, answer, keys.VOTES_TTL_MS, SHOW_MS])

    async def close(self, stream_id: str, poll_id: str) -> Poll:
        """Close a poll now; a closed one answers as it is. Raises :class:`PollNotFound`."""
        [text] = await self._run(scripts.POLL_TICK, self._keys(stream_id), [poll_id])
        return _read_poll(text)

    async def tick(self, stream_id: str) -> bool:
        """Close the poll when its time has come, else show new counts; whether one is open still. Any may call."""
        try:
            [text] = await self._run(scripts.POLL_TICK, self._keys(stream_id), [""])
        except PollNotFound:
            return False
        return _read_poll(text).state == "open"

    async def ask(self, stream_id: str, message_id: str, *, by: str, any_message: bool) -> int:
        """Mark a message as a question; the event's offset. Raises :class:`MessageNotFound`, :class:`NotYours`."""
        names = [keys.room(stream_id), keys.log(stream_id), keys.messages(stream_id), keys.authors(stream_id)]
        args: list[str | bytes | int] = [message_id, by, "1" if any_message else "0", MOST_QUESTIONS]
        return int((await self._run(scripts.QUESTION_ASK, [*names, *keys.questions(stream_id)], args))[0])

    async def answer(self, stream_id: str, message_id: str) -> int:
        """A question was answered; the event's offset. Raises :class:`MessageNotFound`."""
        names = [keys.room(stream_id), keys.log(stream_id), *keys.questions(stream_id)]
        data = msgspec.json.encode({"id": message_id})
        return int((await self._run(scripts.QUESTION_ANSWER, names, [message_id, data]))[0])

    def _keys(self, stream_id: str) -> list[str]:
        return [keys.room(stream_id), keys.log(stream_id), keys.poll(stream_id)]
