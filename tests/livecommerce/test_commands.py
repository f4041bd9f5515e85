"""Who may do what: every command, every role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from livecommerce.auth import Grant, Identity
from livecommerce.commands import TABLE, Accepted, Refused, begin, carry_out, read_command, refusal_of
from livecommerce.problems import Problem
from livecommerce.schema.commands import COMMANDS
from livecommerce.schema.events import EVENTS
from livecommerce.visit import Row, Visit

ROLES: dict[str, tuple[str, str, frozenset[Grant]]] = {
    # role: user, the token's stream, grants
    "watcher": ("ann", "*", frozenset({Grant.WATCH})),
    "chatter": ("ann", "*", frozenset({Grant.WATCH, Grant.CHAT})),
    "buyer": ("ann", "*", frozenset({Grant.WATCH, Grant.BUY})),
    "appointed": ("appointed", "*", frozenset({Grant.WATCH, Grant.CHAT})),
    "moderator": ("mod", "*", frozenset({Grant.WATCH, Grant.CHAT, Grant.MODERATE})),
    "host of it": ("hal", "*", frozenset({Grant.HOST})),
    "host of another": ("eve", "*", frozenset({Grant.HOST, Grant.WATCH, Grant.CHAT})),
    "admin": ("root", "*", frozenset({Grant.ADMIN})),
    "of another stream": ("hal", "other", frozenset(Grant)),
}
ALL = set(ROLES) - {"of another stream"}
MODERATORS = {"moderator", "appointed", "host of it", "admin"}
CHATTERS = {"chatter", "appointed", "moderator", "host of another", "admin"}
MAY: dict[str, set[str]] = {
    "ping": ALL - {"host of it"},
    "chat.send": CHATTERS,
    "chat.react": CHATTERS,
    "chat.delete": MODERATORS,
    "chat.ban": MODERATORS,
    "chat.unban": MODERATORS,
    "chat.clear_user": MODERATORS,
    "chat.settings": MODERATORS,
    "chat.pin": MODERATORS,
    "moderation.journal": MODERATORS,
    "announce": {"host of it", "admin"},
    "moderator.grant": {"host of it", "admin"},
    "moderator.revoke": {"host of it", "admin"},
    "poll.open": {"host of it", "admin"},
    "poll.close": {"host of it", "admin"},
    "poll.vote": CHATTERS,
    "question.ask": CHATTERS,
    "question.answer": MODERATORS,
    "deal.claim": {"buyer", "admin"},
    "deal.ticket": {"buyer", "admin"},
    "order.pay": {"buyer", "admin"},
    "order.cancel": {"buyer", "admin"},
    "waitlist.join": {"buyer", "admin"},
    "waitlist.leave": {"buyer", "admin"},
    "deal.open": {"host of it", "admin"},
    "deal.extend": {"host of it", "admin"},
    "deal.close": {"host of it", "admin"},
    "deal.cancel": {"host of it", "admin"},
    "product.pin": {"host of it", "admin"},
    "product.view": ALL - {"host of it"},
}


class NoHub:
    """A hub without rooms."""

    def room(self, stream_id: str) -> None:
        return None


class NoModerators:
    """A chat whose host appointed one user."""

    async def is_moderator(self, stream_id: str, user_id: str) -> bool:
        return user_id == "appointed"


class NoContext:
    """All a refused command touches."""

    hub = NoHub()
    chat = NoModerators()


def visit(role: str) -> Visit:
    user_id, stream, can = ROLES[role]
    return Visit(cast(Any, NoContext()), "s1", "hal", Identity(user_id, user_id, stream, can, 0))


@pytest.mark.parametrize("do", list(TABLE))
@pytest.mark.parametrize("role", list(ROLES))
async def test_the_authorisation_matrix(do: str, role: str) -> None:
    async def done(_visit: Visit, _command: Any) -> str:
        return "done"

    row = Row(TABLE[do].grant, done)
    answer = await carry_out(visit(role), do, row, cast(Any, type("Command", (), {"id": 7})()))
    if role in MAY[do]:
        assert answer == Accepted(7, "done")
    else:
        assert isinstance(answer, Refused)
        assert (answer.re, answer.err.code) == (7, "forbidden")


@pytest.mark.parametrize("role", list(ROLES))
def test_what_is_begun_without_a_task_has_the_same_matrix(role: str) -> None:
    """The way of most claims and messages."""
    begun: list[str] = []
    for do, row in TABLE.items():
        row = Row(row.grant, row.handler, begin=lambda *_, do=do: bool(begun.append(do) or True))  # type: ignore
        began = begin(visit(role), do, row, cast(Any, type("Command", (), {"id": 7})()), lambda _: None)
        assert began == (do in begun)
    # Where Valkey has to be asked (whether the host appointed a moderator), nothing is begun.
    appointed = {do for do in TABLE if TABLE[do].grant is Grant.MODERATE} if role == "appointed" else set()
    assert set(begun) == {do for do in TABLE if role in MAY[do]} - appointed


def test_every_event_that_a_script_makes_has_a_type() -> None:
    made = set[str]()
    for script in Path().glob("*/lua/*.lua"):
        text = script.read_text("utf-8")
        made |= set(re.findall(r"'([a-z]+\.[a-z_]+)'", text)) | set(re.findall(r"\bemit\([^']*'([a-z.]+)'", text))
    assert len(made) > 25
    assert made <= set(EVENTS)


def test_every_command_has_a_type_a_row_and_a_place_in_the_matrix() -> None:
    assert set(COMMANDS) == set(TABLE) | {"join"}
    assert set(MAY) == set(TABLE)


def test_every_event_of_the_contract_that_exists_has_a_type() -> None:
    assert {"chat.message", "deal.opened", "deal.claimed", "viewers", "order.updated", "moderation"} <= set(EVENTS)


@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), ConnectionError("secret")])
def test_an_error_nobody_foresaw_tells_nothing(error: Exception) -> None:
    refusal = refusal_of(error)
    assert refusal.code in ("internal", "unavailable")
    assert refusal.temporary
    assert "secret" not in refusal.message


@pytest.mark.parametrize("message", [{"id": True, "do": "ping"}, {"id": 2**60, "do": "ping"}, {"do": "ping"}, []])
def test_a_command_needs_an_id(message: Any) -> None:
    with pytest.raises(Problem) as refused:
        read_command(message)
    assert refused.value.code == "invalid"


async def test_nobody_bans_the_host_or_themselves() -> None:
    for user_id in ("hal", "mod"):
        name, row, command = read_command({"id": 1, "do": "chat.ban", "user_id": user_id})
        answer = await carry_out(visit("moderator"), name, row, command)
        assert isinstance(answer, Refused)
        assert answer.err.code == "forbidden"
