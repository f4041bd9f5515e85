"""Connections that ask nothing: how long a new one may be silent, and how many may be at once.

aiohttp waits for ever for a connection's first request. Who opens connections and sends half a head each would so take
every socket that the process may have, without meeting any limit: limits count requests.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from aiohttp import web

#: a new connection has this long until its first request's head is whole; a TLS handshake as long once more
HEAD_S = 10.0
#: between two requests, the next one's head included; more than proxies keep an idle connection
KEEPALIVE_S = 75.0
#: new connections that have not asked yet; beyond it the oldest is closed. Real ones ask within milliseconds
MOST_SILENT = 10_000


class Patience:
    """The connections of one worker that have not asked anything yet."""

    def __init__(self) -> None:
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def watched(self, make: Callable[[], asyncio.BaseProtocol]) -> Callable[[], asyncio.BaseProtocol]:
        """A factory of the same connections, each of which has to be :meth:`heard`."""
        loop = asyncio.get_running_loop()

        def made() -> asyncio.BaseProtocol:
            connection = make()
            self._silent[connection] = loop.call_later(HEAD_S, self._end, connection)
            if len(self._silent) > MOST_SILENT:
                self._end(next(iter(self._silent)))
            return connection

        return made

    def heard(self, connection: asyncio.BaseProtocol) -> None:
        """It asked something. Hot path: every request of every connection comes by here."""
        timer = self._silent.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _end(self, connection: asyncio.BaseProtocol) -> None:
        self.heard(connection)
        transport = getattr(connection, "transport", None)
        if transport is not None:
            transport.abort()


PATIENCE: web.AppKey[Patience] = web.AppKey("patience", Patience)


class PublicSite(web.BaseSite):
    """The public port: aiohttp's TCPSite, with patience; shared by all workers."""

    def __init__(
        self,
        runner: web.AppRunner,
        hosts: Sequence[str],
        port: int,
        *,
        ssl_context: ssl.SSLContext | None,
        backlog: int,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=backlog)
        self._hosts, self._port = hosts, port

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"{', '.join(self._hosts)}:{self._port}"

    async def start(self) -> None:
        """Listen; raises ``OSError`` where that is not possible."""
        await super().start()
        runner = self._runner
        assert isinstance(runner, web.AppRunner)
        assert runner.server is not None
        self._server = await asyncio.get_running_loop().create_server(
            runner.app[PATIENCE].watched(runner.server),
            self._hosts,
            self._port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=HEAD_S if self._ssl_context else None,
            backlog=self._backlog,
            reuse_port=True,
        )
