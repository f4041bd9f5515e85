"""The Python client against the real server: what the fake cannot prove."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest

from livecommerce.client import Client, ClientError, Codec, ServerError
from tests.running import RunningServer, running_server

DEAL = {"title": "Mug", "price": {"amount": 500, "currency": "EUR"}, "stock": 3, "per_buyer_limit": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("client")) as server:
        yield server


@pytest.fixture
async def host(server: RunningServer) -> AsyncIterator[Client]:
    async with Client(server.url) as client:
        await client.sign_in("Host")
        yield client


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_a_guest_chats_buys_and_pays(server: RunningServer, host: Client, codec: Codec) -> None:
    stream = await host.create_stream("A show")
    deal = await host.create_deal(stream["id"], DEAL | {"duration_s": 60, "hold_s": 60})
    async with Client(server.url) as ann:
        await ann.sign_in("Ann")
        async with ann.room(stream["id"], codec=codec) as room, asyncio.timeout(20):
            said = await room.chat("hello")
            await host.step_deal(stream["id"], deal["id"], "open")
            order = await room.claim(deal["id"], key="k1")
            assert (await room.claim(deal["id"], key="k1"))["id"] == order["id"]
            assert (await ann.claim(stream["id"], deal["id"], key="k1"))["id"] == order["id"]
            with pytest.raises(ServerError) as caught:
                await room.claim(deal["id"], key="k2")
            assert caught.value.code == "limit_reached"
            assert (await room.pay(order["id"], "pm_ok"))["state"] == "paid"
            seen = {}
            async for event in room:
                seen[event.type] = event
                if event.type == "purchase":
                    break
        assert seen["chat.message"].offset == said["offset"]
        assert seen["deal.claimed"].data["left"] == 2
        assert room.gaps == 0
    assert (await host.journal(stream["id"]))["items"][0]["what"] == "claimed"


async def test_a_ticketed_deal_takes_the_ticket_by_either_way(server: RunningServer, host: Client) -> None:
    stream = await host.create_stream("A show")
    deal = await host.create_deal(
        stream["id"], DEAL | {"duration_s": 60, "hold_s": 60, "ticketed": True, "per_buyer_limit": 2}
    )
    await host.step_deal(stream["id"], deal["id"], "open")
    async with Client(server.url) as ann:
        await ann.sign_in("Ann")
        async with ann.room(stream["id"]) as room, asyncio.timeout(20):
            with pytest.raises(ServerError) as caught:
                await room.claim(deal["id"])
            assert caught.value.code == "ticket_required"
            ticket = (await ann.claim_ticket(stream["id"], deal["id"]))["ticket"]
            for claim in (room.claim(deal["id"], ticket=ticket, code="NONE"),
                          ann.claim(stream["id"], deal["id"], ticket=ticket, code="NONE")):  # fmt: skip
                with pytest.raises(ServerError) as caught:
                    await claim
                assert caught.value.code == "code_unknown"
            one = await room.claim(deal["id"], ticket=ticket)
            other = await ann.claim(stream["id"], deal["id"], ticket=ticket)
    assert one["id"] != other["id"]


async def test_a_forged_token_is_refused_in_both_ways(server: RunningServer, host: Client) -> None:
    stream = await host.create_stream("A show")
    async with Client(server.url, token="forged") as liar:
        with pytest.raises(ServerError) as by_http:
            await liar.create_stream("Mine")
        with pytest.raises(ServerError) as by_socket:
            await liar.room(stream["id"]).start()
    assert by_http.value.code == by_socket.value.code == "token_invalid"


async def test_a_killed_worker_costs_a_room_neither_a_message_nor_an_order(server: RunningServer, host: Client) -> None:
    """Given a room, when its worker dies by kill -9 and others speak, then every message arrives once, in order."""
    stream = await host.create_stream("A show")
    async with host.room(stream["id"]) as room:
        for number in range(3):
            await room.chat(str(number))
        (worker,) = (p for p in psutil.Process(server.process.pid).children() if "livecommerce.worker" in p.cmdline())
        worker.kill()
        deadline = time.monotonic() + 30
        said = 3
        while said < 6:
            assert time.monotonic() < deadline
            try:
                await room.chat(str(said), key=f"line {said}")
                said += 1
            except ClientError:
                await asyncio.sleep(0.05)
        texts: list[str] = []
        async with asyncio.timeout(20):
            async for event in room:
                if event.type == "chat.message":
                    texts.append(event.data["text"])
                if len(texts) == 6:
                    break
        assert texts == [str(number) for number in range(6)]
        assert room.reconnects >= 1
        assert room.gaps == 0
