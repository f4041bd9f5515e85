"""Every refusal of the chat domain: one base, a stable ``code`` each, a sentence for people."""

from __future__ import annotations

from typing import ClassVar


class ChatError(Exception):
    """Base of all refusals; ``retry_after_ms`` says when asking again may help."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_ms = retry_after_ms


# the caller's fault


class TextRefused(ChatError):
    """The text is empty, too long, or not welcome here."""

    code = "invalid"


class MessageNotFound(ChatError):
    """No such message, or it was deleted, or it is too old to be touched."""

    code = "message_not_found"


class RateLimited(ChatError):
    """The author talks too fast."""

    code = "rate_limited"


class Banned(ChatError):
    """The author is banned from this stream."""

    code = "banned"


class Frozen(ChatError):
    """Only hosts and moderators may talk at the moment."""

    code = "frozen"


class Duplicate(ChatError):
    """The author has just said the same."""

    code = "duplicate"


class NotYours(ChatError):
    """That is somebody else's message."""

    code = "forbidden"


class PollNotFound(ChatError):
    """No such poll, or no such answer in it."""

    code = "poll_not_found"


class IllegalState(ChatError):
    """Not possible now: another poll is open, this one is closed, or the vote was cast."""

    code = "illegal_state"


class TooMany(ChatError):
    """There are as many as there may be."""

    code = "full"


# our side


class Unavailable(ChatError):
    """Valkey did not answer in time: the message may or may not have been said; the same key says it once."""

    code = "unavailable"
