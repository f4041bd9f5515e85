"""The Python client against a small fake server that speaks the documented wire; the real server has its own tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from livecommerce.client import Client, Codec, Room, RoomClosed, ServerError, Unreachable
from livecommerce.client.wire import Wire
from tests.livecommerce.fake_room import FakeRoom, send


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
async def client(fake: FakeRoom) -> AsyncIterator[Client]:
    async def guest(request: web.Request) -> web.Response:
        return web.json_response({"token": "t0", "user": {"id": "u1", **await request.json()}}, status=201)

    async def claim(request: web.Request) -> web.Response:
        if request.headers["Idempotency-Key"] == "unknown":
            return web.json_response({"state": "processing"}, status=202)
        problem = {"code": "rate_limited", "status": 429, "title": "Slow", "detail": "Wait.", "retry_after_ms": 300}
        return web.json_response(problem, status=429, content_type="application/problem+json")

    async def whip(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t0"
        return web.Response(
            status=201, text="answer to " + await request.text(), headers={"Location": "/whip/s1/x", "ETag": '"1"'}
        )

    app = web.Application()
    app.add_routes(
        [
            web.post("/api/v1/guest", guest),
            web.post("/api/v1/streams/s1/deals/d1/claims", claim),
            web.post("/whip/s1", whip),
            web.get("/ws/s1", fake.handle),
        ]
    )
    server = TestServer(app)
    await server.start_server()
    async with Client(str(server.make_url(""))) as client:
        await client.sign_in("Ann")
        yield client
    await server.close()


async def texts(room: Room, count: int) -> list[str]:
    """The texts of the next ``count`` chat messages."""
    said: list[str] = []
    async with asyncio.timeout(5):
        async for event in room:
            if event.type == "chat.message":
                said.append(event.data["text"])
            if len(said) == count:
                break
    return said


async def test_signing_in_keeps_the_token_for_later_requests(client: Client) -> None:
    assert client.token == "t0"
    answer = await client.offer("whip", "s1", "my offer")
    assert (answer.sdp, answer.location, answer.etag) == ("answer to my offer", "/whip/s1/x", '"1"')


async def test_a_refusal_carries_the_problems_code_and_when_to_come_back(client: Client) -> None:
    with pytest.raises(ServerError) as caught:
        await client.claim("s1", "d1", key="k1")
    error = caught.value
    assert (error.code, error.status, error.temporary, error.retry_after_ms) == ("rate_limited", 429, True, 300)


async def test_an_unknown_outcome_is_an_error_that_says_so(client: Client) -> None:
    with pytest.raises(ServerError) as caught:
        await client.claim("s1", "d1", key="unknown")
    assert caught.value.code == "outcome_unknown"


async def test_a_page_of_a_proxy_instead_of_a_problem_is_a_refusal_too(client: Client) -> None:
    with pytest.raises(ServerError) as caught:
        await client.request("GET", "/nothing")
    assert caught.value.code == "http_404"


async def test_a_server_that_is_not_there_is_unreachable(unused_tcp_port: int) -> None:
    async with Client(f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(Unreachable):
            await client.sign_in("Ann")
        client.token = "t"
        with pytest.raises(Unreachable):
            await client.room("s1").start()


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_commands_are_answered_and_events_follow_in_order(client: Client, codec: Codec) -> None:
    async with client.room("s1", codec=codec) as room:
        first = await room.next_event()
        assert first is not None
        assert first.type == "joined"
        assert (await room.chat("one"))["offset"] == 1
        await room.chat("two")
        assert await texts(room, 2) == ["one", "two"]
        with pytest.raises(ServerError, match="sold_out"):
            await room.claim("d1")


async def test_a_refused_join_raises_its_code(client: Client, fake: FakeRoom) -> None:
    fake.refuse = {"code": "token_expired", "message": "Expired.", "temporary": False}
    with pytest.raises(ServerError, match="token_expired"):
        await client.room("s1").start()


async def test_a_lost_connection_resumes_without_a_gap_or_a_double(client: Client, fake: FakeRoom) -> None:
    """Given a connection that dies after two messages, when more was said meanwhile, then all arrive once."""

    async def die_once(socket: web.WebSocketResponse, wire: Wire) -> None:
        fake.script = fake.answer_commands
        await send(socket, wire, [fake.say("one"), fake.say("two")])
        fake.say("three")
        await socket.close(code=3001)

    fake.script = die_once
    async with client.room("s1") as room:
        assert await texts(room, 3) == ["one", "two", "three"]
        assert (fake.joins[1]["epoch"], fake.joins[1]["offset"]) == ("e1", 2)
        await room.chat("four")
        assert await texts(room, 1) == ["four"]
        assert (room.reconnects, room.gaps) == (1, 0)


async def test_an_event_already_seen_is_not_yielded_again(client: Client, fake: FakeRoom) -> None:
    async def double(socket: web.WebSocketResponse, wire: Wire) -> None:
        one = fake.say("one")
        await send(socket, wire, [one, one, fake.say("two")])
        await fake.answer_commands(socket, wire)

    fake.script = double
    async with client.room("s1") as room:
        assert await texts(room, 2) == ["one", "two"]


async def test_a_hole_in_the_numbering_is_counted(client: Client, fake: FakeRoom) -> None:
    async def hole(socket: web.WebSocketResponse, wire: Wire) -> None:
        one, _lost, three = (fake.say(word) for word in ("one", "two", "three"))
        await send(socket, wire, [one, three])
        await fake.answer_commands(socket, wire)

    fake.script = hole
    async with client.room("s1") as room:
        assert await texts(room, 2) == ["one", "three"]
        assert room.gaps == 1


async def test_a_slow_reader_gets_everything_and_commands_are_still_answered(client: Client, fake: FakeRoom) -> None:
    """Given room for five events and forty said, when the reader reads at last, then it still sees all forty."""
    async with client.room("s1", max_events=5) as room:
        for number in range(40):
            await room.chat(str(number))
        assert room.dropped > 0
        assert await texts(room, 40) == [str(number) for number in range(40)]
        assert room.gaps == 0


async def test_latest_only_events_are_dropped_without_a_reconnect(client: Client, fake: FakeRoom) -> None:
    async def count(socket: web.WebSocketResponse, wire: Wire) -> None:
        await send(socket, wire, [{"type": "viewers", "as_of": 0, "data": {"count": n}} for n in range(9)])
        await fake.answer_commands(socket, wire)

    fake.script = count
    async with client.room("s1", max_events=3) as room:
        await room.chat("seen by the drop counter only")
        assert room.dropped >= 7
        assert [(await room.next_event()).type for _ in range(3)] == ["joined", "viewers", "viewers"]  # type: ignore[union-attr]


async def test_a_server_that_says_do_not_come_back_is_obeyed(client: Client, fake: FakeRoom) -> None:
    async def ban(socket: web.WebSocketResponse, _wire: Wire) -> None:
        await socket.close(code=3501)

    fake.script = ban
    async with client.room("s1") as room:
        await room.next_event()
        with pytest.raises(RoomClosed) as caught:
            async with asyncio.timeout(5):
                await room.next_event()
    assert caught.value.code == 3501
    assert len(fake.joins) == 1


async def test_iteration_ends_with_the_stream(client: Client, fake: FakeRoom) -> None:
    async def over(socket: web.WebSocketResponse, wire: Wire) -> None:
        await send(socket, wire, fake.say("bye"))
        await socket.close(code=3502)

    fake.script = over
    async with client.room("s1") as room, asyncio.timeout(5):
        assert [event.type async for event in room] == ["joined", "chat.message"]


async def test_a_command_whose_connection_ends_first_says_so(client: Client, fake: FakeRoom) -> None:
    """Given a message that is said while the connection dies, then the awaitable tells that nobody knows, at once."""

    async def die_before_the_answer(socket: web.WebSocketResponse, wire: Wire) -> None:
        fake.script = fake.answer_commands
        (command,) = wire.decode((await socket.receive()).data)
        fake.say(command["text"])
        await socket.close(code=3001)

    fake.script = die_before_the_answer
    async with client.room("s1") as room:
        with pytest.raises(Unreachable, match="before the reply"):
            await room.chat("once", key="k", timeout_s=3600.0)
        # It comes back by itself; what was said is told as an event, and commands work again.
        assert await texts(room, 1) == ["once"]
        await room.chat("again")
        assert await texts(room, 1) == ["again"]
        assert (room.reconnects, room.gaps, len(fake.joins)) == (1, 0, 2)


async def test_a_command_while_there_is_no_connection_is_not_sent(client: Client, fake: FakeRoom) -> None:
    gone = asyncio.Event()

    async def die(socket: web.WebSocketResponse, _wire: Wire) -> None:
        fake.refuse = {"code": "unavailable", "message": "Later.", "temporary": True}
        await socket.close(code=3001)
        gone.set()

    fake.script = die
    async with client.room("s1") as room:
        await gone.wait()
        told = ""
        async with asyncio.timeout(5):
            while "not connected" not in told:
                with pytest.raises(Unreachable) as caught:
                    await room.do("ping")
                told = str(caught.value)


async def test_a_command_without_a_reply_is_given_up_in_time(client: Client) -> None:
    async with client.room("s1") as room:
        with pytest.raises(Unreachable):
            await room.do("ping", timeout_s=0.05)


async def test_leaving_ends_a_waiting_reader_and_twice_is_safe(client: Client) -> None:
    room = client.room("s1")
    await room.start()
    await room.next_event()
    reading = asyncio.create_task(room.next_event())
    await room.aclose()
    await room.aclose()
    assert await reading is None


async def test_history_can_be_told_from_news(client: Client, fake: FakeRoom) -> None:
    fake.say("old")
    async with client.room("s1") as room:
        await room.chat("new")
        known = [room.is_history(event) for event in [await room.next_event() for _ in range(3)] if event is not None]
    assert known == [False, True, False]


async def test_a_room_ends_with_its_session_instead_of_trying_for_ever(client: Client) -> None:
    room = client.room("s1")
    await room.start()
    await room.next_event()
    await client.aclose()
    async with asyncio.timeout(5):
        assert await room.next_event() is None
    await room.aclose()
