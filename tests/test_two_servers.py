"""Two server processes on one Valkey: people on different processes share one room and one stock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api import Api, Person
from tests.running import running_server

SECRET = "two-servers-share-this-secret-of-enough-bytes"


@pytest.fixture(scope="module")
def two_urls(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two servers that know of each other only through Valkey."""
    folder = tmp_path_factory.mktemp("two")
    options = ("--redis-url", valkey_url, "--secret", SECRET)
    with running_server(folder, *options) as one, running_server(folder, *options) as two:
        yield one.url, two.url


@pytest.fixture
async def apis(two_urls: tuple[str, str]) -> AsyncIterator[tuple[Api, Api]]:
    async with Api(two_urls[0]) as one, Api(two_urls[1]) as two:
        yield one, two


class Viewer:
    """A joined WebSocket that keeps everything it was told, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.replies: dict[int, dict[str, Any]] = {}
        self._next_id = 1

    async def do(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Send a command and wait for its reply."""
        number, self._next_id = self._next_id, self._next_id + 1
        await self.socket.send_json({"id": number, "do": verb} | fields)
        while number not in self.replies:
            await self._read()
        return self.replies[number]

    async def until(self, kind: str) -> dict[str, Any]:
        """The first event of this type (already seen or still to come)."""
        while True:
            for event in self.events:
                if event["type"] == kind:
                    return event
            await self._read()

    async def _read(self) -> None:
        message = await self.socket.receive(timeout=20)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame = json.loads(message.data)
        for item in frame if isinstance(frame, list) else [frame]:
            if "re" in item:
                self.replies[item["re"]] = item
            else:
                self.events.append(item)

    def offsets(self) -> list[int]:
        """The offsets of the numbered events, in the order they came."""
        return [event["offset"] for event in self.events if "offset" in event]


async def join(api: Api, stream_id: str, person: Person) -> Viewer:
    viewer = Viewer(await api.http.ws_connect(f"{api.url}/ws/{stream_id}"))
    reply = await viewer.do("join", token=person.token)
    assert "ok" in reply, reply
    return viewer


async def test_chat_and_a_deal_are_one_ordered_story_on_both_processes(apis: tuple[Api, Api]) -> None:
    one, two = apis
    host, alice, bob = await one.guest("Host"), await one.guest("Alice"), await two.guest("Bob")
    stream_id = await one.stream(host)
    at_one, at_two = await join(one, stream_id, alice), await join(two, stream_id, bob)

    assert "ok" in await at_one.do("chat.send", text="hello from one")
    assert (await at_two.until("chat.message"))["data"]["text"] == "hello from one"

    deal_id = await two.open_deal(host, stream_id, stock=2, per_buyer_limit=1)
    await at_one.until("deal.opened")
    first = await at_one.do("deal.claim", deal_id=deal_id, units=1, key="alice-1")
    second = await at_two.do("deal.claim", deal_id=deal_id, units=1, key="bob-1")
    assert first["ok"]["order"]["state"] == second["ok"]["order"]["state"] == "held"
    for viewer in (at_one, at_two):
        await viewer.until("deal.sold_out")
    late = await one.claim(await one.guest("Carol"), stream_id, deal_id)
    assert (late.status, late.code) == (409, "sold_out")

    paid = await two.call("POST", f"/api/v1/orders/{first['ok']['order']['id']}/pay", alice, {"payment_token": "pm_ok"})
    assert (paid.status, paid.body["state"]) == (200, "paid")
    for viewer in (at_one, at_two):
        assert (await viewer.until("purchase"))["data"]["buyer"]["name"] == "Alice"
    for viewer in (at_one, at_two):
        offsets = viewer.offsets()
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets))), "a hole, a double or a wrong order"
    numbered = [[e for e in v.events if "offset" in e] for v in (at_one, at_two)]
    shared = min(len(numbered[0]), len(numbered[1]))
    assert numbered[0][:shared] == numbered[1][:shared]


async def test_two_thousand_claims_over_two_processes_sell_a_hundred_units_exactly(apis: tuple[Api, Api]) -> None:
    one, two = apis
    host = await one.guest("Host")
    stream_id = await one.stream(host)
    deal_id = await one.open_deal(host, stream_id, stock=100, per_buyer_limit=1, duration_s=120, hold_s=120)
    buyers = await asyncio.gather(*((one, two)[i % 2].guest(f"Buyer {i}") for i in range(2000)))

    samples: list[dict[str, Any]] = []
    finished = asyncio.Event()

    async def watch_the_stock() -> None:
        while not finished.is_set():
            samples.extend(await asyncio.gather(one.deal(stream_id, deal_id), two.deal(stream_id, deal_id)))

    watching = asyncio.create_task(watch_the_stock())
    answers = await asyncio.gather(
        *((one, two)[i % 2].claim(buyer, stream_id, deal_id, key=f"key-{i}") for i, buyer in enumerate(buyers))
    )
    finished.set()
    await watching

    accepted = [a for a in answers if a.status == 201]
    assert len(accepted) == 100
    assert {(a.status, a.code) for a in answers if a.status != 201} == {(409, "sold_out")}
    assert len({a.body["id"] for a in accepted}) == 100
    assert len({a.body["buyer"]["id"] for a in accepted}) == 100
    assert len(samples) >= 2, "nobody looked at the stock while it fell"
    samples.append(await two.deal(stream_id, deal_id))
    assert all(s["left"] + s["held"] + s["sold"] == s["stock"] == 100 for s in samples)
    assert (samples[-1]["left"], samples[-1]["held"]) == (0, 100)

    winners = [i for i, a in enumerate(answers) if a.status == 201]
    again = await asyncio.gather(
        *((two, one)[i % 2].claim(buyers[i], stream_id, deal_id, key=f"key-{i}") for i in winners)
    )
    assert [a.body["id"] for a in again] == [answers[i].body["id"] for i in winners], "a key found another order"


async def test_media_requests_reach_the_process_that_owns_them(
    two_urls: tuple[str, str], apis: tuple[Api, Api]
) -> None:
    one, two = apis
    host = await one.guest("Host")
    stream_id = await one.stream(host)
    offer = (Path(__file__).parent / "streams/sdp/publish-chromium-156-whip-whep-vp8.sdp").read_bytes()
    headers = {"Authorization": f"Bearer {host.token}", "Content-Type": "application/sdp"}
    async with one.http.post(f"{one.url}/whip/{stream_id}", data=offer, headers=headers) as published:
        assert published.status == 201, await published.text()
        location = published.headers["Location"].removeprefix(one.url)
    async with two.http.delete(two.url + location, headers=headers) as ended:
        assert ended.status == 200, await ended.text()
    async with one.http.delete(one.url + location, headers=headers) as gone:
        assert gone.status == 404
