"""A crowd of bare sockets against servers that are right, and servers that are not: it has to see the difference."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from load_tests.arrivals import Pace
from load_tests.baselines.plain import PlainRoom
from load_tests.meter import Meter
from load_tests.rooms_checks import answers, histories, presence
from load_tests.rooms_crowd import Crowd
from load_tests.rooms_people import Deeds, People, Purchase
from load_tests.rooms_tally import Tally
from load_tests.rooms_wire import Frames, client_frame

VIEWERS = 3
Handler = Callable[[web.Request], Any]


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    app = web.Application()
    app.add_routes([web.get("/ws/s", handler)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield host, port
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def crowded(handler: Handler, **options: Any) -> AsyncIterator[tuple[Crowd, People]]:
    async with served(handler) as address:
        crowd = Crowd(address, "/ws/s", ["token"] * VIEWERS, meter=Meter(), **options)
        try:
            crowd.join()
            await until(lambda: crowd.result().joined == VIEWERS)
            yield crowd, People(crowd, "people")
        finally:
            crowd.aclose()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - what sockets in another epoll saw sets no event
            await asyncio.sleep(0.01)


class Script:
    """A room that answers joins, and each command by what the test gives it."""

    def __init__(self, answer: Callable[[dict[str, Any]], list[dict[str, Any]] | None]) -> None:
        self._answer = answer
        self.joins: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("livecommerce.v1.json",))
        await socket.prepare(request)
        self.joins.append(await socket.receive_json())
        await socket.send_json({"re": 1, "ok": {"epoch": "1", "offset": 0, "recovered": len(self.joins) > VIEWERS}})
        self.sockets.append(socket)
        async for message in socket:
            self.commands.append(command := json.loads(message.data))
            for answer in (said := self._answer(command)) or []:
                await socket.send_json(answer)
            if said is None:
                await socket.close(code=3001)
        return socket


async def plainly() -> AsyncIterator[PlainRoom]:
    room = PlainRoom()
    sending = asyncio.create_task(room.send())
    try:
        yield room
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


plain = pytest.fixture(plainly)


async def talked(crowd: Crowd, people: People, messages: int) -> tuple[Tally, Deeds]:
    people.talk(Pace.constant(1000), messages / 1000, asyncio.get_running_loop().time())
    await until(lambda: people.deeds.done >= messages)
    return crowd.result(), people.result()


def failed(tally: Tally, deeds: Deeds) -> set[str]:
    return {check.name for check in (*histories(tally, deeds), *answers(deeds)) if not check.passed}


async def test_all_that_was_said_reaches_everybody_and_is_timed(plain: PlainRoom) -> None:
    async with crowded(plain.handle) as (crowd, people):
        _, deeds = await talked(crowd, people, 20)
        await until(lambda: crowd.result(20).behind == 0)
        tally = crowd.result(20)
        assert (tally.deliveries, len(deeds.said), len(tally.ids)) == (20 * VIEWERS, 20, 20)
        assert failed(tally, deeds) == set()
        seen = crowd.meter.take()
        assert seen.histograms["delivery"].count == 20 * VIEWERS
        assert seen.histograms["chat.send"].count == 20


class Broken(PlainRoom):
    """A plain room whose numbering of what it sends the test may spoil."""

    def __init__(self, spoil: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        super().__init__()
        self._spoil = spoil

    async def send(self) -> None:
        while True:
            event = json.loads(await self._events.get())
            for number, socket in enumerate(self._sockets):
                for sent in self._spoil(event | {"to": number}):
                    await socket.send_str(json.dumps(sent))


def swallow_the_third(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [] if event["offset"] == 3 else [event]


def say_the_third_twice(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [event] * (2 if event["offset"] == 3 else 1)


def tell_one_viewer_otherwise(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [event | {"data": event["data"] | {"id": "other"}} if event["to"] == 1 else event]


def number_from_another_place(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [event | {"data": event["data"] | {"id": "m1"}}]


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (swallow_the_third, "no event was lost"),
        (say_the_third_twice, "no event came twice or out of order"),
        (tell_one_viewer_otherwise, "all viewers saw the same log"),
        (number_from_another_place, "every acknowledged message is in the log"),
    ],
)
async def test_a_broken_server_is_found_out(
    spoil: Callable[[dict[str, Any]], list[dict[str, Any]]], check: str
) -> None:
    room = Broken(spoil)
    sending = asyncio.create_task(room.send())
    try:
        async with crowded(room.handle) as (crowd, people):
            _, deeds = await talked(crowd, people, 6)
            await until(lambda: crowd.result(6).behind == 0)
            assert check in failed(crowd.result(6), deeds)
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


async def test_a_lost_connection_comes_back_with_its_place_and_asks_again_with_the_same_key() -> None:
    """Given a server that dies at the first claim, then the claim is asked again elsewhere, and found."""
    died: list[str] = []

    def answer(command: dict[str, Any]) -> list[dict[str, Any]] | None:
        if not died:
            died.append(command["key"])
            return None
        return [{"re": command["id"], "ok": {"order": {"id": "o1", "state": "paid"}}}]

    room = Script(answer)
    async with crowded(room.handle, comes_back=True) as (crowd, people):
        people.buy("d", [Purchase(0, "b", "k", 0.0, think_s=0.0)], 0.0)
        await until(lambda: people.glance().buying == 0)
        deeds, tally = people.result(), crowd.result()
        assert (deeds.paid, [o.outcome for o in deeds.operations]) == (["o1"], ["accepted"])
        assert (tally.dropped, tally.joins) == (1, VIEWERS + 1)
    assert room.joins[-1]["epoch"] == "1"
    assert [c["key"] for c in room.commands if c["do"] == "deal.claim"] == ["k", "k"]


async def test_a_temporary_refusal_is_asked_again_and_counted() -> None:
    tries: list[int] = []

    def answer(command: dict[str, Any]) -> list[dict[str, Any]]:
        tries.append(command["id"])
        if len(tries) == 1:
            refusal = {"code": "unavailable", "message": "", "temporary": True, "retry_after_ms": 1}
            return [{"re": command["id"], "err": refusal}]
        return [{"re": command["id"], "err": {"code": "sold_out", "message": "", "temporary": False}}]

    async with crowded(Script(answer).handle) as (_, people):
        people.buy("d", [Purchase(0, "b", "k", 0.0)], 0.0)
        await until(lambda: people.glance().buying == 0)
        deeds = people.result()
    assert (deeds.again, deeds.refused) == ({"deal.claim: unavailable": 1}, {"deal.claim: sold_out": 1})
    assert [o.outcome for o in deeds.operations] == ["sold_out"]


async def test_a_claim_without_an_answer_is_unknown_and_fails_the_run() -> None:
    room = Script(lambda _: [])
    async with crowded(room.handle) as (_, people):
        people.buy("d", [Purchase(0, "b", "k", 0.0)], 0.0)
        await until(lambda: bool(room.commands))
        deeds = people.result()
    assert [o.outcome for o in deeds.operations] == ["unknown"]
    assert "every command was answered" in {check.name for check in answers(deeds) if not check.passed}


async def test_a_sleeper_reads_nothing_until_it_wakes(plain: PlainRoom) -> None:
    async with crowded(plain.handle) as (crowd, people):
        crowd.doze()
        people.talk(Pace.constant(1000), 0.002, asyncio.get_running_loop().time())
        await until(lambda: plain._offset == 2)
        assert crowd.result(2).behind == VIEWERS
        crowd.wake()
        await until(lambda: crowd.result(2).behind == 0)


@pytest.mark.parametrize("size", [0, 125, 126, 5000])
def test_a_clients_frame_is_masked_and_says_its_size(size: int) -> None:
    frame = client_frame(0x1, b"x" * size)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame.endswith(b"x" * size)
    assert len(frame) == size + (6 if size < 126 else 8)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 100_000])
def test_frames_come_out_whole_wherever_the_network_cut_them(size: int) -> None:
    payload = b"y" * size
    head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")  # noqa: E501  # fmt: skip
    data = b"\x81" + head + payload + b"\x89\x01p"
    for cut in {0, 1, 2, 3, len(head), len(head) + 1, len(data) - 3, len(data) - 2, len(data)}:
        first = Frames(data[:cut])
        frames = list(first)
        frames += list(second := Frames(first.rest + data[cut:]))
        assert frames == [(0x1, payload), (0x9, b"p")]
        assert second.rest == b""


def whole() -> Tally:
    return Tally(joined=2, ids={1: "a"}, viewers_shown=2)


@pytest.mark.parametrize(
    ("doctor", "check"),
    [
        (Tally(), "somebody was told something"),
        (Tally(ids={1: "a"}, lost=1), "no event was lost"),
        (Tally(ids={1: "a"}, doubled=1), "no event came twice or out of order"),
        (Tally(ids={1: "a"}, forks=1), "all viewers saw the same log"),
        (Tally(ids={1: "a"}, behind=1), "every viewer has the newest event"),
        (Tally(ids={1: "a"}, announced=1), "nobody was told of a hole"),
        (Tally(ids={1: "b"}), "every acknowledged message is in the log"),
    ],
)
def test_each_check_of_a_room_fails_on_a_doctored_tally(doctor: Tally, check: str) -> None:
    deeds = Deeds(said=[(1, "a")], begun=1, done=1)
    assert failed(whole(), deeds) == set()
    assert check in failed(doctor, deeds)


def test_an_internal_error_fails_the_run_even_if_it_was_asked_again() -> None:
    deeds = Deeds(begun=1, done=1)
    deeds.again["chat.send: internal"] += 1
    assert [c.passed for c in answers(deeds)] == [True, False]


@pytest.mark.parametrize("counts", [(1, 2, 2), (2, 1, 2), (2, 2, 1)])
def test_a_wrong_number_of_viewers_is_noticed_wherever_it_is(counts: tuple[int, int, int]) -> None:
    assert [c.passed for c in presence(*counts)] == [False]
    assert [c.passed for c in presence(2, 2, 2)] == [True]


def test_tallies_of_two_processes_that_disagree_are_a_fork() -> None:
    total = Tally(ids={1: "a"}, joined=1, viewers_shown=5)
    total.add(Tally(ids={1: "b", 2: "c"}, joined=2, viewers_shown=4))
    assert (total.forks, total.ids[2], total.joined, total.viewers_shown) == (1, "c", 3, 4)


async def test_a_viewer_whose_moment_comes_after_the_end_stays_away() -> None:
    crowd = Crowd(("127.0.0.1", 1), "/ws/s", ["a", "b"], meter=Meter())
    crowd.aclose()
    crowd._enter(crowd.viewers[0])
    assert crowd.viewers[0].sock is None
