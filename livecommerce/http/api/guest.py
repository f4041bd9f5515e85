"""Sign in without an account."""

from __future__ import annotations

import unicodedata
from typing import Annotated

import msgspec
from aiohttp import web

from livecommerce.auth import GUEST_GRANTS, MAX_NAME
from livecommerce.context import CONTEXT
from livecommerce.http.access import GATE, admit
from livecommerce.http.answers import json_answer
from livecommerce.http.bodies import read_json
from livecommerce.http.endpoints import Body, Endpoint
from livecommerce.ids import new_id
from livecommerce.problems import Problem


class GuestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the guest wants to be called."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class User(msgspec.Struct, frozen=True):
    """Who somebody is."""

    id: str
    name: str


class GuestAnswer(msgspec.Struct, frozen=True):
    """A token for twelve hours, and who it says its bearer is."""

    token: str
    user: User


async def sign_in(request: web.Request) -> web.Response:
    """``POST /api/v1/guest``."""
    context = request.app[CONTEXT]
    admit(request, request.app[GATE].guests)
    if not context.settings.guests_on:
        raise Problem("guests_off", "This server takes no guests; ask the shop for a token.")
    name = clean_name((await read_json(request, GuestRequest)).name)
    user = User(new_id("g"), name)
    token = context.tokens.mint(user.id, user.name, GUEST_GRANTS)
    return json_answer(GuestAnswer(token, user), 201, headers={"Cache-Control": "no-store"})


def clean_name(name: str) -> str:
    """The name as others see it: NFKC, no control or direction characters; raises ``invalid`` when nothing is left."""
    kept = (
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    shown = " ".join("".join(kept).split())[:MAX_NAME]
    if not shown:
        raise Problem("invalid", "The name needs at least one visible character.")
    return shown


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/v1/guest",
        sign_in,
        "Sign in as a guest, who may watch, chat, buy, and host streams of their own",
        "guest",
        {201: (Body(GuestAnswer),)},
        body=Body(GuestRequest),
        refusals=("guests_off",),
    ),
)
