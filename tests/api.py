"""The HTTP API as a test sees it: one call, a status and a body; nothing is retried or hidden."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from livecommerce.ids import new_id

DEAL = {
    "title": "Flash mug",
    "price": {"amount": 500, "currency": "EUR"},
    "stock": 3,
    "per_buyer_limit": 1,
    "duration_s": 60,
    "hold_s": 60,
}


@dataclass(frozen=True)
class Answer:
    """A status and the decoded body."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The problem's code, or nothing."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


@dataclass(frozen=True)
class Person:
    """A guest: a token and who it says they are."""

    token: str
    id: str
    name: str


class Api:
    """One server's HTTP API; connections are kept and unbounded, for the load is the test's."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.close()

    async def call(
        self, method: str, path: str, person: Person | None = None, json: Any = None, key: str | None = None
    ) -> Answer:
        """One request; raises aiohttp's errors when no answer came."""
        headers = {}
        if person is not None:
            headers["Authorization"] = f"Bearer {person.token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        async with self.http.request(method, self.url + path, json=json, headers=headers) as response:
            is_json = "json" in response.content_type
            return Answer(response.status, await response.json(content_type=None) if is_json else await response.text())

    async def guest(self, name: str) -> Person:
        """Sign in as a guest."""
        answer = await self.call("POST", "/api/v1/guest", json={"name": name})
        assert answer.status == 201, answer
        return Person(answer.body["token"], answer.body["user"]["id"], answer.body["user"]["name"])

    async def stream(self, host: Person, title: str = "A show") -> str:
        """Create a stream; its id."""
        answer = await self.call("POST", "/api/v1/streams", host, {"title": title})
        assert answer.status == 201, answer
        return str(answer.body["id"])

    async def open_deal(self, host: Person, stream_id: str, **changes: Any) -> str:
        """Create a deal and open it; its id."""
        created = await self.call("POST", f"/api/v1/streams/{stream_id}/deals", host, DEAL | changes)
        assert created.status == 201, created
        path = f"/api/v1/streams/{stream_id}/deals/{created.body['id']}"
        opened = await self.call("POST", f"{path}/open", host)
        assert (opened.status, opened.body["state"]) == (200, "open"), opened
        return str(created.body["id"])

    async def claim(
        self, person: Person, stream_id: str, deal_id: str, key: str | None = None, units: int = 1
    ) -> Answer:
        """Claim units under a key (a fresh one unless given)."""
        path = f"/api/v1/streams/{stream_id}/deals/{deal_id}/claims"
        return await self.call("POST", path, person, {"units": units}, key=key or new_id("k"))

    async def deal(self, stream_id: str, deal_id: str) -> dict[str, Any]:
        """The deal now."""
        answer = await self.call("GET", f"/api/v1/streams/{stream_id}/deals/{deal_id}")
        assert answer.status == 200, answer
        return dict(answer.body)
