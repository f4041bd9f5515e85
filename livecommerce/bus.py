"""The bus: one connection a worker on which Valkey tells what happens in the rooms that are open here.

Sharded pub/sub is at most once. The bus therefore only promises to *notice*: after every (re)subscription it tells
the listener, which compares positions and reads what it missed from the log. A connection that has been silent is
asked for a sign of life; one that fails is replaced, after a jittered wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce import room_metrics as metrics
from livecommerce.bus_wire import BusWire
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
        self._wire: BusWire | None = None
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
                self._send(b"SSUBSCRIBE", name)
                await subscription.confirmed.wait()
        except BaseException:
            self._wanted.pop(name, None)
            raise

    async def unsubscribe(self, channel: str, listener: Listener) -> None:
        """Hear no more of a channel; nothing happens when the channel has another listener by now."""
        name = channel.encode()
        if (subscription := self._wanted.get(name)) is not None and subscription.listener is listener:
            del self._wanted[name]
            self._send(b"SUNSUBSCRIBE", name)

    def reconnect(self) -> None:
        """Give this connection up: it looks alive, but messages were missed."""
        if self._wire is not None:
            self.connected = False
            self._wire.close()

    def _send(self, command: bytes, channel: bytes) -> None:
        """Send on the standing connection; without one, the next connection sends everything that is wanted."""
        if self._wire is not None and self.connected:
            self._wire.send(command, channel)

    async def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            wire = BusWire(self._handle)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await wire.connect(self._redis)
                self._subscribe_all(wire)
                backoff_s = FIRST_BACKOFF_S
                await self._watch(wire)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("the bus lost Valkey: %s", error or type(error).__name__)
            except Exception:
                # Whatever it was: a worker without its bus would serve a dead room for ever.
                log.exception("the bus failed")
            finally:
                self.connected = False
                self._wire = None
                wire.close()
            metrics.BUS_RECONNECTS.inc()
            # Full jitter keeps a group of workers from coming back in the same millisecond.
            await asyncio.sleep(random.uniform(0, backoff_s))
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def _subscribe_all(self, wire: BusWire) -> None:
        for subscription in self._wanted.values():
            subscription.confirmed.clear()
        # One command a channel: rooms are in different slots.
        self._wire, self.connected = wire, True
        self.connections += 1
        for channel in self._wanted:
            wire.send(b"SSUBSCRIBE", channel)

    async def _watch(self, wire: BusWire) -> None:
        """Until the connection fails: ask a silent one for a sign of life. Raises ``OSError``, ``TimeoutError``."""
        probing = False
        while True:
            wire.heard = False
            done, _ = await asyncio.wait([wire.lost], timeout=PROBE_S)
            if done:
                raise ConnectionResetError("Connection closed by server.")
            if wire.heard:
                probing = False
            elif probing:
                raise TimeoutError("no sign of life")
            else:
                probing = True
                wire.send(b"PING")

    def _handle(self, answer: list[Any]) -> None:
        if len(answer) < 3:
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
