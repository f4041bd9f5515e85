"""The two documents that describe the server, made once at start from the types that validate."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import msgspec
from aiohttp import web

from livecommerce.http.asyncapi import asyncapi
from livecommerce.http.endpoints import Endpoint
from livecommerce.http.openapi import openapi
from livecommerce.schema.commands import COMMANDS
from livecommerce.schema.events import EVENTS


def routes(endpoints: Sequence[Endpoint]) -> list[web.RouteDef]:
    """``GET /openapi.json`` and ``GET /asyncapi.json``."""
    current = version("livecommerce")
    return [
        _document("/openapi.json", msgspec.json.encode(openapi(endpoints, version=current))),
        _document("/asyncapi.json", msgspec.json.encode(asyncapi(COMMANDS, EVENTS, version=current))),
    ]


def _document(path: str, body: bytes) -> web.RouteDef:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "max-age=60"})

    return web.get(path, handler)
