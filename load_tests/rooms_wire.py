"""The client's side of a room's WebSocket, byte by byte: no library stands between the load and the server. Pure."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
#: the longest head of a frame that a server sends
HEAD_BYTES = 10


def upgrade_request(address: tuple[str, int], path: str) -> bytes:
    """The HTTP request that asks for the JSON sub-protocol."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: livecommerce.v1.json\r\n\r\n"
    ).encode()


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame; the mask is zeros (allowed, and nothing is to be hidden here)."""
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


class Frames:
    """The whole frames at the head of ``data``; what remains of it is ``rest`` once all were taken."""

    __slots__ = ("_data", "rest")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.rest = b""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        data = self._data
        start, end = 0, len(data)
        while end - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                body = start + 4
                size = int.from_bytes(data[start + 2 : body], "big")
            elif size == 127:
                body = start + 10
                size = int.from_bytes(data[start + 2 : body], "big")
            if end < body or end < body + size:
                break
            yield data[start] & 0x0F, data[body : body + size]
            start = body + size
        self.rest = data[start:]
