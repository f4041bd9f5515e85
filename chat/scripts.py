"""Chat's Lua scripts, and what their integer codes mean: the only place that knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chat.errors import (
    Banned,
    ChatError,
    Duplicate,
    Frozen,
    IllegalState,
    MessageNotFound,
    NotYours,
    PollNotFound,
    RateLimited,
    TextRefused,
    TooMany,
    Unavailable,
)


class RunScript(Protocol):
    """Runs a script (without the ``emit`` prelude, which the application supplies) atomically."""

    async def __call__(self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """What the script returned."""

    def begin(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], told: Callable[[Any], None]
    ) -> bool:
        """The same without waiting, ``told`` what it returned or raised; False, and nothing was done, where it can't.

        What is begun one after the other runs in that order.
        """


def _source(name: str) -> str:
    return resources.files("chat").joinpath(f"lua/{name}.lua").read_text("utf-8")


SEND = _source("send")
DELETE = _source("delete")
BAN = _source("ban")
UNBAN = _source("unban")
BAN_UNTIL = _source("ban_until")
ANNOUNCE = _source("announce")
CLEAR_USER = _source("clear_user")
SETTINGS = _source("settings")
PIN = _source("pin")
APPOINT = _source("appoint")
POLL_OPEN = _source("poll_open")
POLL_VOTE = _source("poll_vote")
POLL_TICK = _source("poll_tick")
QUESTION_ASK = _source("question_ask")
QUESTION_ANSWER = _source("question_answer")

#: first element of every answer
OK, BANNED, RATE_LIMITED, NO_MESSAGE = 0, 1, 2, 3

#: the refusals, but for the two that say when
REFUSALS: Mapping[int, ChatError] = {
    NO_MESSAGE: MessageNotFound("There is no such message, or it is too old."),
    4: Frozen("Only the host and moderators may talk at the moment.", retry_after_ms=5000),
    5: TextRefused("This message has a word that is not welcome here."),
    6: Duplicate("You have just said that.", retry_after_ms=30_000),
    7: TooMany("There are as many as there may be."),
    8: IllegalState("Another poll is open; close it first."),
    9: PollNotFound("There is no such poll, or no such answer."),
    10: IllegalState("The poll is closed."),
    11: IllegalState("You have voted already."),
    12: NotYours("Only your own messages can be marked as questions."),
}


#: what the driver raises when the outcome is unknown
_LOST = (RedisConnectionError, RedisTimeoutError, OSError)


class Runner:
    """Runs chat's scripts; every driver error becomes :class:`chat.errors.Unavailable`, every code its refusal."""

    def __init__(self, run_script: RunScript) -> None:
        self._run_script = run_script

    async def __call__(self, source: str, names: Sequence[str], args: Sequence[str | bytes | int]) -> list[Any]:
        """What a script returned, without the code of success."""
        try:
            answer = await self._run_script(source, names, args)
        except _LOST as error:
            raise unavailable() from error
        if answer[0] != OK:
            raise _refusal(answer)
        return list(answer[1:])

    def begin(
        self,
        source: str,
        names: Sequence[str],
        args: Sequence[str | bytes | int],
        told: Callable[[list[Any] | Exception], None],
    ) -> bool:
        """The same without waiting: ``told`` hears what the call would return or raise; False where it can't be."""

        def heard(answer: Any) -> None:
            if isinstance(answer, _LOST):
                told(unavailable())
            elif isinstance(answer, Exception):
                told(answer)
            else:
                told(answer[1:] if answer[0] == OK else _refusal(answer))

        return self._run_script.begin(source, names, args, heard)


def _refusal(answer: Sequence[Any]) -> ChatError:
    code = answer[0]
    if code == BANNED:
        return Banned("You are banned from this chat.")
    if code == RATE_LIMITED:
        return RateLimited("You are talking too fast.", retry_after_ms=answer[1])
    refusal = REFUSALS[code]
    return type(refusal)(refusal.detail, retry_after_ms=refusal.retry_after_ms)


def unavailable() -> Unavailable:
    """The refusal when Valkey does not answer."""
    return Unavailable("The chat cannot be reached for the moment.", retry_after_ms=1000)
