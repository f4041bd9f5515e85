"""``GET /ws/{stream_id}``: a viewer's connection, from its join to its close code.

Everything that comes in is hostile: at most 16 KiB a message, a join within 10 s, a bounded rate of commands, a
bounded number of them at work at once (then nothing more is read, and the client's own network holds it back).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from livecommerce import room_metrics as metrics
from livecommerce.at_work import AtWork
from livecommerce.close_codes import CloseCode
from livecommerce.commands import ANY_COMMAND, Accepted, Refused, command_id, convert, read_command, refusal_of
from livecommerce.context import CONTEXT, Context
from livecommerce.doors import DOORS
from livecommerce.frames import CODECS, JSON, Undecodable, pong
from livecommerce.http.access import client_address
from livecommerce.hub import Arrival
from livecommerce.limits import Bucket, Rate, bucket_of, is_loopback
from livecommerce.member import Member
from livecommerce.parsed import ParsedSocket
from livecommerce.problems import Problem
from livecommerce.schema.command import Command
from livecommerce.schema.commands import Join
from livecommerce.visit import Visit
from livecommerce.welcome import STREAM_ID, admission, refuse_full, welcome

log = logging.getLogger(__name__)

#: a message, at most
MAX_MESSAGE_BYTES = 16 * 1024
#: how long the first message may take
JOIN_TIMEOUT_S = 10.0
#: refusals for asking too fast, at once; who goes on gets 3503
STRIKES = Rate(5, 200)
#: how long a close frame (and what waits before it) may take to leave, before the connection is cut
CLOSE_GRACE_S = 5.0
#: the frames that carry messages
_DATA = frozenset((WSMsgType.TEXT, WSMsgType.BINARY))
#: decode a joined client's commands, by codec
_READERS = {codec: codec.reader(ANY_COMMAND) for codec in CODECS.values()}
#: what the close codes of a refused join are
_CLOSES = {
    "token_invalid": CloseCode.BAD_TOKEN,
    "token_expired": CloseCode.BAD_TOKEN,
    "token_required": CloseCode.BAD_TOKEN,
    "forbidden": CloseCode.BAD_TOKEN,
    "banned": CloseCode.BANNED,
    "stream_not_found": CloseCode.STREAM_ENDED,
    "stream_ended": CloseCode.STREAM_ENDED,
    "invalid": CloseCode.PROTOCOL_ERROR,
}


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [web.get("/ws/{stream_id}", handle)]


async def handle(request: web.Request) -> web.StreamResponse:
    """One connection, for as long as it lasts."""
    return await serve(request, Connection, MAX_MESSAGE_BYTES)


async def serve(request: web.Request, kind: type[Connection], max_bytes: int) -> web.StreamResponse:
    """Shake hands, and serve a connection of this kind."""
    with request.app[DOORS].enter(request):
        return await _serve(request, kind, max_bytes)


async def _serve(request: web.Request, kind: type[Connection], max_bytes: int) -> web.StreamResponse:
    # One more than the limit: aiohttp refuses a message *of* its limit.
    socket = ParsedSocket(
        compress=False,
        max_msg_size=max_bytes + 1,
        protocols=tuple(CODECS),
        autoping=False,
        timeout=CLOSE_GRACE_S,
    )
    await socket.prepare(request)
    # They have been sent, and would be kept as long as the connection lasts: 0.8 of the 21 KB that it takes.
    socket.headers.clear()
    connection = kind(request, socket)
    try:
        await connection.serve()
    finally:
        await connection.aclose()
        socket.forget()
    return socket


class Connection:
    """A WebSocket and what it is doing."""

    def __init__(self, request: web.Request, socket: ParsedSocket) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._request = request
        self._socket = socket
        self._transport: asyncio.Transport = transport
        self._context: Context = request.app[CONTEXT]
        self._stream_id = request.match_info["stream_id"]
        address = client_address(request)
        self._address = "" if is_loopback(address) else bucket_of(address)
        self._codec = CODECS.get(socket.ws_protocol or "", JSON)
        self._loop = asyncio.get_running_loop()
        self._member: Member | None = None
        self._visit: Visit | None = None
        now_s = self._loop.time()
        self._rate, self._strikes = Bucket(self._context.settings.limit.commands, now_s), Bucket(STRIKES, now_s)
        self._at_work = AtWork(self._reply)
        #: whether the connection's task waits for a message, and none is queued
        self._resting = False
        self._closing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Join, then carry out commands until the connection ends."""
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                first = await self._receive()
        except TimeoutError:
            self._close(CloseCode.PROTOCOL_ERROR)
            return
        if first is None or not await self._join(first):
            return
        self._socket.queue.take = self._take
        while (data := await self._receive_data()) is not None:
            await self._at_work.room()
            if not self._command(data):
                return

    async def aclose(self) -> None:
        """Leave the room, let commands that are at work finish (their replies go nowhere), see the closing through."""
        if self._member is not None:
            self._member.leave()
            metrics.CONNECTIONS.labels(self._codec.name).dec()
        await self._at_work.aclose()
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)
        # What calls us back goes with us: a cycle would keep 20 KB for each viewer until the collector comes.
        self._socket.queue.take = None
        self._member = None

    # --- reading ------------------------------------------------------------------------------------------------

    async def _receive(self) -> dict[str, Any] | None:
        """The next decoded message; ``None`` when the connection is over (closed with 3503 for what is none)."""
        data = await self._receive_data()
        return None if data is None else self._decoded(data)

    def _decoded(self, data: str | bytes) -> dict[str, Any] | None:
        with contextlib.suppress(Undecodable):
            message = self._codec.decode(data)
            if isinstance(message, dict):
                return message
        self._close(CloseCode.PROTOCOL_ERROR)
        return None

    async def _receive_data(self) -> str | bytes | None:
        """The next message as it came, pings answered meanwhile; ``None`` when the connection is over."""
        while True:
            # Where that has to wait, nothing is queued: what comes then may be taken at once, and in order.
            self._resting = True
            frame = await self._socket.receive()
            self._resting = False
            if self._member is not None:
                self._member.last_heard_s = self._loop.time()
            if frame.type is WSMsgType.PING:
                if self._rate.take(self._loop.time()) is None:
                    self._write(pong(frame.data))
            elif frame.type in _DATA:
                data: str | bytes = frame.data
                return data
            elif frame.type is not WSMsgType.PONG:
                return None

    # --- joining ------------------------------------------------------------------------------------------------

    async def _join(self, message: dict[str, Any]) -> bool:
        """Carry out the join; False when it was refused (the connection is closing then)."""
        number = command_id(message)
        if number is None or message.get("do") != "join":
            self._close(CloseCode.PROTOCOL_ERROR)
            return False
        try:
            join: Join = convert(message, Join)
            await self._enter(join)
        except Exception as error:
            refusal = refusal_of(error)
            self._write(self._codec.frame([self._codec.encode(Refused(number, refusal))]))
            self._close(_CLOSES.get(refusal.code, CloseCode.UNAVAILABLE))
            return False
        return self._closing is None

    async def _enter(self, join: Join) -> None:
        identity = self._context.tokens.verify(join.token)
        if not STREAM_ID.fullmatch(self._stream_id):
            raise Problem("stream_not_found", "There is no such stream.")
        visit = await admission(self._context, self._stream_id, identity)
        refuse_full(visit)
        member = Member(
            self._transport,
            self._codec,
            user_id=identity.user_id,
            roles=visit.roles,
            expires_s=identity.expires_s,
            single=identity.single,
            shut=self._shut,
            now_s=self._loop.time(),
        )
        arrival: Arrival = await self._context.hub.arrive(self._stream_id, member, epoch=join.epoch, offset=join.offset)
        self._member = member
        metrics.CONNECTIONS.labels(self._codec.name).inc()
        ok = await welcome(self._request, visit, arrival)
        await self._context.hub.settle(arrival, member, self._codec.encode(Accepted(join.id, ok)))
        self._visit = replace(visit, tag=member.tag, address=self._address)

    # --- commands -----------------------------------------------------------------------------------------------

    def _take(self, frame: WSMessage) -> bool:
        """Begin the command that was just parsed; False, and it is queued, where it has to wait. Hot path."""
        if not self._resting or frame.type not in _DATA or self._closing is not None or not self._at_work.has_room:
            self._resting = False
            return False
        if self._member is not None:
            self._member.last_heard_s = self._loop.time()
        try:
            self._command(frame.data)
        except Exception:
            log.exception("a command broke its connection")
            self._close(CloseCode.UNAVAILABLE)
        return True

    def _command(self, data: str | bytes) -> bool:
        """Begin one command, for which there is room; False when the connection is to end. Hot path."""
        assert self._visit is not None
        message: Command | dict[str, Any] | None
        try:
            message = _READERS[self._codec](data)
        except Undecodable:
            # Not a command as it should be: what is wrong with it is found step by step.
            if (message := self._decoded(data)) is None:
                return False
        try:
            wait_ms = self._rate.take(self._loop.time())
            if wait_ms is not None:
                if self._strikes.take(self._loop.time()) is not None:
                    self._close(CloseCode.PROTOCOL_ERROR)
                    return False
                raise Problem("rate_limited", "Too many commands on this connection.", retry_after_ms=wait_ms)
            name, row, command = read_command(message)
        except Problem as problem:
            self._reply(Refused(command_id(message), refusal_of(problem)))
            return True
        self._at_work.begin(self._visit, name, row, command)
        return True

    def _reply(self, reply: Accepted | Refused) -> None:
        if self._member is not None:
            try:
                body = self._codec.encode(reply)
            except (TypeError, ValueError, msgspec.MsgspecError) as error:
                body = self._codec.encode(Refused(reply.re, refusal_of(error)))
            self._member.reply(body)

    # --- closing ------------------------------------------------------------------------------------------------

    def _write(self, frame: bytes) -> None:
        """Write before (or without) being a member."""
        if self._member is not None:
            self._member.outbox.write(frame)
        elif not self._transport.is_closing() and self._closing is None:
            self._transport.write(frame)

    def _close(self, code: CloseCode) -> None:
        if self._member is not None:
            self._member.close(code)
        elif self._closing is None:
            metrics.CLOSED.labels(str(int(code))).inc()
            self._shut(code)

    def _shut(self, code: CloseCode) -> None:
        """Begin to close; :meth:`aclose` waits for it."""
        if self._closing is None:
            # A stalled reader would keep the socket (and half a megabyte) for ever.
            self._loop.call_later(CLOSE_GRACE_S, self._transport.abort)
            self._closing = self._loop.create_task(self._say_goodbye(code))

    async def _say_goodbye(self, code: CloseCode) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=code, message=code.reason.encode(), drain=False)
