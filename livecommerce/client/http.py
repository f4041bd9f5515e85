"""The HTTP half of the client: sign in, and every documented request as a method."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from livecommerce.client.errors import ServerError, Unreachable
from livecommerce.client.room import Room
from livecommerce.client.wire import Codec, Json

#: the longest wait for one HTTP answer; a claim's is a few milliseconds
REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """The answer to a WHIP or WHEP offer: the SDP, and the URL to end the session with ``DELETE``."""

    sdp: str
    location: str
    etag: str


class Client:
    """A person (or robot) on one server: holds the token, makes requests, opens rooms. Use it with ``async with``."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._session = session
        self._owns_session = session is None
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections (not those of a session that was handed in). Twice is safe."""
        if self._session is not None and self._owns_session:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The aiohttp session, made on first use (it needs a running loop)."""
        if self._session is None:
            # Rooms stay open for hours; aiohttp's default of 100 connections would silently queue the 101st.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    async def request(
        self, method: str, path: str, *, json: Json | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """One request below ``base_url``; the decoded JSON, or the text of another type.

        Raises :class:`ServerError` for a refusal and :class:`Unreachable` when no answer came.
        """
        body = None if json is None else orjson.dumps(json)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        status, got, content = await self._exchange(method, path, body, sent | (headers or {}))
        decoded = _decoded(got.get("Content-Type", ""), content)
        if status >= 400:
            raise ServerError.of_problem(status, decoded)
        if status == 202:
            raise ServerError(
                "outcome_unknown", "Not known yet: ask again with the same key.", status=202, temporary=True
            )
        return decoded

    async def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self.token is not None:
            headers = {"Authorization": f"Bearer {self.token}"} | headers
        url = path if path.startswith("http") else self.base_url + path
        try:
            async with self.session.request(method, url, data=body, headers=headers, timeout=self._timeout) as answer:
                return answer.status, answer.headers, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{method} {path}: {str(error) or type(error).__name__}") from error

    # --- who I am -----------------------------------------------------------------------------------------------

    async def sign_in(self, name: str) -> Json:
        """Become a guest; the client keeps the token. Returns the user ``{id, name}``."""
        answer: Json = await self.request("POST", "/api/v1/guest", json={"name": name})
        self.token = answer["token"]
        user: Json = answer["user"]
        return user

    # --- streams --------------------------------------------------------------------------------------------------

    async def create_stream(self, title: str) -> Json:
        """A new stream with the bearer as its host."""
        return await self._object("POST", "/api/v1/streams", {"title": title})

    async def streams(self, *, after: str | None = None, limit: int = 50) -> Json:
        """A page of streams, live ones first: ``{items, next}``."""
        return await self._object("GET", f"/api/v1/streams?limit={limit}" + (f"&after={after}" if after else ""))

    async def stream(self, stream_id: str) -> Json:
        """One stream."""
        return await self._object("GET", f"/api/v1/streams/{stream_id}")

    async def end_stream(self, stream_id: str) -> None:
        """End a stream (host)."""
        await self.request("DELETE", f"/api/v1/streams/{stream_id}")

    async def put_poster(self, stream_id: str, jpeg: bytes) -> None:
        """Send the picture that stands for a stream (host): a baseline JPEG of at most 64 KiB."""
        path = f"/api/v1/streams/{stream_id}/poster"
        status, headers, content = await self._exchange("PUT", path, jpeg, {"Content-Type": "image/jpeg"})
        if status != 204:
            raise ServerError.of_problem(status, _decoded(headers.get("Content-Type", ""), content))

    # --- products and deals ---------------------------------------------------------------------------------------

    async def put_product(self, stream_id: str, product_id: str, spec: Json) -> Json:
        """Show or change a product (host)."""
        return await self._object("PUT", f"/api/v1/streams/{stream_id}/products/{product_id}", spec)

    async def pin_product(self, stream_id: str, product_id: str) -> None:
        """Pin a product on the viewers' screens (host)."""
        await self.request("POST", f"/api/v1/streams/{stream_id}/products/{product_id}/pin")

    async def create_deal(self, stream_id: str, spec: Json) -> Json:
        """A new deal in state ``scheduled`` (host)."""
        return await self._object("POST", f"/api/v1/streams/{stream_id}/deals", spec)

    async def deals(self, stream_id: str) -> list[Json]:
        """The stream's deals."""
        items: list[Json] = (await self.request("GET", f"/api/v1/streams/{stream_id}/deals"))["items"]
        return items

    async def deal(self, stream_id: str, deal_id: str) -> Json:
        """One deal, as it is now."""
        return await self._object("GET", f"/api/v1/streams/{stream_id}/deals/{deal_id}")

    async def step_deal(self, stream_id: str, deal_id: str, step: str, body: Json | None = None) -> Json:
        """``open``, ``extend`` (with ``{"seconds": n}``), ``close`` or ``cancel`` a deal (host)."""
        return await self._object("POST", f"/api/v1/streams/{stream_id}/deals/{deal_id}/{step}", body)

    # --- orders -----------------------------------------------------------------------------------------------------

    async def claim_ticket(self, stream_id: str, deal_id: str) -> Json:
        """A ticket for a ticketed deal, from 60 s before it opens: ``{ticket, expires_ms}``."""
        return await self._object("POST", f"/api/v1/streams/{stream_id}/deals/{deal_id}/ticket")

    async def claim(
        self,
        stream_id: str,
        deal_id: str,
        *,
        units: int = 1,
        key: str | None = None,
        ticket: str | None = None,
        code: str | None = None,
    ) -> Json:
        """Claim units (of a ticketed deal with a ``ticket``, perhaps with a discount ``code``); the order.

        Without ``key`` a fresh one is made, and then a lost answer cannot be asked for again: pass your own key and,
        on :class:`Unreachable` or ``outcome_unknown``, call again with the same one.
        """
        path = f"/api/v1/streams/{stream_id}/deals/{deal_id}/claims"
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(12)}
        given = {"ticket": ticket, "code": code}
        body: Json = {"units": units} | {name: value for name, value in given.items() if value is not None}
        answer: Json = await self.request("POST", path, json=body, headers=headers)
        return answer

    async def pay(self, order_id: str, payment_token: str) -> Json:
        """Pay an order; declined raises ``payment_declined``."""
        return await self._object("POST", f"/api/v1/orders/{order_id}/pay", {"payment_token": payment_token})

    async def cancel_order(self, order_id: str) -> Json:
        """Give a hold back."""
        return await self._object("POST", f"/api/v1/orders/{order_id}/cancel")

    async def order(self, order_id: str) -> Json:
        """One own order."""
        return await self._object("GET", f"/api/v1/orders/{order_id}")

    async def journal(self, stream_id: str, *, after: str | None = None, limit: int = 500) -> Json:
        """A page of the order journal (host): ``{items, next}``."""
        path = f"/api/v1/streams/{stream_id}/orders?limit={limit}" + (f"&after={after}" if after else "")
        return await self._object("GET", path)

    # --- media and rooms ------------------------------------------------------------------------------------------

    async def offer(self, kind: str, stream_id: str, sdp: str) -> MediaAnswer:
        """Send an SDP offer: ``kind`` is ``whip`` (publish) or ``whep`` (view)."""
        path = f"/{kind}/{stream_id}"
        status, headers, content = await self._exchange("POST", path, sdp.encode(), {"Content-Type": "application/sdp"})
        if status != 201:
            raise ServerError.of_problem(status, _decoded(headers.get("Content-Type", ""), content))
        return MediaAnswer(content.decode(), headers.get("Location", ""), headers.get("ETag", ""))

    async def end_media(self, answer: MediaAnswer) -> None:
        """End a media session."""
        await self.request("DELETE", answer.location)

    def room(self, stream_id: str, *, codec: Codec = "json", max_events: int = 1000) -> Room:
        """The stream's room, not yet connected: use it with ``async with``."""
        if self.token is None:
            raise ValueError("sign in first: a room needs a token")
        return Room(self.session, self.base_url, stream_id, self.token, codec=codec, max_events=max_events)

    async def _object(self, method: str, path: str, body: Json | None = None) -> Json:
        answer: Json = await self.request(method, path, json=body)
        return answer


def _decoded(content_type: str, content: bytes) -> Any:
    if "json" in content_type:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return None
    return content.decode(errors="replace")
