"""A small fake server that speaks the documented wire of rooms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from livecommerce.client.wire import Wire

Json = dict[str, Any]


class FakeRoom:
    """One room's log; each connection is handed to ``script`` after its join was answered."""

    def __init__(self) -> None:
        self.log: list[Json] = []
        self.joins: list[Json] = []
        self.refuse: Json | None = None
        self.script: Callable[[web.WebSocketResponse, Wire], Awaitable[None]] = self.answer_commands
        self.recover = True

    def say(self, text: str) -> Json:
        event = {"offset": len(self.log) + 1, "type": "chat.message", "at_ms": 1, "data": {"text": text}}
        self.log.append(event)
        return event

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("livecommerce.v1.json", "livecommerce.v1.msgpack"))
        await socket.prepare(request)
        wire = Wire("msgpack" if socket.ws_protocol == "livecommerce.v1.msgpack" else "json")
        (join,) = wire.decode((await socket.receive()).data)
        self.joins.append(join)
        if self.refuse is not None:
            await send(socket, wire, {"re": join["id"], "err": self.refuse})
            await socket.close(code=3500)
            return socket
        recovered = self.recover and join.get("epoch") == "e1"
        missed = self.log[join["offset"] :] if recovered else self.log[-50:]
        ok = {"epoch": "e1", "offset": len(self.log), "recovered": recovered}
        await send(socket, wire, [{"re": join["id"], "ok": ok}, *missed])
        await self.script(socket, wire)
        return socket

    async def answer_commands(self, socket: web.WebSocketResponse, wire: Wire) -> None:
        async for frame in socket:
            for command in wire.decode(frame.data):
                if command["do"] == "chat.send":
                    await send(socket, wire, self.say(command["text"]))
                    await send(socket, wire, {"re": command["id"], "ok": {"offset": len(self.log)}})
                elif command["do"] == "deal.claim":
                    error = {"code": "sold_out", "message": "All gone.", "temporary": False}
                    await send(socket, wire, {"re": command["id"], "err": error})


async def send(socket: web.WebSocketResponse, wire: Wire, message: Any) -> None:
    payload = wire.encode(message)
    await (socket.send_str(payload) if isinstance(payload, str) else socket.send_bytes(payload))
