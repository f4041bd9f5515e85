"""The bus's connection: hiredis on the transport itself.

redis-py's pub/sub spends 160 µs of CPU on a message (a timeout, a task switch and three layers for each); at 200
events a second that was a third of what a room of 1,000 viewers cost. This spends 4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import hiredis
from redis._parsers import BaseParser
from redis.asyncio import Redis
from redis.exceptions import InvalidResponse

log = logging.getLogger(__name__)

_NOTHING = object()


class BusWire(asyncio.Protocol):
    """One connection after its handshake; ``on_answer`` gets every answer that is a list."""

    def __init__(self, on_answer: Callable[[list[Any]], None]) -> None:
        self._on_answer = on_answer
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )
        self._transport: asyncio.Transport | None = None
        self._keep: Any = None
        #: whether anything came since this was last set to False
        self.heard = True
        #: done when the connection is over
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, redis: Redis) -> None:
        """Connect as redis-py does (name, password, TLS), then take its transport. Raises redis-py's errors."""
        connection: Any = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        # The stream objects of the handshake would close the transport as they go.
        self._keep = connection._writer, connection._reader
        self._transport = connection._writer.transport
        connection._reader = connection._writer = None
        assert self._transport is not None
        self._transport.set_protocol(self)

    @property
    def open(self) -> bool:
        """Whether it stands."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, *words: bytes) -> None:
        """Send a command; without effect when the connection is over."""
        if self._transport is not None and self.open:
            packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means a tuple of any length
            self._transport.write(packed)

    def close(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.abort()

    # what the loop says

    def data_received(self, data: bytes) -> None:
        """Hot path (load_tests chat-storm): answers, whole or in part; at most what the loop reads at once."""
        self.heard = True
        try:
            self._parser.feed(data)
            while (answer := self._parser.gets()) is not _NOTHING:
                if isinstance(answer, list):
                    self._on_answer(answer)
                elif isinstance(answer, Exception):
                    # A subscription was refused (loading, moved, no permission): start anew, after a wait.
                    log.warning("the bus was refused: %s", answer)
                    self.close()
        except InvalidResponse:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or the way to it, is gone."""
        if not self.lost.done():
            self.lost.set_result(None)
