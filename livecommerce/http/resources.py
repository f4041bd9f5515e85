"""The public resources that no single domain knows whole, and the addresses in them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import msgspec
from aiohttp import web

from livecommerce.context import CONTEXT, Context
from livecommerce.http.access import GATE
from livecommerce.posters import poster_tag
from streams.models import Host, Stream, StreamState

#: a list asks Valkey thrice a stream: this many streams at once, so that one request cannot take every connection
_AT_ONCE = 8
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class StreamUrls(msgspec.Struct, frozen=True):
    """Absolute addresses of a stream."""

    whip: str
    whep: str
    ws: str
    watch: str


class PublicStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as everybody sees it."""

    id: str
    title: str
    state: StreamState
    host: Host
    created_ms: int
    viewers: int
    pinned: str | None
    urls: StreamUrls
    #: where the picture that stands for the show is; null where none was sent lately
    poster_url: str | None


async def public_stream(request: web.Request, stream: Stream) -> PublicStream:
    """The public form of one stream, with addresses as this request's client reaches the server."""
    return await _compose(request.app[CONTEXT], stream, base_url(request))


async def public_streams(request: web.Request, streams: Sequence[Stream]) -> list[PublicStream]:
    """The public forms of many streams, in the same order."""
    context, base = request.app[CONTEXT], base_url(request)
    composed: list[PublicStream] = []
    for start in range(0, len(streams), _AT_ONCE):
        part = streams[start : start + _AT_ONCE]
        composed += await asyncio.gather(*(_compose(context, stream, base) for stream in part))
    return composed


async def _compose(context: Context, stream: Stream, base: str) -> PublicStream:
    return PublicStream(
        id=stream.id,
        title=stream.title,
        state=stream.state,
        host=stream.host,
        created_ms=stream.created_ms,
        viewers=await context.presence.count(stream.id),
        pinned=await context.deals.pinned(stream.id),
        urls=urls_of(stream.id, base),
        poster_url=poster_url(stream.id, await poster_tag(context.redis, stream.id), base),
    )


def poster_url(stream_id: str, tag: str | None, base: str) -> str | None:
    """Where the poster with this tag is: another picture has another address."""
    return None if tag is None else f"{base}/api/v1/streams/{stream_id}/poster?v={tag}"


def urls_of(stream_id: str, base: str) -> StreamUrls:
    """A stream's addresses below a base such as ``https://example.org``."""
    return StreamUrls(
        whip=f"{base}/whip/{stream_id}",
        whep=f"{base}/whep/{stream_id}",
        # http → ws, https → wss
        ws=f"ws{base.removeprefix('http')}/ws/{stream_id}",
        watch=f"{base}/watch/{stream_id}",
    )


def base_url(request: web.Request) -> str:
    """The address people use, without a slash at the end: ``--public-url``, or what the request says.

    ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` count only from a trusted proxy; a Host that is none is replaced by
    the bind address, so that nobody can plant a foreign text in an address we hand out.
    """
    settings = request.app[CONTEXT].settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme, host = request.scheme, request.host
    if request.app[GATE].proxies.trusts(request.remote or ""):
        scheme = request.headers.get("X-Forwarded-Proto", scheme)
        host = request.headers.get("X-Forwarded-Host", host)
    if not _HOST.fullmatch(host):
        host = f"{settings.host}:{settings.port}"
    return f"{'https' if scheme == 'https' else 'http'}://{host}"
