"""A Redis client whose commands of one loop turn leave in one write, over one connection.

redis-py spends 130 to 170 µs of CPU on a command (measured on this project's 2-core machine: taking a connection from
the pool, retry and observability hooks, a write and a read of its own for each); this spends 10 to 35. Valkey works on
one command at a time whoever sends it, so more connections would not make it faster: the replies come in the order of
the commands, and a batch shares one fsync as it would over many connections.

The promises are those of :func:`livecommerce.redis_client.make`: every command is sent **once**, ``ConnectionError``
and ``TimeoutError`` mean that its outcome is unknown, and the next command connects anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import hiredis
from redis._parsers import BaseParser
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, InvalidResponse, MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

log = logging.getLogger(__name__)

#: batches that wait for their replies; beyond it a command is refused, and was certainly not sent
MOST_WAITING = 20_000
#: how often the oldest batch is looked at: a silent server is noticed this much later than its time
LOOK_S = 0.25
#: what the parser returns when no whole reply has arrived
_NOTHING = object()


#: hears the replies to some commands (errors among them), or what the connection ended with; once, must not raise
Told = Callable[[list[Any] | Exception], None]


class _Batch:
    """Some commands of one caller."""

    __slots__ = ("missing", "replies", "since_s", "told")

    def __init__(self, told: Told, missing: int, since_s: float) -> None:
        self.told = told
        self.missing = missing
        self.replies: list[Any] = []
        self.since_s = since_s


class _Wire(asyncio.Protocol):
    """One connection, after its handshake."""

    def __init__(self, transport: asyncio.Transport, keep: Any, command_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._keep = keep  # the stream objects of the handshake would close the transport as they go
        self._command_s = command_s
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )
        self._waiting: deque[_Batch] = deque()
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.lost = False

    def send(self, packed: bytes, commands: int, told: Told) -> None:
        """Send packed commands with everything else of this loop turn."""
        if len(self._waiting) >= MOST_WAITING:
            raise MaxConnectionsError("Too many commands wait for the server")
        now_s = self._loop.time()
        self._waiting.append(_Batch(told, commands, now_s))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        if self._timer is None and self._command_s is not None:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def close(self, error: Exception) -> None:
        """End the connection; who waits gets this error."""
        if not self.lost:
            self.lost = True
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        for batch in waiting:
            batch.told(type(error)(*error.args))

    # what the loop says

    def data_received(self, data: bytes) -> None:
        """Replies, whole or in part."""
        parser, waiting = self._parser, self._waiting
        try:
            parser.feed(data)
            while (reply := parser.gets()) is not _NOTHING:
                if isinstance(reply, hiredis.PushNotification):
                    continue
                batch = waiting[0]
                batch.replies.append(reply)
                if len(batch.replies) == batch.missing:
                    waiting.popleft()
                    batch.told(batch.replies)
        except (InvalidResponse, IndexError):
            self.close(RedisConnectionError("The server sent something that is no reply"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or the way to it, is gone."""
        self.lost = True
        self.close(RedisConnectionError(str(exc) if exc else "Connection closed by server."))

    # inside

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.lost:
            self._transport.write(b"".join(unsent))

    def _look(self) -> None:
        self._timer = None
        if not self._waiting or self._command_s is None:
            return
        if self._loop.time() - self._waiting[0].since_s > self._command_s:
            # Replies come in order: whatever waits behind the silent one has to be given up with it.
            self.close(RedisTimeoutError("Timeout reading from socket"))
        else:
            self._timer = self._loop.call_later(LOOK_S, self._look)


def pack(args: Sequence[Any]) -> bytes:
    """One command on the wire; raises redis-py's ``DataError`` for what is no text, bytes or number."""
    first = args[0]
    if isinstance(first, str) and " " in first:  # CONFIG GET and the like
        args = (*first.split(), *args[1:])
    try:
        return cast(bytes, hiredis.pack_command(tuple(args)))
    except TypeError as error:
        raise DataError(str(error)) from error


