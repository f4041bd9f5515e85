"""Commands of chat, polls and questions, as the types that validate them; see ``schema/commands.py``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from livecommerce.schema.command import Command, Id, Key, RawText, Reaction, Seconds, UserId

#: a blocked word, an answer of a poll: before cleaning
Word = Annotated[str, Meta(min_length=1, max_length=40)]
Answer = Annotated[str, Meta(min_length=1, max_length=100)]


class ChatSend(Command, frozen=True, tag="chat.send"):
    """Say something: ``ok: {id, offset}``. Sending again with the same key says it once."""

    text: RawText
    reply_to: Id | None = None
    key: Key | None = None
    mentions: Annotated[list[UserId], Meta(max_length=5)] = field(default_factory=list)


class ChatDelete(Command, frozen=True, tag="chat.delete"):
    """Take back a message (moderator); ``message_id``, because ``id`` is the command's own."""

    message_id: Id


class ChatClearUser(Command, frozen=True, tag="chat.clear_user"):
    """Take back everything a user said (moderator): ``ok: {messages}``."""

    user_id: UserId


class ChatBan(Command, frozen=True, tag="chat.ban"):
    """Ban a user from this stream, for some seconds or for good (moderator)."""

    user_id: UserId
    seconds: Seconds | None = None


class ChatUnban(Command, frozen=True, tag="chat.unban"):
    """Lift a ban (moderator)."""

    user_id: UserId


class ChatSettings(Command, frozen=True, tag="chat.settings"):
    """Change the room's rules (moderator); what is left out stays: ``ok: {slow_s, frozen, words}``."""

    slow_s: Annotated[int, Meta(ge=0, le=3600)] | None = None
    frozen: bool | None = None
    words: Annotated[list[Word], Meta(max_length=200)] | None = None


class ChatPin(Command, frozen=True, tag="chat.pin"):
    """Pin a message, or none (moderator)."""

    message_id: Id | None = None


class ChatReact(Command, frozen=True, tag="chat.react"):
    """Add to the reactions, which are shown as sums."""

    kind: Reaction
    count: Annotated[int, Meta(ge=1, le=50)] = 1


class Announce(Command, frozen=True, tag="announce"):
    """Say something to everybody as the host: ``ok: {offset}``. Sending again with the same key says it once."""

    text: RawText
    key: Key | None = None


class ModeratorGrant(Command, frozen=True, tag="moderator.grant"):
    """Make a user a moderator of this stream (host)."""

    user_id: UserId


class ModeratorRevoke(Command, frozen=True, tag="moderator.revoke"):
    """Take the moderator's role from a user (host)."""

    user_id: UserId


class ModerationJournal(Command, frozen=True, tag="moderation.journal"):
    """Read who moderated what, newest first (moderator): ``ok: {items, next}``."""

    after: Annotated[str, Meta(max_length=41)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class PollOpen(Command, frozen=True, tag="poll.open"):
    """Ask everybody (host): ``ok: {poll}``; one poll at a time."""

    question: RawText
    answers: Annotated[list[Answer], Meta(min_length=2, max_length=5)]
    seconds: Annotated[int, Meta(ge=5, le=3600)] = 60


class PollVote(Command, frozen=True, tag="poll.vote"):
    """Vote, once: ``answer`` is the answer's place, from 0. The same vote again is accepted and not counted."""

    poll_id: Id
    answer: Annotated[int, Meta(ge=0, le=4)]


class PollClose(Command, frozen=True, tag="poll.close"):
    """Close a poll now (host): ``ok: {poll}``."""

    poll_id: Id


class QuestionAsk(Command, frozen=True, tag="question.ask"):
    """Mark a message of one's own (a moderator: any) as a question for the host."""

    message_id: Id


class QuestionAnswer(Command, frozen=True, tag="question.answer"):
    """A question has been answered (moderator)."""

    message_id: Id


COMMANDS: tuple[type[Command], ...] = (
    *(ChatSend, ChatDelete, ChatClearUser, ChatBan, ChatUnban, ChatSettings, ChatPin, ChatReact, Announce),
    *(ModeratorGrant, ModeratorRevoke, ModerationJournal),
    *(PollOpen, PollVote, PollClose, QuestionAsk, QuestionAnswer),
)
