"""The room: one WebSocket that joins, resumes by epoch and offset, answers commands, and yields events in order.

What is promised: a numbered event is yielded once, in order, across reconnects. Where the server cannot resume
(``recovered: false``) the ``joined`` event says so before anything else follows, and the history starts anew.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp

from livecommerce.client.errors import ClientError, RoomClosed, ServerError, Unreachable
from livecommerce.client.wire import Codec, Event, Json, Wire

#: the longest wait for the reply to a command
REPLY_TIMEOUT_S = 10.0
#: reconnecting waits a random time up to this, doubling from the first to the last
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.25, 5.0
#: a connection without a sign of life for this long is given up
HEARTBEAT_S = 20.0
#: what close codes 3500–3999 mean: do not come back
FINAL_CLOSE_CODES = range(3500, 4000)


class Room:
    """One stream's room. ``async with`` connects and joins; iterate for events; :meth:`do` sends a command.

    At most ``max_events`` events wait for the reader. When it is behind, latest-only events are dropped; when a
    numbered or private one had to be, the room reconnects once the reader has caught up and resumes from the last
    event it kept, so nothing is lost and a command awaited meanwhile is still answered.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        stream_id: str,
        token: str,
        *,
        codec: Codec = "json",
        max_events: int = 1000,
        epoch: str | None = None,
        offset: int | None = None,
    ) -> None:
        self.stream_id = stream_id
        #: the latest answer to ``join``
        self.joined: Json = {}
        self.epoch, self.offset = epoch, offset
        #: counters: connections after the first, events dropped because the reader was behind, holes in the numbering
        self.reconnects = self.dropped = self.gaps = 0
        self._session = session
        self._url = "ws" + base_url.removeprefix("http") + f"/ws/{stream_id}"
        self._token = token
        self._wire = Wire(codec)
        self._max_events = max_events
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._behind = self._was_joined = False
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._last_id = self._join_id = 0
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._end: ClientError | None = None

    # --- lifetime -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Connect and join; returns when joined. A first connection that fails is not retried."""
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"room {self.stream_id}")
        try:
            await self._ready
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Leave the room. Twice is safe."""
        self._finish(RoomClosed(1000, "left"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # --- events -------------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next_event()) is not None:
            yield event

    async def next_event(self) -> Event | None:
        """The next event; ``None`` when the stream ended or the room was left; raises when the server threw us out."""
        while not self._events:
            if self._end is not None:
                if isinstance(self._end, RoomClosed) and self._end.code in (1000, 3502):
                    return None
                raise self._end
            if self._behind and self._socket is not None:
                # The reader has caught up: reconnect, and the server sends what had to be dropped.
                socket, self._socket = self._socket, None
                await socket.close()
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()

    def is_history(self, event: Event) -> bool:
        """Whether a numbered event had already happened when the room was last joined (so: do not answer it)."""
        return event.offset is not None and event.offset <= self.joined["offset"]

    # --- commands -----------------------------------------------------------------------------------------------

    async def do(self, command: str, /, *, timeout_s: float = REPLY_TIMEOUT_S, **fields: Any) -> Json:
        """Send a command and return its ``ok``.

        Raises :class:`ServerError` when refused and :class:`Unreachable` when the connection was lost before the
        reply came (the command may have been carried out: use its ``key`` to ask again).
        """
        if self._end is not None:
            raise self._end
        if self._socket is None:
            raise Unreachable("not connected at the moment")
        number = self._number()
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(self._socket, {"id": number, "do": command, **fields})
                return await reply
        except TimeoutError as error:
            raise Unreachable(f"no reply to {command} within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{command}: {error}") from error
        finally:
            del self._replies[number]

    async def chat(self, text: str, **fields: Any) -> Json:
        """Say something: ``{id, offset}``."""
        return await self.do("chat.send", text=text, **fields)

    async def claim(
        self,
        deal_id: str,
        *,
        units: int = 1,
        key: str | None = None,
        payment_token: str | None = None,
        ticket: str | None = None,
        code: str | None = None,
    ) -> Json:
        """Claim units; the order. With ``payment_token`` it is paid at once; ``code`` is a discount code."""
        fields: Json = {"deal_id": deal_id, "units": units, "key": key or secrets.token_urlsafe(12)}
        given = {"payment_token": payment_token, "ticket": ticket, "code": code}
        fields |= {name: value for name, value in given.items() if value is not None}
        order: Json = (await self.do("deal.claim", **fields))["order"]
        return order

    async def pay(self, order_id: str, payment_token: str) -> Json:
        """Pay an order; the order."""
        order: Json = (await self.do("order.pay", order_id=order_id, payment_token=payment_token))["order"]
        return order

    def _number(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, message: Json) -> None:
        frame = self._wire.encode(message)
        await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    # --- the connection -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect, read until the connection ends, come back unless told not to."""
        backoff = FIRST_BACKOFF_S
        while self._end is None:
            failure = await self._connection()
            if self._session.closed:
                failure = RoomClosed(1000, "the session was closed")
            first = self._ready is not None and not self._ready.done()
            if first or self._session.closed or not _worth_retrying(failure):
                self._finish(failure)
                return
            # The full-jitter backoff keeps a room of thousands from coming back in the same millisecond.
            backoff = FIRST_BACKOFF_S if self._was_joined else min(backoff * 2, LAST_BACKOFF_S)
            await asyncio.sleep(random.uniform(0, backoff))
            self.reconnects += 1

    async def _connection(self) -> ClientError:
        """One connection from handshake to close; why it ended."""
        self._was_joined = False
        if self._session.closed:
            return RoomClosed(1000, "the session is closed")
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S) as joining, self._connect() as socket:
                await self._send(socket, self._join_message())
                async for frame in socket:
                    if frame.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        break
                    for message in self._wire.decode(frame.data):
                        self._take(message, socket)
                    if self._was_joined:
                        joining.reschedule(None)
                return RoomClosed(socket.close_code or 1006, "the server closed the connection")
        except ServerError as error:
            return error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
            return Unreachable(f"{self._url}: {str(error) or type(error).__name__}")
        finally:
            self._socket = None
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(Unreachable("the connection was lost before the reply came"))

    def _connect(self) -> Any:
        return self._session.ws_connect(
            self._url,
            protocols=(self._wire.protocol,),
            heartbeat=HEARTBEAT_S,
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )

    def _join_message(self) -> Json:
        self._join_id = self._number()
        message: Json = {"id": self._join_id, "do": "join", "token": self._token}
        if self.epoch is not None and self.offset is not None:
            message |= {"epoch": self.epoch, "offset": self.offset}
        return message

    def _take(self, message: Json, socket: aiohttp.ClientWebSocketResponse) -> None:
        if "re" not in message:
            if "type" in message:
                self._keep(Event.of(message))
        elif message["re"] == self._join_id:
            if "err" in message:
                raise ServerError.of_reply(message["err"])
            self._join(message["ok"], socket)
        elif (reply := self._replies.get(message["re"])) is not None and not reply.done():
            if "err" in message:
                reply.set_exception(ServerError.of_reply(message["err"]))
            else:
                reply.set_result(message.get("ok") or {})

    def _join(self, answer: Json, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.joined, self._socket, self._was_joined, self._behind = answer, socket, True, False
        if not answer.get("recovered") or answer["epoch"] != self.epoch:
            # What follows is the newest history, not a continuation; an empty log starts at 0.
            self.offset = 0 if answer["offset"] == 0 else None
        self.epoch = answer["epoch"]
        self._keep(Event("joined", answer))
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _keep(self, event: Event) -> None:
        """Queue an event, or drop it by the policy of the class's docstring."""
        offset = event.offset
        if offset is not None and self.offset is not None and offset <= self.offset:
            return
        if len(self._events) >= self._max_events or (offset is not None and self._behind):
            self.dropped += 1
            self._behind = self._behind or event.as_of is None
            return
        if offset is not None:
            self.gaps += self.offset is not None and offset != self.offset + 1
            self.offset = offset
        self._events.append(event)
        self._arrived.set()

    def _finish(self, end: ClientError) -> None:
        if self._end is None:
            self._end = end
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(end)
        self._arrived.set()


def _worth_retrying(failure: ClientError) -> bool:
    if isinstance(failure, ServerError):
        return failure.temporary
    return not (isinstance(failure, RoomClosed) and failure.code in FINAL_CLOSE_CODES)
