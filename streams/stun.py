"""STUN binding requests, as an ICE-lite agent answers them (RFC 8445 §7.3, RFC 8489). Pure.

Nothing is answered that is not authenticated by a password we gave out, so the port amplifies nothing; strangers are
recognised before anything is parsed or hashed.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from aioice import stun

_MAGIC = b"\x21\x12\xa4\x42"
_USERNAME = 0x0006
_ATTRIBUTE = struct.Struct("!HH")
#: a real request has 80–140 bytes
_MAX_BYTES = 548


class BindingRequest(NamedTuple):
    """An authentic request."""

    message: Any
    remote_ufrag: str
    use_candidate: bool


def looks_like_request(data: bytes | memoryview) -> bool:
    """Whether the datagram claims to be a binding request; responses and the rest are none of our business."""
    return 20 <= len(data) <= _MAX_BYTES and data[0] == 0 and data[1] == 1 and data[4:8] == _MAGIC


def local_ufrag(data: bytes | memoryview) -> str | None:
    """The part of USERNAME before the colon: ours; found without parsing the rest."""
    position, end = 20, len(data)
    while position + 4 <= end:
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        position += 4
        if kind == _USERNAME:
            try:
                return bytes(data[position : position + length]).decode("ascii").partition(":")[0]
            except UnicodeDecodeError:
                return None
        position += length + (-length % 4)
    return None


def authenticate(data: bytes, password: str) -> BindingRequest | None:
    """The request when its MESSAGE-INTEGRITY is by our password, else None."""
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error, IndexError):
        return None
    if (message.message_method, message.message_class) != (stun.Method.BINDING, stun.Class.REQUEST):
        return None
    username = message.attributes.get("USERNAME")
    if username is None or not message.check_message_integrity(password.encode()):
        return None
    return BindingRequest(message, username.partition(":")[2], "USE-CANDIDATE" in message.attributes)


def success(request: BindingRequest, address: Any, password: str) -> bytes:
    """The binding response: it tells the peer the address we see it at."""
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.message.transaction_id)
    # A dual-stack socket sees IPv4 peers as ::ffff:192.0.2.1; they know themselves without.
    response.attributes["XOR-MAPPED-ADDRESS"] = (address[0].removeprefix("::ffff:"), address[1])
    response.add_message_integrity(password.encode())
    return bytes(response)
