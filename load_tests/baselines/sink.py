"""A server that says yes to everything and keeps nothing: what answers it costs nothing tells the generator's limit."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import multiprocessing
import signal
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from load_tests.processes import raise_file_limit
from load_tests.rooms_wire import PING

#: RFC 6455 §1.3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: as long as the reply to a claim is
_REPLY = (
    b'{"re":%08d,"ok":{"order":{"id":"stream000000.deal00000000.%08d","deal_id":"deal00000000","stream_id":"stream00000'
    b'0","title":"Load","buyer":{"id":"load-1000","name":"Buyer 1000"},"units":1,"unit_price":{"amount":100,"currency":'
    b'"EUR"},"total":{"amount":100,"currency":"EUR"},"state":"held","held_until_ms":1790000000000,"placed_ms":179000000'
    b'0000}}}'
)  # fmt: skip
_SIZE = len(_REPLY % (0, 0))
_FRAME = bytes([0x81, 126]) + _SIZE.to_bytes(2, "big") + _REPLY
_JOINED = b'{"re":1,"ok":{}}'


class Sink(asyncio.Protocol):
    """One connection. It relies on the generator's own frames: a mask of zeros, the number first."""

    def __init__(self) -> None:
        self._pending = b""
        self._state = "asking"
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer all whole frames in one write."""
        assert self._transport is not None
        data = self._pending + data if self._pending else data
        if self._state == "asking":
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._pending = head
                return
            self._state = "joining"
            self._transport.write(_upgrade(head))
        answers, start, end = [], 0, len(data)
        while end - start >= 6:
            size, body = data[start + 1] & 0x7F, start + 6
            if size == 126:
                size, body = int.from_bytes(data[start + 2 : start + 4], "big"), start + 8
            if end < body + size:
                break
            if data[start] & 0x0F < PING - 1:
                answers.append(self._answer(data, body))
            start = body + size
        self._pending = data[start:]
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, data: bytes, body: int) -> bytes:
        if self._state == "joining":
            self._state = "joined"
            return bytes([0x81, len(_JOINED)]) + _JOINED
        number = int(data[body + 6 : body + 14])
        return _FRAME % (number, number)


def _upgrade(head: bytes) -> bytes:
    key = next(line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: livecommerce.v1.json\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


async def _serve(pipe: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Sink, sock=listener)
    loop.add_reader(pipe.fileno(), ended.set)
    pipe.send(listener.getsockname())
    await ended.wait()
    loop.remove_reader(pipe.fileno())
    server.close()


def _process(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_file_limit()
    uvloop.run(_serve(pipe))


@contextlib.contextmanager
def sink() -> Iterator[tuple[tuple[str, int], int]]:
    """Run it in a process of its own until the block ends: its address and process."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_process, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield tuple(ours.recv()), process.pid or 0
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
