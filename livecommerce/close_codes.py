"""The WebSocket close codes, documented once.

The number says what a client should do: **3000–3499 "come back"** (reconnect with a random wait, join with the epoch
and the last offset, and miss nothing), **3500–3999 "do not"** (reconnecting with the same token to the same stream
cannot help). The codes below 3000 are the protocol's own (RFC 6455 §7.4): 1009 is a message over 16 KiB.
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Why the server closed a connection; ``reason`` is the text sent with it."""

    GOING_AWAY = 3001, "the server is going away"
    UNAVAILABLE = 3004, "the room cannot be reached for the moment"
    SLOW_CONSUMER = 3008, "too slow: more than 512 KiB were waiting"
    POSITION_LOST = 3010, "the room's log was lost or trimmed past this position"
    SILENT = 3012, "nothing was heard for too long"
    BAD_TOKEN = 3500, "the token is not valid, has expired, or does not allow this"
    BANNED = 3501, "banned from this stream"
    STREAM_ENDED = 3502, "the stream has ended, or never was"
    PROTOCOL_ERROR = 3503, "the connection did not follow the protocol"
    REPLACED = 3504, "a newer connection uses this token, which is for one at a time"

    reason: str

    def __new__(cls, code: int, reason: str = "") -> CloseCode:
        """A member whose value is the code alone."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.reason = reason
        return member

    @property
    def come_back(self) -> bool:
        """Whether the client should reconnect."""
        return self < 3500


#: what a worker that stops closes everything with
GOING_AWAY = CloseCode.GOING_AWAY
#: RFC 6455's code for a message over the limit; aiohttp sends it while reading
MESSAGE_TOO_BIG = 1009


def documentation() -> str:
    """The table as Markdown, for /asyncapi.json and the docs."""
    rows = [f"| {c.value} | {c.reason} | {'come back' if c.come_back else 'do not'} |" for c in CloseCode]
    return "\n".join(
        [
            "| code | why | client |",
            "|---|---|---|",
            f"| {MESSAGE_TOO_BIG} | a message over 16 KiB | do not |",
            *rows,
        ]
    )
