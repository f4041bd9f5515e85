"""How a worker gets the ticket by which it pulls a stream's media from its home (see ``streams/pipes.py``).

The request goes from worker to worker; the ticket, which is a secret, comes through Valkey, once, and expires there.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from livecommerce import keys
from livecommerce.context import CONTEXT, Context
from livecommerce.http.bodies import path_id
from livecommerce.http.hops import HOP
from livecommerce.http.proxy import OwnerUnreachable, WorkerProxy
from livecommerce.problems import Problem
from streams.errors import StreamEnded
from streams.pipe_ticket import Ticket, unpack

#: seconds a ticket waits to be taken
TICKET_S = 10


class PipeTickets:
    """The relay's :class:`streams.pipes.PipeExchange`."""

    def __init__(self, context: Context, proxy: WorkerProxy) -> None:
        self._context = context
        self._proxy = proxy

    async def pull(self, stream_id: str) -> Ticket | None:
        """A fresh ticket of the stream's home; None when that is here, gone, or does not answer."""
        context = self._context
        if (await context.streams.get(stream_id)).state == "ended":
            raise StreamEnded("The stream has ended.")
        home = await context.redis.get(keys.home(stream_id))
        worker_id = home.decode() if isinstance(home, bytes) else home
        if not worker_id or worker_id == context.worker_id:
            return None
        address = await context.workers.address_of(worker_id)
        if address is None:
            return None
        number = secrets.token_urlsafe(16)
        try:
            await self._proxy.tell(address, f"/internal/streams/{stream_id}/pipes/{number}")
        except OwnerUnreachable:
            return None
        found = await context.redis.getdel(keys.pipe(stream_id, number))
        return unpack(found) if isinstance(found, bytes) else None


async def serve(request: web.Request) -> web.Response:
    """``POST /internal/streams/{stream_id}/pipes/{number}``: another worker asks for a ticket."""
    if request.get(HOP) is None:
        raise Problem("not_found", "Not Found.")
    context = request.app[CONTEXT]
    stream_id, number = path_id(request, "stream_id"), path_id(request, "number")
    ticket = context.relay.serve_pipe(stream_id)
    await context.redis.set(keys.pipe(stream_id, number), ticket.pack(), ex=TICKET_S)
    return web.Response(status=204)
