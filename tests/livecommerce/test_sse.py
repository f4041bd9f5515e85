"""The room as server-sent events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from livecommerce import bans, room_metrics
from tests.livecommerce.rooms import RoomWorker, eventually


@dataclass
class Source:
    """An EventSource: fields of every event, in order."""

    response: aiohttp.ClientResponse
    events: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Read until there are this many numbered events; all events."""
        async with asyncio.timeout(15):
            while len(self.ids) < count:
                await self.read()
        return self.events

    async def read(self) -> None:
        """One event (or comment)."""
        fields: dict[str, Any] = {}
        while line := (await self.response.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value
        if fields:
            self.events.append(fields)

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return [e["id"] for e in self.events if "id" in e]


async def follow(worker: RoomWorker, stream_id: str, last: str | None = None, user: str = "ann") -> Source:
    headers = {} if last is None else {"Last-Event-ID": last}
    url = f"{worker.url}/sse/{stream_id}"
    response = await worker.client.get(url, params={"token": worker.token(user)}, headers=headers)
    assert response.status == 200, await response.text()
    assert response.content_type == "text/event-stream"
    return Source(response)


async def test_an_event_stream_tells_the_same_events_with_positions(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.say(stream_id, "before")
    source = await follow(worker, stream_id)
    viewer = await worker.join(stream_id)
    await viewer.do("chat.send", text="hello")
    events = await source.until(2)
    await viewer.until(lambda: 2 in viewer.offsets)
    assert [e["data"] for e in events if "id" in e] == viewer.numbered
    assert source.ids == [f"{viewer.joined['epoch']}:{n}" for n in (1, 2)]
    assert not [e for e in events if "event" in e]
    source.response.close()


async def test_last_event_id_resumes_and_a_lost_position_says_reset(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.say(stream_id, *"abcde")
    first = await follow(worker, stream_id)
    epoch = (await first.until(5))[-1]["id"].partition(":")[0]
    again = await follow(worker, stream_id, last=f"{epoch}:3")
    assert [e["data"]["data"]["text"] for e in await again.until(2)] == ["d", "e"]
    for lost in ("12345:3", f"{epoch}:99", "nonsense"):
        reset = await follow(worker, stream_id, last=lost)
        events = await reset.until(5)
        assert events[0] == {"event": "reset", "data": {"epoch": epoch, "offset": 5}}
        assert len(reset.ids) == 5
        reset.response.close()
    for source in (first, again):
        source.response.close()


async def test_event_streams_count_as_viewers_until_they_leave(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    before = room_metrics.CONNECTIONS.labels("sse")._value.get()
    source = await follow(worker, stream_id)
    await eventually(lambda: worker.context.hub.counts().get(stream_id) == 1)
    source.response.close()
    await eventually(lambda: worker.context.hub.counts().get(stream_id) == 0, "a left viewer is noticed")
    await eventually(lambda: room_metrics.CONNECTIONS.labels("sse")._value.get() == before)


async def test_a_ban_ends_the_event_stream(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    source = await follow(worker, stream_id, user="bad")
    await worker.context.chat.ban(stream_id, "bad", seconds=60, by="host")
    async with asyncio.timeout(10):
        while not source.response.content.at_eof():
            await source.read()
    assert source.events[-1]["data"]["type"] == "moderation"


async def test_a_ban_that_comes_while_somebody_enters_still_counts(
    worker: RoomWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans, "REFRESH_S", 3600.0)
    stream_id = await worker.stream()
    hub, arrive = worker.context.hub, worker.context.hub.arrive

    async def late(*args: Any, **how: Any) -> Any:
        room, heard = hub.room(stream_id), asyncio.Event()
        assert room is not None
        hear = room.on_ban
        assert hear is not None
        room.on_ban = lambda user_id, until_ms: (hear(user_id, until_ms), heard.set())[1]
        await worker.context.chat.ban(stream_id, "bad", seconds=60, by="host")
        await heard.wait()
        return await arrive(*args, **how)

    monkeypatch.setattr(hub, "arrive", late)
    async with worker.client.get(f"{worker.url}/sse/{stream_id}", params={"token": worker.token("bad")}) as response:
        assert (response.status, (await response.json())["code"]) == (403, "banned")


async def test_refusals_are_problems(worker: RoomWorker) -> None:
    stream_id, ended = await worker.stream(), await worker.stream()
    await worker.context.streams.end(ended)
    await worker.context.chat.ban(stream_id, "bad", seconds=60, by="host")
    cases = [
        (stream_id, "", 401, "token_required"),
        (stream_id, "forged", 401, "token_invalid"),
        (stream_id, worker.token("ann", ttl_s=-1), 401, "token_expired"),
        ("nosuch", worker.token("ann"), 404, "stream_not_found"),
        (stream_id, worker.token("ann", "chat"), 403, "forbidden"),
        (stream_id, worker.token("bad"), 403, "banned"),
        (ended, worker.token("ann"), 409, "stream_ended"),
    ]
    for wanted, token, status, code in cases:
        async with worker.client.get(f"{worker.url}/sse/{wanted}", params={"token": token}) as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (status, code)
