"""A Valkey frozen for ten seconds under a whole server: everybody is told, nothing is made up, all heals by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.api import Api, Person
from tests.livecommerce.rooms import Viewer, eventually
from tests.running import RunningServer, healthy, running_server

FROZEN_S = 10.0
#: what healing may take, once Valkey goes on
HEALS_S = 3.0
VIEWERS = 8


async def joined(api: Api, stream_id: str, person: Person) -> Viewer:
    """A viewer in the room, on whichever worker."""
    url = f"{api.url}/ws/{stream_id}".replace("http", "ws", 1)
    viewer = Viewer(await api.http.ws_connect(url, protocols=("livecommerce.v1.json",), max_msg_size=0))
    reply = await viewer.do("join", token=person.token)
    assert "ok" in reply, reply
    viewer.joined = reply["ok"]
    return viewer


def states(viewer: Viewer) -> list[str]:
    return [e["data"]["state"] for e in viewer.events if e["type"] == "status"]


def valkey_of(server: RunningServer) -> psutil.Process:
    processes = psutil.Process(server.process.pid).children(recursive=True)
    [valkey] = [p for p in processes if "valkey-server" in " ".join(p.cmdline())]
    return valkey


async def until_ready(server: RunningServer, wanted: bool) -> None:
    while await asyncio.to_thread(healthy, server.url) != wanted:  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.05)


async def says(viewer: Viewer, number: int) -> dict[str, Any]:
    return await viewer.do("chat.send", text=f"does anybody hear number {number}?", key=f"k{number}")


async def says_at_last(viewer: Viewer, number: int) -> dict[str, Any]:
    """The same again until it is there, as a client does whose answer was temporary."""
    while "ok" not in (reply := await says(viewer, number)):
        assert reply["err"]["temporary"], reply
        await asyncio.sleep(0.05)
    return reply


@pytest.mark.soak
async def test_a_whole_server_tells_of_a_frozen_valkey_and_heals(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        # Ready is a server whose first worker is: here all have to be there before anything freezes.
        await eventually(lambda: "livecommerce is ready" in server.output(), "all workers")
        async with Api(server.url) as api:
            host, *people = [await api.guest(f"Person {n}") for n in range(VIEWERS + 1)]
            stream_id = await api.stream(host)
            deal_id = await api.open_deal(host, stream_id, stock=VIEWERS)
            viewers = [await joined(api, stream_id, person) for person in people]
            workers = {p.pid for p in psutil.Process(server.process.pid).children(recursive=True)}
            valkey = valkey_of(server)
            valkey.suspend()
            thawing = asyncio.create_task(asyncio.sleep(FROZEN_S))
            try:
                claiming = asyncio.create_task(api.claim(people[0], stream_id, deal_id, "frozen"))
                refusals = await asyncio.gather(*(says(viewer, n) for n, viewer in enumerate(viewers)))
                assert {(r["err"]["code"], r["err"]["temporary"]) for r in refusals} == {("unavailable", True)}
                for viewer in viewers:
                    await viewer.until(lambda v=viewer: states(v) == ["degraded"], "viewers are told")
                await until_ready(server, False)
                claim = await claiming
                assert claim.status in (202, 503), claim
                assert not thawing.done(), "all of this was told while it was frozen"
                await thawing
            finally:
                valkey.resume()
            async with asyncio.timeout(HEALS_S):
                said = await asyncio.gather(*(says_at_last(viewer, n) for n, viewer in enumerate(viewers)))
                top = max(reply["ok"]["offset"] for reply in said)
                for viewer in viewers:
                    await viewer.until(lambda v=viewer: top in v.offsets and states(v)[-1:] == ["ok"], "all is well")
                await until_ready(server, True)
            for viewer in viewers:
                assert viewer.offsets == list(range(viewer.offsets[0], viewer.offsets[-1] + 1))
                assert len(viewer.texts) == len(set(viewer.texts)) == VIEWERS, "each message once"
            again = await api.claim(people[0], stream_id, deal_id, "frozen")
            assert again.status == 201, again
            deal = await api.deal(stream_id, deal_id)
            assert (deal["left"], deal["held"]) == (VIEWERS - 1, 1)
            assert {p.pid for p in psutil.Process(server.process.pid).children(recursive=True)} == workers
