"""A whole server with two workers: whoever is banned stops seeing, although nobody tells the worker with the video; and
who was on a worker that was killed counts no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from redis.asyncio import Redis

from livecommerce.ids import new_id
from livecommerce.redis_client import make
from livecommerce.scripting import ScriptRunner
from streams.service import StreamService
from tests.api import Api, Person
from tests.livecommerce.rooms import Viewer, eventually
from tests.running import RunningServer, running_server
from tests.test_frozen_valkey import joined


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("two"), "--workers", "2") as server:
        yield server


async def offer() -> str:
    """A browser-like offer to watch."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for kind in ("video", "audio"):
            peer.addTransceiver(kind, direction="recvonly")
        return str((await peer.createOffer()).sdp)
    finally:
        await peer.close()


async def watch(api: Api, person: Person, stream_id: str) -> str:
    """A WHEP session's address."""
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/sdp"}
    url = f"{api.url}/whep/{stream_id}"
    async with api.http.post(url, headers=headers, data=await offer()) as answer:
        assert answer.status == 201, await answer.text()
        return str(answer.headers["Location"])


async def trickle(api: Api, person: Person, location: str) -> int:
    """Whether the session is there: 204, or 404."""
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/trickle-ice-sdpfrag"}
    async with api.http.patch(api.url + location, headers=headers, data="a=end-of-candidates\r\n") as answer:
        return answer.status


async def play(redis: Redis, stream_id: str) -> None:
    """The stream's media arrives, as far as the catalogue knows."""
    streams = StreamService(redis, ScriptRunner(redis), new_id=new_id)
    await streams.went_live(stream_id, worker_id="w", session_id="w.s")


async def ban(api: Api, host: Person, stream_id: str, user_id: str) -> None:
    async with api.http.ws_connect(f"{api.url}/ws/{stream_id}") as socket:
        await socket.send_json({"id": 1, "do": "join", "token": host.token})
        assert '"ok"' in await socket.receive_str(timeout=10)
        await socket.send_json({"id": 2, "do": "chat.ban", "user_id": user_id, "seconds": 60})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT and '"re":2' in message.data:
                assert '"ok"' in message.data
                return


async def test_a_ban_ends_the_video_wherever_it_is(server: RunningServer) -> None:
    redis = make(f"unix://{server.log.parent}/data/valkey.sock")
    async with Api(server.url) as api:
        host, bad, good = [await api.guest(name) for name in ("Hal", "Bad", "Good")]
        # Both workers are asked at random: with several streams the video is not always where the host is.
        for _ in range(4):
            stream_id = await api.stream(host)
            await play(redis, stream_id)
            theirs, others = await watch(api, bad, stream_id), await watch(api, good, stream_id)
            assert await trickle(api, bad, theirs) == await trickle(api, good, others) == 204
            await ban(api, host, stream_id, bad.id)
            deadline = asyncio.get_running_loop().time() + 2
            while await trickle(api, bad, theirs) != 404:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
            assert await trickle(api, good, others) == 204
    await redis.aclose()


async def test_who_was_on_a_worker_that_was_killed_counts_no_more(server: RunningServer) -> None:
    def count(viewer: Viewer) -> int:
        return next((e["data"]["count"] for e in reversed(viewer.events) if e["type"] == "viewers"), 0)

    await eventually(lambda: "livecommerce is ready" in server.output(), "both workers")
    async with Api(server.url) as api:
        people = [await api.guest(f"Person {n}") for n in range(16)]
        stream_id = await api.stream(people[0])
        viewers = [await joined(api, stream_id, person) for person in people]
        for viewer in viewers:
            await viewer.until(lambda v=viewer: count(v) == len(people))
        victim = next(p for p in psutil.Process(server.process.pid).children() if "livecommerce.worker" in p.cmdline())
        victim.kill()
        heard = [asyncio.create_task(viewer.until_closed()) for viewer in viewers]

        def right() -> bool:
            left = [viewer for viewer in viewers if viewer.closed is None]
            return 0 < len(left) < len(people) and all(count(viewer) == len(left) for viewer in left)

        await eventually(right, "who is left hears how many they are", timeout_s=10)
        for task in heard:
            task.cancel()
        await asyncio.gather(*heard, return_exceptions=True)
