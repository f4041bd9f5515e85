"""The two sub-protocols of the room WebSocket: the same messages as JSON text or as msgpack bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgpack  # type: ignore[import-untyped]
import orjson

Json = dict[str, Any]
Codec = Literal["json", "msgpack"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the room. ``type`` ``joined`` is the client's own: ``data`` is the join's answer."""

    type: str
    data: Json
    #: the position in the room's log; ``None`` for latest-only and private events
    offset: int | None = None
    at_ms: int | None = None
    #: for latest-only events: the log's offset they reflect
    as_of: int | None = None

    @classmethod
    def of(cls, message: Json) -> Event:
        """From a wire message."""
        return cls(
            str(message["type"]),
            message.get("data") or {},
            message.get("offset"),
            message.get("at_ms"),
            message.get("as_of"),
        )


@dataclass(frozen=True, slots=True)
class Wire:
    """One codec: its sub-protocol's name, and how to write and read a message."""

    codec: Codec

    @property
    def protocol(self) -> str:
        """The WebSocket sub-protocol that is offered."""
        return f"livecommerce.v1.{self.codec}"

    def encode(self, message: dict[str, Any]) -> str | bytes:
        """A command as the frame's payload: ``str`` is sent as text, ``bytes`` as binary."""
        if self.codec == "json":
            return orjson.dumps(message).decode()
        packed: bytes = msgpack.packb(message)
        return packed

    def decode(self, payload: str | bytes) -> Iterator[dict[str, Any]]:
        """The messages of one frame, which holds one object or an array of them; raises ``ValueError`` on nonsense."""
        content = orjson.loads(payload) if isinstance(payload, str) else msgpack.unpackb(payload)
        for message in content if isinstance(content, list) else (content,):
            if not isinstance(message, dict):
                raise ValueError("a message is an object")
            yield message
