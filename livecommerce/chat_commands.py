"""The commands of chat, moderation, polls and questions; see ``commands.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat.models import Author, Sent
from livecommerce.auth import Grant
from livecommerce.problems import Problem
from livecommerce.schema import chat as c
from livecommerce.visit import Row, Told, Visit


async def _send(visit: Visit, command: c.ChatSend) -> Any:
    return _said(visit, await visit.context.chat.send(*_speaking(visit, command), **_particulars(visit, command)))


def _begin_send(visit: Visit, command: c.ChatSend, told: Told) -> bool:
    return visit.context.chat.begin_send(
        *_speaking(visit, command),
        lambda outcome: told(_said(visit, outcome) if isinstance(outcome, Sent) else outcome),
        **_particulars(visit, command),
    )


def _speaking(visit: Visit, command: c.ChatSend) -> tuple[str, Author, str]:
    return visit.stream_id, Author(visit.identity.user_id, visit.identity.name, visit.roles), command.text


def _particulars(visit: Visit, command: c.ChatSend) -> dict[str, Any]:
    return {
        "reply_to": command.reply_to,
        "key": command.key,
        "mentions": command.mentions,
        "address": visit.address,
    }


def _said(visit: Visit, sent: Sent) -> Any:
    if not sent.again:
        visit.context.analytics.said(visit.stream_id)
    return {"id": sent.id, "offset": sent.offset}


async def _delete(visit: Visit, command: c.ChatDelete) -> Any:
    return {"offset": await visit.context.chat.delete(visit.stream_id, command.message_id, by=visit.identity.user_id)}


async def _clear_user(visit: Visit, command: c.ChatClearUser) -> Any:
    count = await visit.context.chat.clear_user(visit.stream_id, command.user_id, by=visit.identity.user_id)
    return {"messages": count}


async def _ban(visit: Visit, command: c.ChatBan) -> Any:
    if command.user_id in (visit.identity.user_id, visit.host_id):
        raise Problem("forbidden", "Neither yourself nor the host can be banned.")
    until_ms = await visit.context.chat.ban(
        visit.stream_id, command.user_id, seconds=command.seconds, by=visit.identity.user_id
    )
    return {"until_ms": None if command.seconds is None else until_ms}


async def _unban(visit: Visit, command: c.ChatUnban) -> Any:
    await visit.context.chat.unban(visit.stream_id, command.user_id, by=visit.identity.user_id)
    return {}


async def _settings(visit: Visit, command: c.ChatSettings) -> Any:
    return await visit.context.chat.set_rules(
        visit.stream_id,
        slow_s=command.slow_s,
        frozen=command.frozen,
        words=command.words,
        by=visit.identity.user_id,
    )


async def _pin(visit: Visit, command: c.ChatPin) -> Any:
    return {"offset": await visit.context.chat.pin(visit.stream_id, command.message_id, by=visit.identity.user_id)}


async def _react(visit: Visit, command: c.ChatReact) -> Any:
    visit.context.hub.reactions.add(visit.stream_id, command.kind, command.count)
    return {}


async def _announce(visit: Visit, command: c.Announce) -> Any:
    offset = await visit.context.chat.announce(
        visit.stream_id, command.text, by=visit.identity.user_id, key=command.key
    )
    return {"offset": offset}


async def _grant(visit: Visit, command: c.ModeratorGrant) -> Any:
    await visit.context.chat.appoint(visit.stream_id, command.user_id, granted=True, by=visit.identity.user_id)
    return {}


async def _revoke(visit: Visit, command: c.ModeratorRevoke) -> Any:
    await visit.context.chat.appoint(visit.stream_id, command.user_id, granted=False, by=visit.identity.user_id)
    return {}


async def _journal(visit: Visit, command: c.ModerationJournal) -> Any:
    items, cursor = await visit.context.chat.journal(visit.stream_id, after=command.after, limit=command.limit)
    return {"items": items, "next": cursor}


async def _poll_open(visit: Visit, command: c.PollOpen) -> Any:
    poll = await visit.context.chat.polls.open(
        visit.stream_id, command.question, command.answers, seconds=command.seconds
    )
    return {"poll": poll}


async def _poll_vote(visit: Visit, command: c.PollVote) -> Any:
    await visit.context.chat.polls.vote(visit.stream_id, command.poll_id, visit.identity.user_id, command.answer)
    return {}


async def _poll_close(visit: Visit, command: c.PollClose) -> Any:
    return {"poll": await visit.context.chat.polls.close(visit.stream_id, command.poll_id)}


async def _question_ask(visit: Visit, command: c.QuestionAsk) -> Any:
    offset = await visit.context.chat.polls.ask(
        visit.stream_id, command.message_id, by=visit.identity.user_id, any_message=bool(visit.roles)
    )
    return {"offset": offset}


async def _question_answer(visit: Visit, command: c.QuestionAnswer) -> Any:
    return {"offset": await visit.context.chat.polls.answer(visit.stream_id, command.message_id)}


TABLE: Mapping[str, Row] = {
    "chat.send": Row(Grant.CHAT, _send, in_order=True, begin=_begin_send),
    "chat.react": Row(Grant.CHAT, _react),
    "chat.delete": Row(Grant.MODERATE, _delete, in_order=True),
    "chat.clear_user": Row(Grant.MODERATE, _clear_user, in_order=True),
    "chat.ban": Row(Grant.MODERATE, _ban, in_order=True),
    "chat.unban": Row(Grant.MODERATE, _unban, in_order=True),
    "chat.settings": Row(Grant.MODERATE, _settings, in_order=True),
    "chat.pin": Row(Grant.MODERATE, _pin, in_order=True),
    "announce": Row(Grant.HOST, _announce, in_order=True),
    "moderator.grant": Row(Grant.HOST, _grant, in_order=True),
    "moderator.revoke": Row(Grant.HOST, _revoke, in_order=True),
    "moderation.journal": Row(Grant.MODERATE, _journal, until_end=False),
    "poll.open": Row(Grant.HOST, _poll_open, in_order=True),
    "poll.vote": Row(Grant.CHAT, _poll_vote),
    "poll.close": Row(Grant.HOST, _poll_close, in_order=True),
    "question.ask": Row(Grant.CHAT, _question_ask, in_order=True),
    "question.answer": Row(Grant.MODERATE, _question_answer, in_order=True),
}
