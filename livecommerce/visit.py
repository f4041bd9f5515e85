"""A visit: who sends commands to which stream, what they may do there, and what a command is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from deals.models import Buyer
from livecommerce.auth import Grant, Identity
from livecommerce.context import Context


@dataclass(frozen=True)
class Visit:
    """Who sends commands, and to which stream."""

    context: Context
    stream_id: str
    host_id: str
    identity: Identity
    #: names the connection: what its replies say is not told to it again
    tag: str = ""
    #: the address that limits of addresses count for; "" has none
    address: str = ""

    @cached_property
    def buyer(self) -> Buyer:
        """This user, as deals know them."""
        return Buyer(self.identity.user_id, self.identity.name)

    def may(self, grant: Grant) -> bool:
        """Whether the token allows this here; hosting and moderating also depend on whose stream it is."""
        if grant is Grant.HOST:
            return self.identity.controls(self.stream_id, self.host_id)
        if grant is Grant.MODERATE:
            return self.identity.moderates(self.stream_id, self.host_id)
        return self.identity.may(grant, self.stream_id)

    async def may_now(self, grant: Grant) -> bool:
        """Whether this is allowed, asking Valkey where the host may have appointed a moderator."""
        if self.may(grant):
            return True
        asks = grant is Grant.MODERATE and self.identity.may(Grant.WATCH, self.stream_id)
        return asks and await self.context.chat.is_moderator(self.stream_id, self.identity.user_id)

    @property
    def appointed(self) -> bool:
        """Whether the host made this user a moderator, as far as is known here."""
        room = self.context.hub.room(self.stream_id)
        return room is not None and self.identity.user_id in room.moderators

    @property
    def roles(self) -> list[str]:
        """What this user publicly is in this stream."""
        if self.may(Grant.HOST):
            return ["host"]
        return ["moderator"] if self.may(Grant.MODERATE) or self.appointed else []

    @property
    def ended(self) -> bool:
        """Whether the stream ended while we were here."""
        room = self.context.hub.room(self.stream_id)
        return room is not None and room.ended


Handler = Callable[[Visit, Any], Awaitable[Any]]
#: hears what a command's reply says, or why there is none; once, on the loop
Told = Callable[[Any], None]
#: carries a command out without waiting: False when that cannot be done, and nothing was; raises refusals
Begin = Callable[[Visit, Any, Told], bool]


class Row(NamedTuple):
    """One command: who may, what it does, whether it needs a stream that goes on."""

    grant: Grant
    handler: Handler
    #: chat and deals end with the stream; what was held stays payable
    until_end: bool = True
    #: carried out one after the other on a connection, so that what one person says keeps its order
    in_order: bool = False
    #: does the same as ``handler`` without a task of its own, where it can
    begin: Begin | None = None