class _JoinedPipeline(Pipeline):
    """Several commands of one caller, without a transaction."""

    ask: Callable[[Sequence[Sequence[Any]]], Any]

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands; their replies, or the first error among them."""
        stack, self.command_stack = self.command_stack, []
        if not stack:
            return []
        replies = await self.ask([args for args, _ in stack])
        for at, (args, options) in enumerate(stack):
            if isinstance(replies[at], Exception):
                if raise_on_error:
                    raise replies[at]
            else:
                replies[at] = _shaped(self.response_callbacks, replies[at], args, options)
        return cast(list[Any], replies)


class JoinedRedis(Redis):
    """redis-py's client with :class:`_Wire` underneath; pub/sub and transactions go over the pool as ever."""

    _wire: _Wire | None = None
    _connecting: asyncio.Task[_Wire] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its reply, as redis-py shapes it."""
        [reply] = await self._ask([args])
        if isinstance(reply, Exception):
            raise reply
        return _shaped(self.response_callbacks, reply, args, options)

    def begin(self, told: Callable[[Any], None], *args: Any) -> bool:
        """Send a command without waiting: False, and it was not sent, where there is no connection at the moment.

        ``told`` hears the reply as it came, or the error, once and in the order of sending. Hot path (load_tests
        chat-storm): a future, and a task that awaits it, cost more than the command.
        """
        wire = self._wire
        if wire is None or wire.lost:
            return False

        def heard(outcome: list[Any] | Exception) -> None:
            try:
                told(outcome if isinstance(outcome, Exception) else outcome[0])
            except Exception:
                # One caller's trouble is not the connection's, nor that of those who wait behind.
                log.exception("a reply could not be told")

        wire.send(pack(args), 1, heard)
        return True

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Commands to be sent together."""
        if transaction:
            return super().pipeline(transaction, shard_hint)
        made = _JoinedPipeline(self.connection_pool, self.response_callbacks, False, shard_hint)
        made.ask = self._ask
        return made

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connection, and the pool; safe to call twice."""
        connecting, wire = self._connecting, self._wire
        self._wire = None
        if connecting is not None:
            connecting.cancel()
            await asyncio.wait([connecting])
        if wire is not None:
            wire.close(RedisConnectionError("The client was closed"))
        await super().aclose(close_connection_pool)

    async def _ask(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        packed = b"".join(map(pack, commands)) if len(commands) > 1 else pack(commands[0])
        wire = self._wire
        if wire is None or wire.lost:
            wire = await self._connected()
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        wire.send(packed, len(commands), lambda outcome: _settle(future, outcome))
        return await future

    async def _connected(self) -> _Wire:
        """The connection; everybody who needs a new one waits for the same."""
        task = self._connecting
        if task is None:
            task = self._connecting = asyncio.create_task(self._connect(), name="valkey-connect")
            task.add_done_callback(self._connect_done)
        return await asyncio.shield(task)

    async def _connect(self) -> _Wire:
        connection: Any = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        # The handshake (name, password, TLS, database) was redis-py's; from here on the transport is ours.
        writer, keep = connection._writer, (connection._writer, connection._reader)
        connection._reader = connection._writer = None
        wire = _Wire(writer.transport, keep, connection.socket_timeout)
        writer.transport.set_protocol(wire)
        self._wire = wire
        return wire

    def _connect_done(self, task: asyncio.Task[_Wire]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # who waited has it; if nobody did, it is nobody's


def _settle(future: asyncio.Future[list[Any]], outcome: list[Any] | Exception) -> None:
    if future.done():
        return  # who waited has gone
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _shaped(callbacks: Any, reply: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The reply as redis-py's own commands return it (``keys`` is for its client-side cache, which is not used)."""
    if args[0] not in callbacks:
        return reply
    return callbacks[args[0]](reply, **{name: value for name, value in options.items() if name != "keys"})
