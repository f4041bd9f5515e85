"""Passing a request to the worker it concerns, and its answer back; bounded in time and size."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from livecommerce.http.access import client_address
from livecommerce.http.bodies import MAX_SDP_BYTES
from livecommerce.http.hops import HEADER, SignedHops
from livecommerce.http.metrics import PROXIED

#: a worker accepts within milliseconds; an answer to an offer takes a worker under load at most a second or two
TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=2)
#: connections to all other workers together
_CONNECTIONS = 64

_REQUEST_HEADERS = ("Authorization", "Content-Type", "If-Match", "Accept", "Host")
_RESPONSE_HEADERS = ("Content-Type", "Location", "ETag", "Link", "Accept-Post", "Accept-Patch", "Retry-After",
                     "WWW-Authenticate", "Allow", "Cache-Control")  # fmt: skip


class OwnerUnreachable(Exception):
    """The other worker did not answer; ``refused`` when it does not even listen, so it certainly did nothing."""

    def __init__(self, detail: str, *, refused: bool) -> None:
        super().__init__(detail)
        self.refused = refused


class WorkerProxy:
    """One pool of connections to the other workers."""

    def __init__(self, hops: SignedHops) -> None:
        self._hops = hops
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                timeout=TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )

    async def aclose(self) -> None:
        """Close the pool; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def forward(self, request: web.Request, address: str, body: bytes) -> web.Response:
        """Ask the worker at ``address`` the same; raises :class:`OwnerUnreachable`."""
        headers = CIMultiDict((n, request.headers[n]) for n in _REQUEST_HEADERS if n in request.headers)
        headers[HEADER] = self._hops.header(request.method, request.raw_path, client_address(request))
        status, answered, text = await self._send(request.method, address + request.raw_path, headers, body)
        kept = CIMultiDict((n, v) for n in _RESPONSE_HEADERS for v in answered.getall(n, []))
        return web.Response(status=status, headers=kept, body=text)

    async def tell(self, address: str, path: str) -> None:
        """POST an internal instruction; raises :class:`OwnerUnreachable` unless it was done."""
        headers = CIMultiDict({HEADER: self._hops.header("POST", path, "")})
        status, _, _ = await self._send("POST", address + path, headers, b"")
        if status >= 300:
            raise OwnerUnreachable(f"answered {status}", refused=False)

    async def ask(self, address: str, path: str) -> bytes:
        """GET something internal; raises :class:`OwnerUnreachable` unless it was answered."""
        headers = CIMultiDict({HEADER: self._hops.header("GET", path, "")})
        status, _, body = await self._send("GET", address + path, headers, b"")
        if status != 200:
            raise OwnerUnreachable(f"answered {status}", refused=False)
        return body

    async def _send(
        self, method: str, url: str, headers: CIMultiDict[str], body: bytes
    ) -> tuple[int, CIMultiDict[str], bytes]:
        assert self._session is not None, "the proxy was not started"
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                text = await answer.content.read(MAX_SDP_BYTES + 1)
                while not answer.content.at_eof() and len(text) <= MAX_SDP_BYTES:
                    text += await answer.content.read(MAX_SDP_BYTES + 1 - len(text))
                if len(text) > MAX_SDP_BYTES:
                    raise OwnerUnreachable("its answer was too long", refused=False)
                PROXIED.labels("answered").inc()
                return answer.status, CIMultiDict(answer.headers), text
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            PROXIED.labels("unreachable").inc()
            refused = isinstance(error, aiohttp.ClientConnectorError)
            raise OwnerUnreachable(str(error) or type(error).__name__, refused=refused) from error


PROXY: web.AppKey[WorkerProxy] = web.AppKey("proxy", WorkerProxy)
