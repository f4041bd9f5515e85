"""The bus: one connection a worker on which Valkey tells what happens in the rooms that are open here.

Sharded pub/sub is at most once. The bus therefore only promises to *notice*: after every (re)subscription it tells
the listener, which compares positions and reads what it missed from the log. A connection that has been silent is
asked for a sign of life; one that fails is replaced, after a jittered wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from livecommerce import room_metrics as metrics
from livecommerce.tasks import stop

log = logging.getLogger(__name__)

#: after this long without a message Valkey is asked whether it is there, and given as long again to answer
PROBE_S = 1.0
#: how long connecting may take
CONNECT_TIMEOUT_S = 2.0
#: the longest wait for a subscription to be confirmed
SUBSCRIBE_TIMEOUT_S = 5.0
#: waits between attempts to reconnect: a random time up to this, doubling from the first to the last
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 1.0
#: messages handled before the loop may do something else
_SLICE = 64


class Listener(Protocol):
    """Who wants to hear of a channel. Called on the loop; must not block."""

    def on_message(self, message: bytes) -> None:
        """A message was published."""

    def on_subscribed(self) -> None:
        """The subscription stands (anew): anything may have been missed before this moment."""


class _Subscription:
    __slots__ = ("confirmed", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.confirmed = asyncio.Event()


class Bus:
    """One pub/sub connection, kept alive; at most one listener a channel."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._wanted: dict[bytes, _Subscription] = {}
        self._connection: AbstractConnection | None = None
        self._task: asyncio.Task[None] | None = None
        #: whether the connection stands now
        self.connected = False
        #: connections made, for metrics and tests
        self.connections = 0

    async def start(self) -> None:
        """Connect, and stay connected until :meth:`aclose`. Does not wait for Valkey."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="bus")

    async def aclose(self) -> None:
        """Disconnect; safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def subscribe(self, channel: str, listener: Listener) -> None:
        """Hear of a channel from now on; returns when Valkey confirmed it. Raises ``TimeoutError``."""
        name = channel.encode()
        if name in self._wanted:
            raise ValueError(f"{channel} has a listener")
        subscription = self._wanted[name] = _Subscription(listener)
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await self._send("SSUBSCRIBE", name)
                await subscription.confirmed.wait()
        except BaseException:
            self._wanted.pop(name, None)
            raise

    async def unsubscribe(self, channel: str, listener: Listener) -> None:
        """Hear no more of a channel; nothing happens when the channel has another listener by now."""
        name = channel.encode()
        if (subscription := self._wanted.get(name)) is not None and subscription.listener is listener:
            del self._wanted[name]
            await self._send("SUNSUBSCRIBE", name)

    def reconnect(self) -> None:
        """Give this connection up: it looks alive, but messages were missed."""
        if self._connection is not None and self.connected:
            self.connected = False
            # The reader sees the end of the stream and starts anew. (``disconnect`` would wait; this does not.)
            writer: Any = getattr(self._connection, "_writer", None)
            if writer is not None:
                writer.close()

    async def _send(self, command: str, channel: bytes) -> None:
        """Send on the standing connection; without one, the next connection sends everything that is wanted."""
        connection = self._connection
        if connection is None or not self.connected or not connection.is_connected:
            return
        try:
            await connection.send_command(command, channel, check_health=False)
        except (RedisError, OSError):
            self.reconnect()

    async def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            connection: Any = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await connection.connect()
                    await self._subscribe_all(connection)
                backoff_s = FIRST_BACKOFF_S
                await self._read(connection)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("the bus lost Valkey: %s", error or type(error).__name__)
            except Exception:
                # Whatever it was: a worker without its bus would serve a dead room for ever.
                log.exception("the bus failed")
            finally:
                self.connected = False
                self._connection = None
                await _discard(connection)
            metrics.BUS_RECONNECTS.inc()
            # Full jitter keeps a group of workers from coming back in the same millisecond.
            await asyncio.sleep(random.uniform(0, backoff_s))
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    async def _subscribe_all(self, connection: AbstractConnection) -> None:
        for subscription in self._wanted.values():
            subscription.confirmed.clear()
        # One command a channel: rooms are in different slots. ``_connection`` is set in the same turn as the list of
        # channels is taken, so that a subscription made meanwhile is sent either here or by itself.
        self._connection, self.connected = connection, True
        self.connections += 1
        for channel in list(self._wanted):
            await connection.send_command("SSUBSCRIBE", channel, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        """Read until the connection fails; raises redis-py's errors or ``OSError``."""
        handled, probing = 0, False
        while True:
            # A stated timeout makes redis-py return None; without one its own setting would end the connection.
            answer = await connection.read_response(timeout=PROBE_S, disconnect_on_error=False, push_request=True)
            if answer is None:
                if probing:
                    raise TimeoutError("no sign of life")
                probing = True
                async with asyncio.timeout(PROBE_S):
                    await connection.send_command("PING", check_health=False)
                continue
            probing = False
            self._handle(answer)
            handled += 1
            if handled % _SLICE == 0:
                await asyncio.sleep(0)

    def _handle(self, answer: Any) -> None:
        if not isinstance(answer, list) or len(answer) < 3:
            return
        subscription = self._wanted.get(answer[1])
        if subscription is None:
            return
        try:
            if answer[0] == b"smessage":
                subscription.listener.on_message(answer[2])
            elif answer[0] == b"ssubscribe":
                subscription.confirmed.set()
                subscription.listener.on_subscribed()
        except Exception:
            # A message of a form nobody foresaw is one message lost, which positions will tell.
            log.exception("a message on %r could not be handled", answer[1])


async def _discard(connection: AbstractConnection) -> None:
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        await connection.disconnect(nowait=True)
