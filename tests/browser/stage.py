"""A show to look at, set up by the API: who hosts it, who talks in it, what it sells."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

from livecommerce.client import Client
from livecommerce.client.room import Room
from tests.api import Api, Person

#: id, title, price, price before, description
GOODS = (
    ("mug", "Red mug", 1250, 1800, "Thrown by hand, glazed in poppy red. Holds 350 ml, and the dishwasher."),
    ("bag", "Canvas tote", 1900, None, "Strong enough for a week of shopping."),
    ("lamp", "Desk lamp", 4900, 6500, "Warm light, brass arm, a switch that clicks."),
)


def eur(amount: int) -> dict[str, Any]:
    """Euro cents."""
    return {"amount": amount, "currency": "EUR"}


class Stage:
    """One show."""

    def __init__(self, api: Api, host: Person, stream_id: str) -> None:
        self.api, self.host, self.stream_id = api, host, stream_id
        self.url = f"{api.url}/watch/{stream_id}"
        self._people: dict[str, Person] = {}

    @classmethod
    async def set(cls, api: Api, title: str = "Mugs and more, live from the kiln", host: str = "Hanna") -> Self:
        """A new show of a new host."""
        person = await api.guest(host)
        return cls(api, person, await api.stream(person, title))

    async def ask(self, method: str, rest: str, body: Any = None) -> Any:
        """A request of the host's below the stream's address."""
        answer = await self.api.call(method, f"/api/v1/streams/{self.stream_id}/{rest}", self.host, body)
        assert answer.status < 300, answer
        return answer.body

    async def fill_showcase(self) -> None:
        """Three products, the first of them pinned."""
        for name, title, price, before, words in GOODS:
            prices = {"price": eur(price)} | ({"compare_at": eur(before)} if before else {})
            spec = {"title": title, "description": words, "image_url": f"/assets/demo/{name}.svg", **prices}
            await self.ask("PUT", f"products/{name}", spec)
        await self.ask("POST", "products/mug/pin")

    async def deal(self, **changes: Any) -> str:
        """An open deal of the mug; its id."""
        shown = {"title": "Red mug", "image_url": "/assets/demo/mug.svg", "product_id": "mug"}
        prices = {"price": eur(850), "compare_at": eur(1800)}
        terms = {"stock": 12, "per_buyer_limit": 2, "duration_s": 120, "hold_s": 60}
        return await self.api.open_deal(self.host, self.stream_id, **(shown | prices | terms | changes))

    async def person(self, name: str) -> Person:
        """The guest of this name; the same one each time."""
        if name not in self._people:
            self._people[name] = await self.api.guest(name)
        return self._people[name]

    @contextlib.asynccontextmanager
    async def room(self, person: Person) -> AsyncIterator[Room]:
        """The show's room, as this person."""
        async with (
            Client(self.api.url, token=person.token, session=self.api.http) as client,
            client.room(self.stream_id) as room,
        ):
            yield room

    async def do(self, person: Person, command: str, **fields: Any) -> dict[str, Any]:
        """One command of this person's."""
        async with self.room(person) as room:
            return dict(await room.do(command, **fields))

    async def says(self, name: str, text: str, **fields: Any) -> str:
        """A line of the chat; its id."""
        person = self.host if name == self.host.name else await self.person(name)
        return str((await self.do(person, "chat.send", text=text, **fields))["id"])

    async def buys(self, deal_id: str, *names: str, pay: bool = True) -> list[str]:
        """Each of these takes a unit; the orders' ids."""
        orders = []
        for name in names:
            person = await self.person(name)
            order = (await self.api.claim(person, self.stream_id, deal_id)).body["id"]
            if pay:
                await self.api.call("POST", f"/api/v1/orders/{order}/pay", person, {"payment_token": "pm_ok"})
            orders.append(str(order))
        return orders
