"""One table entry per operation: the router and the OpenAPI document are both made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON = "application/json"
SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Body:
    """A request's or response's content: its msgspec type (``None``: free text) and media type."""

    kind: Any = None
    media_type: str = JSON
    #: headers a response carries, by name, with their description
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """The type ``{items:[kind], next:cursor|null}``."""

    kind: Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation: how it is asked, what it answers, and with which codes it refuses."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    #: by status; several bodies are several media types; no body is an empty answer
    answers: Mapping[int, tuple[Body, ...]]
    body: Body | None = None
    #: who may ask: a grant, or nothing for everybody
    needs: str = ""
    #: codes of ``problems.KINDS`` beyond those every operation has
    refusals: tuple[str, ...] = ()
    #: query and header parameters beyond those of the path: (name, where, required, schema, description)
    parameters: tuple[tuple[str, str, bool, Mapping[str, Any], str], ...] = ()

    def route(self) -> web.RouteDef:
        """The entry for aiohttp's router (GET answers HEAD too)."""
        if self.method == "GET":
            return web.get(self.path, self.handler)
        return web.route(self.method, self.path, self.handler)


PAGE_PARAMETERS: tuple[tuple[str, str, bool, Mapping[str, Any], str], ...] = (
    ("after", "query", False, {"type": "string"}, "The `next` of the page before."),
    ("limit", "query", False, {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Items a page."),
)
