"""``/asyncapi.json``: AsyncAPI 3.0 of the WebSocket, made from the types of commands and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from livecommerce import close_codes

_SCHEMA = "#/components/schemas/{name}"
_CHANNEL = "#/channels/room"


def asyncapi(commands: Mapping[str, type], events: Mapping[str, type], *, version: str) -> dict[str, Any]:
    """The whole document; ``commands`` and ``events`` are the validating types by their wire names."""
    kinds = [*commands.values(), *events.values()]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_SCHEMA)
    sent = {f"command.{name}": _message(name, s) for name, s in zip(commands, schemas, strict=False)}
    received = {f"event.{name}": _message(name, s) for name, s in zip(events, schemas[len(commands) :], strict=True)}
    replies = {"reply.ok": _message("reply.ok", _OK), "reply.err": _message("reply.err", _ERR)}
    messages = sent | received | replies
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "livecommerce rooms",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "room": {
                "address": "/ws/{stream_id}",
                "parameters": {"stream_id": {"description": "The stream's id."}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "command": _operation("receive", "A client asks; every command has one reply.", sent, replies),
            "follow": _operation("send", "What happens in the room.", received, {}),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _message(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "contentType": "application/json", "payload": schema}


def _operation(action: str, summary: str, messages: Mapping[str, Any], replies: Mapping[str, Any]) -> dict[str, Any]:
    # The document describes the server: it *receives* commands and *sends* events.
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": _CHANNEL},
        "summary": summary,
        "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"} for name in messages],
    }
    if replies:
        operation["reply"] = {
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"} for name in replies],
        }
    return operation


_RE = {"type": "integer", "description": "The command's id."}
_OK = {
    "type": "object",
    "required": ["re", "ok"],
    "properties": {"re": _RE, "ok": {"type": "object"}},
}
_ERR = {
    "type": "object",
    "required": ["re", "err"],
    "properties": {
        "re": {**_RE, "type": ["integer", "null"]},
        "err": {
            "type": "object",
            "required": ["code", "message", "temporary"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "temporary": {"type": "boolean"},
                "retry_after_ms": {"type": "integer"},
            },
        },
    },
}
_DESCRIPTION = (
    "Sub-protocols `livecommerce.v1.json` (text, the default) and `livecommerce.v1.msgpack` (binary) carry the same "
    "messages, of at most 16 KiB. The first command is `join`, within 10 s. The server sends one message, or an array "
    "of messages, in a frame. Numbered events have an `offset` and come in order without a gap; latest-only events "
    "have `as_of` and may be dropped; private events have `to`.\n\n"
    "Close codes 3000–3499 mean *come back* (join with `epoch` and `offset` after a random wait), 3500–3999 *do not*:"
    f"\n\n{close_codes.documentation()}"
)
