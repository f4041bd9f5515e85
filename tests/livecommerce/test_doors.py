"""Who may connect to a room at all."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from livecommerce.limits import Limits
from tests.livecommerce.rooms import RoomWorker, eventually, room_worker


async def status(worker: RoomWorker, stream_id: str, **headers: str) -> int:
    """101, or the refusal's status."""
    try:
        viewer = await worker.connect(stream_id, headers=headers)
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status
    await viewer.socket.close()
    return 101


async def test_only_pages_of_allowed_origins_and_our_own_connect(valkey_url: str) -> None:
    async with room_worker(valkey_url, allow_origin=("https://Partner.example/",)) as worker:
        stream_id = await worker.stream()
        assert await status(worker, stream_id, Origin="https://partner.example") == 101
        assert await status(worker, stream_id, Origin="https://shop.example") == 101
        assert await status(worker, stream_id) == 101
        for origin in ("https://evil.example", "http://partner.example", "null", "https://partner.example.evil.com"):
            assert await status(worker, stream_id, Origin=origin) == 403, origin
        url = f"{worker.url}/sse/{stream_id}?token={worker.token('ann')}"
        async with worker.client.get(url, headers={"Origin": "https://evil.example"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")


async def test_without_a_list_every_page_connects(valkey_url: str) -> None:
    async with room_worker(valkey_url) as worker:
        assert await status(worker, await worker.stream(), Origin="https://anybody.example") == 101


async def test_an_address_has_so_many_connections_at_once(valkey_url: str) -> None:
    limits = Limits(connections=2)
    async with room_worker(valkey_url, limit=limits, trusted_proxy=("127.0.0.1",)) as worker:
        stream_id = await worker.stream()
        headers: dict[str, Any] = {"headers": {"X-Forwarded-For": "2001:db8::1"}}
        first, _ = [await worker.connect(stream_id, **headers) for _ in range(2)]
        # The same /64 is the same household.
        assert await status(worker, stream_id, **{"X-Forwarded-For": "2001:db8::2"}) == 429
        assert await status(worker, stream_id, **{"X-Forwarded-For": "2001:db8:1::1"}) == 101
        assert await status(worker, stream_id) == 101
        await first.socket.close()
        joined: list[int] = []

        async def again() -> None:
            joined.append(await status(worker, stream_id, **{"X-Forwarded-For": "2001:db8::2"}))

        for _ in range(100):
            await again()
            if joined[-1] == 101:
                break
        assert joined[-1] == 101


async def test_a_full_room_says_come_back(valkey_url: str) -> None:
    async with room_worker(valkey_url, limit=Limits(seats=2)) as worker:
        stream_id = await worker.stream()
        ann = await worker.join(stream_id, "ann")
        bob = await worker.join(stream_id, "bob")
        eve = await worker.connect(stream_id)
        reply = await eve.do("join", token=worker.token("eve"))
        assert (reply["err"]["code"], reply["err"]["temporary"]) == ("full", True)
        assert await eve.until_closed() == 3004
        await ann.socket.close()
        room = worker.context.hub.room(stream_id)
        assert room is not None
        await eventually(lambda: room.viewers == 1)
        assert (await worker.join(stream_id, "eve")).joined["user"]["id"] == "eve"
        assert bob.closed is None


@pytest.mark.parametrize("address", ["192.0.2.1", ""])
async def test_the_address_of_who_talks_counts_but_for_loopback(valkey_url: str, address: str) -> None:
    async with room_worker(valkey_url, trusted_proxy=("127.0.0.1",)) as worker:
        stream_id = await worker.stream()
        viewer = await worker.connect(stream_id, headers={"X-Forwarded-For": address} if address else {})
        await viewer.do("join", token=worker.token("ann"))
        assert "ok" in await viewer.do("chat.send", text="hello there")
        keys = [key async for key in worker.context.redis.scan_iter(f"lc:{{{stream_id}}}:chat:address:*")]
        assert keys == ([f"lc:{{{stream_id}}}:chat:address:{address}".encode()] if address else [])
