"""Buyers who are not in the room: they come over HTTP when a deal opens, a generator process full of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from livecommerce.client import Client, ServerError, Unreachable
from load_tests.history import Recorder
from load_tests.processes import Generator
from load_tests.rooms_people import AGAIN_S, Deeds, Purchase

#: an idle connection is kept so long, as browsers do
KEEP_S = 60.0
#: an answer that takes longer is asked for again, under the same key
REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Basket:
    """One process's share of the buyers over HTTP; ``tokens`` are those of the ``purchases``."""

    url: str
    stream_id: str
    purchases: Sequence[Purchase]
    tokens: Sequence[str]
    name: str
    connections: int = 100


@dataclass
class _Shop:
    basket: Basket
    generator: Generator
    http: aiohttp.ClientSession
    deeds: Deeds = field(default_factory=Deeds)
    recorder: Recorder = field(default_factory=Recorder)

    async def enter(self) -> None:
        """Open the connections: the crowd is on the page before the deal opens."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self.basket.connections, len(self.basket.purchases))):
                tasks.create_task(self._look())

    async def _look(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(REQUEST_TIMEOUT_S), self.http.get(f"{self.basket.url}/healthz") as answer:
                await answer.read()

    async def buy(self, purchase: Purchase, token: str, deal_id: str, from_s: float) -> None:
        """Claim when it is due, then pay or give back."""
        client = Client(self.basket.url, token=token, session=self.http, timeout_s=REQUEST_TIMEOUT_S)
        due_s = from_s + purchase.after_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        order_id = await self._claim(client, purchase, deal_id, due_s)
        if order_id is None:
            return
        await asyncio.sleep(purchase.think_s)
        if purchase.regrets:
            await self._until_sure("order.cancel", lambda: self._give_back(client, purchase, order_id))
        else:
            await self._pay(client, order_id)

    async def _claim(self, client: Client, purchase: Purchase, deal_id: str, due_s: float) -> str | None:
        found: list[str] = []

        async def ask() -> str:
            order = await client.claim(self.basket.stream_id, deal_id, key=purchase.key)
            found.append(order["id"])
            return found[0]

        async def recorded() -> str:
            return await self.recorder.claim(self.basket.name, purchase.buyer, purchase.key, 1, ask)

        outcome = await self._until_sure("deal.claim", recorded)
        self.generator.meter.timed("deal.claim over HTTP", due_s)
        self.generator.meter.code("deal.claim over HTTP", outcome)
        return found[0] if found else None

    async def _give_back(self, client: Client, purchase: Purchase, order_id: str) -> str:
        async def ask() -> None:
            await client.cancel_order(order_id)

        return await self.recorder.release(self.basket.name, purchase.buyer, order_id, 1, ask)

    async def _pay(self, client: Client, order_id: str) -> None:
        async def ask() -> str:
            try:
                order = await client.pay(order_id, "pm_ok")
            except ServerError as error:
                return error.code
            except Unreachable:
                return "unknown"
            if order["state"] == "paid":
                self.deeds.paid.append(order_id)
            return str(order["state"])

        self.generator.meter.code("order.pay", await self._until_sure("order.pay", ask))

    async def _until_sure(self, what: str, ask: Callable[[], Awaitable[str]]) -> str:
        """Ask again while the answer is temporary or never came; the answer for good."""
        while (outcome := await ask()) in ("unknown", "outcome_unknown", "unavailable", "rate_limited"):
            self.deeds.again[f"{what}: {outcome}"] += 1
            await asyncio.sleep(AGAIN_S)
        self.deeds.done += 1
        if outcome not in ("accepted", "done", "paid"):
            self.deeds.refused[f"{what}: {outcome}"] += 1
        return outcome

    def result(self) -> Deeds:
        """What was done so far."""
        return Deeds(**{**self.deeds.__dict__, "operations": list(self.recorder.operations)})


async def shoppers(generator: Generator, basket: Basket) -> None:
    """A process of buyers: waits for the deal, buys, and answers with what it was told."""
    connector = aiohttp.TCPConnector(limit=basket.connections, keepalive_timeout=KEEP_S)
    async with aiohttp.ClientSession(connector=connector) as http:
        shop = _Shop(basket, generator, http)
        tasks: list[asyncio.Task[None]] = []
        await generator.ready()
        try:
            while (message := await generator.messages.get())[0] != "end":
                if message[0] == "buy":
                    tasks += [
                        asyncio.create_task(shop.buy(purchase, token, *message[1:]), name=purchase.key)
                        for purchase, token in zip(basket.purchases, basket.tokens, strict=True)
                    ]
                elif message[0] == "enter":
                    await shop.enter()
                    generator.answer(True)
                elif message[0] == "busy":
                    generator.answer(sum(not task.done() for task in tasks))
                else:
                    generator.answer(shop.result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
