"""The room by WebSocket, as a client sees it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from livecommerce.schema.events import EVENTS
from tests.livecommerce.rooms import RoomWorker, Viewer


def whole(viewer: Viewer) -> bool:
    """Whether the offsets rise by one each."""
    offsets = viewer.offsets
    return offsets == list(range(offsets[0], offsets[0] + len(offsets)))


async def test_a_join_tells_who_i_am_and_what_there_is(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    viewer = await worker.join(stream_id)
    ok = viewer.joined
    assert ok["user"] == {"id": "ann", "name": "Ann", "roles": [], "can": ["watch", "chat", "buy"]}
    assert (ok["offset"], ok["recovered"]) == (0, False)
    assert ok["epoch"]
    assert ok["stream"]["id"] == stream_id
    assert ok["stream"]["urls"]["ws"] == f"wss://shop.example/ws/{stream_id}"
    assert (ok["deals"], ok["products"], ok["orders"]) == ([], [], [])
    assert abs(ok["server_ms"] - worker.context.clock.now_ms()) < 5000
    host = await worker.host(stream_id)
    assert host.joined["user"]["roles"] == ["host"]
    assert host.joined["user"]["can"] == ["watch", "chat", "buy", "host", "moderate"]


async def test_what_one_says_all_hear_once_with_the_same_offset(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
    said = await ann.do("chat.send", text="hello  there\u202e")
    for viewer in (ann, bob):
        event = await viewer.event("chat.message")
        assert event["offset"] == said["ok"]["offset"] == 1
        assert event["data"] == {
            "id": said["ok"]["id"],
            "user": {"id": "ann", "name": "Ann", "roles": []},
            "text": "hello there",
        }
        assert abs(event["at_ms"] - worker.context.clock.now_ms()) < 5000


async def test_who_joins_late_gets_the_newest_fifty_and_then_what_follows(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.say(stream_id, *(f"line {n}" for n in range(1, 61)))
    viewer = await worker.join(stream_id)
    assert (viewer.joined["offset"], viewer.joined["recovered"]) == (60, False)
    await worker.say(stream_id, "line 61")
    await viewer.until(lambda: 61 in viewer.offsets)
    assert viewer.offsets == list(range(11, 62))


async def test_who_comes_back_gets_exactly_what_was_missed(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.say(stream_id, "one", "two")
    first = await worker.join(stream_id)
    await first.until(lambda: 2 in first.offsets)
    await first.socket.close()
    await worker.say(stream_id, "three", "four", "five")
    again = await worker.join(stream_id, epoch=first.joined["epoch"], offset=2)
    # Whether "five" comes with the join or right after it is the bus's pace: exactly what was missed comes.
    assert again.joined["recovered"] is True
    await again.until(lambda: 5 in again.offsets)
    assert again.offsets == [3, 4, 5]
    nothing_missed = await worker.join(stream_id, epoch=first.joined["epoch"], offset=5)
    assert nothing_missed.joined["recovered"] is True
    assert "ok" in await nothing_missed.do("ping")
    assert nothing_missed.numbered == []


@pytest.mark.parametrize("position", [{"epoch": "1", "offset": 2}, {"offset": 2}, {"offset": 99}, {}])
async def test_a_position_of_another_log_is_not_recovered(worker: RoomWorker, position: dict[str, Any]) -> None:
    stream_id = await worker.stream()
    await worker.say(stream_id, "one", "two", "three")
    if position == {"offset": 99}:
        position = {"epoch": (await worker.join(stream_id)).joined["epoch"], "offset": 99}
    viewer = await worker.join(stream_id, **position)
    assert viewer.joined["recovered"] is False
    await viewer.until(lambda: viewer.offsets == [1, 2, 3])


async def test_joining_and_coming_back_amid_a_storm_of_events_leaves_no_gap_and_no_double(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    total = 600
    finished = asyncio.Event()

    async def storm() -> None:
        for start in range(0, total, 20):
            await asyncio.gather(*(worker.say(stream_id, f"line {n}") for n in range(start, start + 20)))
        finished.set()

    async def follow(user: str) -> list[int]:
        seen: list[int] = []
        position: dict[str, Any] = {}
        while not (finished.is_set() and seen and seen[-1] == total):
            viewer = await worker.join(stream_id, user, **position)
            assert viewer.joined["recovered"] or not seen
            for _ in range(12):
                if finished.is_set() and viewer.offsets and viewer.offsets[-1] == total:
                    break
                await viewer.read()
            await viewer.socket.close()
            seen += viewer.offsets
            if seen:
                position = {"epoch": viewer.joined["epoch"], "offset": seen[-1]}
        return seen

    results = await asyncio.gather(storm(), *(follow(f"user {n}") for n in range(6)))
    for seen in results[1:]:
        assert seen is not None
        assert seen == list(range(seen[0], total + 1))


async def test_json_and_msgpack_say_the_same(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    text = await worker.join(stream_id, "ann")
    binary = await worker.join(stream_id, "bob", protocol="livecommerce.v1.msgpack")
    assert binary.socket.protocol == "livecommerce.v1.msgpack"
    said = await binary.do("chat.send", text="hé 🎉")
    refused = [await v.do("chat.send", text="") for v in (text, binary)]
    assert refused[0]["err"] == refused[1]["err"]
    for viewer in (text, binary):
        await viewer.event("chat.message")
    assert text.numbered == binary.numbered
    assert text.numbered[0]["data"]["id"] == said["ok"]["id"]
    assert set(text.joined) == set(binary.joined)


async def test_every_event_a_viewer_gets_is_of_its_documented_type(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id)
    message = (await ann.do("chat.send", text="hi"))["ok"]["id"]
    await ann.do("chat.react", kind="heart", count=3)
    await host.do("chat.delete", message_id=message)
    await host.do("announce", text="Welcome")
    for kind in ("chat.message", "chat.deleted", "announcement", "reactions", "viewers"):
        msgspec.convert(await ann.event(kind), EVENTS[kind])
    assert (await ann.event("reactions"))["data"] == {"heart": 3}


async def test_a_ban_closes_every_connection_of_that_user_and_keeps_them_out(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, bad, bystander = [await worker.join(stream_id, u, *g) for u, g in _PEOPLE]
    second = await worker.join(stream_id, "bad")
    assert "ok" in await host.do("chat.ban", user_id="bad", seconds=60)
    for viewer in (bad, second):
        assert await viewer.until_closed() == 3501
        assert viewer.events[-1]["type"] == "moderation"
    again = await worker.connect(stream_id)
    reply = await again.do("join", token=worker.token("bad"))
    assert reply["err"]["code"] == "banned"
    assert await again.until_closed() == 3501
    await worker.join(await worker.stream(), "bad")  # of another host, who bans for themselves
    assert "ok" in await host.do("chat.unban", user_id="bad")
    await worker.join(stream_id, "bad")
    assert "ok" in await bystander.do("ping")


_PEOPLE: list[tuple[str, tuple[str, ...]]] = [("host", ("watch", "chat", "host")), ("bad", ()), ("ann", ())]


async def test_private_events_reach_only_whom_they_are_for(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann, trickster = (
        await worker.host(stream_id),
        await worker.join(stream_id, "ann"),
        await worker.join(stream_id, "role:host"),
    )
    for to in ("ann", "role:host"):
        await worker.context.run_script(
            "return tell(KEYS[1], ARGV[1], 'order.updated', ARGV[2])",
            [f"lc:{{{stream_id}}}:log"],
            [to, json.dumps({"for": to})],
        )
    assert (await ann.event("order.updated"))["data"] == {"for": "ann"}
    assert (await host.event("order.updated"))["data"] == {"for": "role:host"}
    for viewer in (host, ann, trickster):
        await viewer.do("ping")
        told = [e for e in viewer.events if e["type"] == "order.updated"]
        assert len(told) == (0 if viewer is trickster else 1)


async def test_an_ended_stream_takes_no_new_viewers_and_no_chat(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    ann = await worker.join(stream_id)
    await worker.context.streams.end(stream_id)
    await ann.event("stream.ended")
    assert (await ann.do("chat.send", text="still here?"))["err"]["code"] == "stream_ended"
    late = await worker.connect(stream_id)
    assert (await late.do("join", token=worker.token("bob")))["err"]["code"] == "stream_ended"
    assert await late.until_closed() == 3502


async def test_what_one_connection_says_keeps_its_order(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host = await worker.host(stream_id)
    texts = [f"line {n}" for n in range(15)]
    numbers = [await host.post("chat.send", text=text) for text in texts]
    offsets = [(await host.reply(n))["ok"]["offset"] for n in numbers]
    assert offsets == sorted(offsets)
    await host.until(lambda: len(host.texts) == 15)
    assert host.texts == texts


async def test_a_token_that_expires_ends_its_connection(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    viewer = await worker.connect(stream_id)
    assert "ok" in await viewer.do("join", token=worker.token("ann", ttl_s=2))
    assert await viewer.until_closed() == 3500


async def test_a_worker_that_stops_says_so(worker: RoomWorker) -> None:
    viewer = await worker.join(await worker.stream())
    await worker.context.hub.close_all(3001)
    assert await viewer.until_closed() == 3001


async def test_pings_are_answered(worker: RoomWorker) -> None:
    viewer = await worker.connect(await worker.stream(), autoping=False)
    await viewer.socket.ping(b"are you there")
    answer = await viewer.socket.receive(timeout=5)
    assert bytes(answer.data) == b"are you there"


async def test_a_flash_deal_by_websocket(worker: RoomWorker) -> None:
    from deals.models import DealSpec, Money

    stream_id = await worker.stream()
    host, ann, bob = (
        await worker.host(stream_id),
        await worker.join(stream_id, "ann"),
        await worker.join(stream_id, "bob"),
    )
    spec = DealSpec("Mug", Money(500, "EUR"), stock=1, per_buyer_limit=1, duration_s=60, hold_s=60)
    deal = await worker.context.deals.create(stream_id, spec)
    assert (await host.do("deal.open", deal_id=deal.id))["ok"]["deal"]["state"] == "open"
    order = (await ann.do("deal.claim", deal_id=deal.id, units=1, key="k1"))["ok"]["order"]
    assert order["state"] == "held"
    assert (await bob.do("deal.claim", deal_id=deal.id, units=1, key="k2"))["err"]["code"] == "sold_out"
    assert (await bob.do("order.pay", order_id=order["id"], payment_token="pm_ok"))["err"]["code"] == "order_not_found"
    reloaded = await worker.join(stream_id, "ann")
    assert [o["id"] for o in reloaded.joined["orders"]] == [order["id"]]
    assert [d["left"] for d in reloaded.joined["deals"]] == [0]
    assert (await ann.do("order.pay", order_id=order["id"], payment_token="pm_ok"))["ok"]["order"]["state"] == "paid"
    await bob.event("purchase")
    for kind in ("deal.opened", "deal.claimed", "deal.sold_out", "purchase"):
        msgspec.convert(await bob.event(kind), EVENTS[kind])
    msgspec.convert(await ann.event("order.updated"), EVENTS["order.updated"])
    assert not [e for e in bob.events if e["type"] == "order.updated"]
    assert whole(bob)
