"""A buyer's way into a sale: HTTP or WebSocket. Both time a claim from the wish to the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import aiohttp

from livecommerce.client import Client, Room, ServerError, Unreachable


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claim: ``outcome`` is ``accepted`` or the refusal's code; times by the monotonic clock."""

    way: str
    buyer: int
    key: str
    outcome: str
    order_id: str | None
    started_s: float
    ended_s: float

    @property
    def took_ms(self) -> float:
        """From the wish to the answer; over HTTP the wait for a free connection is part of it."""
        return (self.ended_s - self.started_s) * 1000


class Way(Protocol):
    """How one buyer reaches the deal."""

    buyer: int

    async def enter(self) -> None:
        """Get ready; not timed."""

    async def leave(self) -> None:
        """Be gone; twice is safe."""

    async def attempt(self, key: str, due_s: float | None = None) -> Attempt:
        """Claim one unit; timed from ``due_s``, or from now."""


class _Way:
    name: ClassVar[str]
    _count: ClassVar[int] = 0

    def __init__(self, client: Client, stream_id: str, deal_id: str) -> None:
        _Way._count += 1
        self.buyer = _Way._count
        self._client, self._stream_id, self._deal_id = client, stream_id, deal_id

    async def _claim(self, key: str) -> dict[str, Any]:
        raise NotImplementedError

    async def attempt(self, key: str, due_s: float | None = None) -> Attempt:
        """Claim one unit under this key; timed from ``due_s``, or from now."""
        started_s = time.monotonic() if due_s is None else due_s
        order_id: str | None = None
        try:
            order_id, outcome = (await self._claim(key))["id"], "accepted"
        except ServerError as error:
            outcome = error.code
        except Unreachable:
            outcome = "no answer"
        return Attempt(self.name, self.buyer, key, outcome, order_id, started_s, time.monotonic())


class HttpWay(_Way):
    """Claims by POST over a shared pool of connections."""

    name = "http"

    @staticmethod
    def pool(connections: int) -> aiohttp.ClientSession:
        """The connections that all buyers over HTTP share."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))

    async def enter(self) -> None:
        """Nothing to do: the pool connects when asked."""

    async def leave(self) -> None:
        """Nothing to do."""

    async def _claim(self, key: str) -> dict[str, Any]:
        return await self._client.claim(self._stream_id, self._deal_id, key=key)


class WebSocketWay(_Way):
    """Claims by command in the room, where the buyer also hears what all others hear."""

    name = "websocket"
    _room: Room | None = None

    @staticmethod
    def pool(_connections: int) -> aiohttp.ClientSession:
        """A socket for each buyer, however many."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def enter(self) -> None:
        """Join the room."""
        # Few events are kept: nobody reads them here, yet the server has to send them.
        self._room = self._client.room(self._stream_id, max_events=8)
        await self._room.start()

    async def leave(self) -> None:
        """Leave the room."""
        if self._room is not None:
            await self._room.aclose()

    async def _claim(self, key: str) -> dict[str, Any]:
        assert self._room is not None, "enter first"
        return await self._room.claim(self._deal_id, key=key)
