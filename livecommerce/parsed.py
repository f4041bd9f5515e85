"""Messages of a WebSocket handed over in the very call that parsed them, past aiohttp's queue.

aiohttp parses (in C: masks, fragments, sizes, UTF-8, control frames) and queues each message for a task that awaits it:
a future, a turn of the loop and four coroutines between a command and its beginning. Here the queue may give a message
to a function first, and keeps only what that does not take. It is the one file that touches private parts of aiohttp's
WebSocket (``_post_start``, ``_reader``, ``_parser``, ``_exception``); tests/livecommerce/test_parsed.py says when they
have changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import WSMessage, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

#: bytes in the queue above which the connection is read no more (aiohttp's own number)
QUEUE_BYTES = 1 << 16

#: takes a message, or leaves it to the queue by returning False; must not raise
Take = Callable[[WSMessage], bool]


class Queue(WebSocketDataQueue):
    """Asks ``take`` before it keeps a message."""

    take: Take | None = None

    def feed_data(self, data: Any, size: int) -> None:
        """A parsed message of so many bytes. Hot path (load_tests flash-sale)."""
        take = self.take
        if take is None or not take(data):
            super().feed_data(data, size)


class ParsedSocket(web.WebSocketResponse):
    """A WebSocket whose messages may be taken as they are parsed; everything else is as ever."""

    queue: Queue

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        """As in the base class, with another queue, and without heartbeat and compression, which nobody here uses."""
        self._ws_protocol = protocol
        self._writer = writer
        assert self._loop is not None
        self._reader = self.queue = Queue(request.protocol, QUEUE_BYTES, loop=self._loop)
        self._parser = WebSocketReader(self._reader, self._max_msg_size, compress=False, decode_text=self._decode_text)
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)

    def forget(self) -> None:
        """The connection is over: let go of its last error, whose traceback has the frames that have the connection.

        Together they lasted until the cycle collector came: 12 KB each (``load_tests idle-sockets``, again and again).
        """
        self._exception = None
