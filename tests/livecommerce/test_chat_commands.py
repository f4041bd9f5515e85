"""Chat, moderation, polls and questions through a real WebSocket: what all see, and every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from livecommerce import poll_clock
from tests.livecommerce.rooms import RoomWorker, Viewer, eventually, room_worker


@pytest.fixture
async def worker(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RoomWorker]:
    monkeypatch.setattr(poll_clock, "INTERVAL_S", 0.05)
    async with room_worker(valkey_url) as made:
        yield made


async def ok(viewer: Viewer, verb: str, **fields: Any) -> Any:
    reply = await viewer.do(verb, **fields)
    assert "ok" in reply, reply
    return reply["ok"]


async def refused(viewer: Viewer, verb: str, **fields: Any) -> str:
    reply = await viewer.do(verb, **fields)
    assert "err" in reply, reply
    return str(reply["err"]["code"])


async def test_what_a_user_said_is_cleared_and_their_pinned_message_goes(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann, bob = (
        await worker.host(stream_id),
        await worker.join(stream_id, "ann"),
        await worker.join(stream_id, "b"),
    )
    first = await ok(ann, "chat.send", text="first of ann")
    await ok(bob, "chat.send", text="hello from bob")
    await ok(ann, "chat.send", text="second of ann")
    await ok(host, "chat.pin", message_id=first["id"])
    assert (await bob.event("chat.pinned"))["data"]["message"]["text"] == "first of ann"
    assert await ok(host, "chat.clear_user", user_id="ann") == {"messages": 2}
    assert (await bob.event("chat.cleared"))["data"] == {"user_id": "ann"}
    await bob.until(lambda: bob.numbered[-1]["data"] == {"message": None}, "unpinned")
    assert await refused(ann, "chat.send", text="and", reply_to=first["id"]) == "message_not_found"
    assert await refused(host, "chat.delete", message_id=first["id"]) == "message_not_found"
    assert await refused(host, "chat.pin", message_id=first["id"]) == "message_not_found"
    assert await ok(host, "chat.clear_user", user_id="nobody") == {"messages": 0}


async def test_a_pinned_message_is_told_to_who_joins_and_goes_when_it_is_taken_back(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host = await worker.host(stream_id)
    said = await ok(host, "chat.send", text='tonight: 20% off "data":{"x":1}}')
    await ok(host, "chat.pin", message_id=said["id"])
    late = await worker.join(stream_id, "late")
    assert late.joined["chat"]["pinned"]["text"] == 'tonight: 20% off "data":{"x":1}}'
    await ok(host, "chat.delete", message_id=said["id"])
    # The pinning itself may have come, too: only what follows the deletion tells that this worker knows of it.
    deleted = (await late.event("chat.deleted"))["offset"]
    await late.until(lambda: late.numbered[-1]["type"] == "chat.pinned" and late.numbered[-1]["offset"] > deleted)
    assert (await worker.join(stream_id, "later")).joined["chat"]["pinned"] is None
    await ok(host, "chat.pin")


async def test_a_frozen_room_hears_only_its_staff(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    assert await ok(host, "chat.settings", frozen=True) == {"slow_s": 0, "frozen": True, "words": []}
    assert (await ann.event("chat.settings"))["data"] == {"slow_s": 0, "frozen": True}
    assert await refused(ann, "chat.send", text="may I?") == "frozen"
    await ok(host, "chat.send", text="only me")
    assert (await worker.join(stream_id, "late")).joined["chat"]["rules"] == {"slow_s": 0, "frozen": True}
    await ok(host, "chat.settings", frozen=False)
    await ok(ann, "chat.send", text="at last")


async def test_slow_mode_says_when_to_come_back_and_leaves_staff_alone(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    await ok(host, "chat.settings", slow_s=30)
    await ok(ann, "chat.send", text="one message")
    reply = await ann.do("chat.send", text="another message")
    assert reply["err"]["code"] == "rate_limited"
    assert 25_000 < reply["err"]["retry_after_ms"] <= 30_000
    for n in range(3):
        await ok(host, "chat.send", text=f"answer {n}")


async def test_blocked_words_are_found_however_disguised_and_shown_to_nobody(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    assert (await ok(host, "chat.settings", words=["Rotten", "bad"]))["words"] == ["Rotten", "bad"]
    assert "words" not in (await ann.event("chat.settings"))["data"]
    await ok(host, "moderator.grant", user_id="mia")
    staff, late = (await worker.host(stream_id)).joined["chat"], (await worker.join(stream_id, "late")).joined["chat"]
    assert (staff["words"], staff["moderators"]) == (["Rotten", "bad"], ["mia"])
    assert (late["words"], late["moderators"]) == ([], [])
    for text in ("so rotten", "R0TTEN!", "r o t t e n", "gоrоtten", "b a d? bad", "BÄD"):
        assert await refused(ann, "chat.send", text=text) == "invalid", text
    await ok(await worker.join(await worker.stream(), "ann"), "chat.send", text="rotten, elsewhere")
    await ok(ann, "chat.send", text="my badge is here")
    await ok(host, "chat.send", text="I may say rotten")
    assert await refused(host, "chat.settings", words=["x" * 41]) == "invalid"
    await ok(host, "chat.settings", words=[])
    await ok(ann, "chat.send", text="rotten again")


async def test_the_same_text_is_not_said_twice_in_a_row(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
    await ok(ann, "chat.send", text="buy my stuff", key="k1")
    assert await refused(ann, "chat.send", text="buy  my stuff") == "duplicate"
    await ok(ann, "chat.send", text="buy my stuff", key="k1")
    await ok(bob, "chat.send", text="buy my stuff")
    await ok(ann, "chat.send", text="wow")
    await ok(ann, "chat.send", text="wow")


async def test_an_appointed_moderator_moderates_on_every_worker_until_revoked(valkey_url: str) -> None:
    async with room_worker(valkey_url) as one, room_worker(valkey_url) as two:
        stream_id = await one.stream()
        host, mod = await one.host(stream_id), await two.join(stream_id, "mod")
        victim = await one.join(stream_id, "victim")
        assert await refused(mod, "chat.ban", user_id="victim") == "forbidden"
        await ok(host, "moderator.grant", user_id="mod")
        assert (await mod.event("moderation"))["data"] == {"action": "grant", "user_id": "mod", "until_ms": None}
        await ok(mod, "chat.send", text="I moderate now")
        await victim.until(lambda: bool(victim.texts))
        assert victim.numbered[-1]["data"]["user"]["roles"] == ["moderator"]
        again = await one.join(stream_id, "mod")
        assert (again.joined["user"]["roles"], "moderate" in again.joined["user"]["can"]) == (["moderator"], True)
        await ok(mod, "chat.ban", user_id="victim", seconds=60)
        assert await victim.until_closed() == 3501
        assert await refused(mod, "moderator.grant", user_id="friend") == "forbidden"
        await ok(host, "moderator.revoke", user_id="mod")
        assert await refused(mod, "chat.unban", user_id="victim") == "forbidden"
        journal = await ok(host, "moderation.journal")
        steps = [(s["action"], s["by"], s["user_id"]) for s in journal["items"]]
        assert steps == [("revoke", "host", "mod"), ("ban", "mod", "victim"), ("grant", "host", "mod")]


async def test_the_journal_is_read_in_pages_newest_first(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host = await worker.host(stream_id)
    for n in range(5):
        await ok(host, "chat.ban", user_id=f"u{n}", seconds=60)
    page = await ok(host, "moderation.journal", limit=3)
    rest = await ok(host, "moderation.journal", limit=3, after=page["next"])
    assert [s["user_id"] for s in page["items"] + rest["items"]] == ["u4", "u3", "u2", "u1", "u0"]
    assert rest["next"] is None
    assert page["items"][0]["at_ms"] > 1_600_000_000_000
    assert await refused(host, "moderation.journal", after="x") == "invalid"


async def test_every_step_of_moderation_leaves_its_line_in_the_journal(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    first, second = [(await ok(ann, "chat.send", text=text))["id"] for text in ("first", "second")]
    await ok(host, "chat.pin", message_id=first)
    await ok(host, "chat.pin")
    await ok(host, "chat.delete", message_id=second)
    await ok(host, "chat.clear_user", user_id="ann")
    await ok(host, "chat.ban", user_id="bad")
    await ok(host, "chat.unban", user_id="bad")
    await ok(host, "chat.settings", slow_s=2)
    await ok(host, "announce", text="welcome")
    await ok(host, "moderator.grant", user_id="ann")
    steps = (await ok(host, "moderation.journal"))["items"]
    assert {step["by"] for step in steps} == {"host"}
    assert [step["action"] for step in reversed(steps)] == [
        *("pin", "pin", "delete", "clear_user", "ban", "unban", "settings", "announce", "grant")
    ]


async def test_questions_wait_in_a_queue_only_staff_sees(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann, bob = (
        await worker.host(stream_id),
        await worker.join(stream_id, "ann"),
        await worker.join(stream_id, "b"),
    )
    asked = await ok(ann, "chat.send", text="does it ship to Ghent?")
    assert await refused(bob, "question.ask", message_id=asked["id"]) == "forbidden"
    assert await refused(bob, "question.ask", message_id="m-none") == "message_not_found"
    await ok(ann, "question.ask", message_id=asked["id"])
    await ok(ann, "question.ask", message_id=asked["id"])
    assert (await bob.event("question.asked"))["data"]["message"]["id"] == asked["id"]
    queue = (await host.event("question.queue"))["data"]["questions"]
    assert [q["text"] for q in queue] == ["does it ship to Ghent?"]
    assert [q["id"] for q in (await worker.host(stream_id)).joined["chat"]["questions"]] == [asked["id"]]
    assert (await worker.join(stream_id, "late")).joined["chat"]["questions"] == []
    assert await refused(ann, "question.answer", message_id=asked["id"]) == "forbidden"
    await ok(host, "question.answer", message_id=asked["id"])
    assert (await bob.event("question.answered"))["data"] == {"id": asked["id"]}
    assert await refused(host, "question.answer", message_id=asked["id"]) == "message_not_found"
    await host.until(lambda: any(e["data"] == {"questions": []} for e in host.events))
    assert not any(e["type"] == "question.queue" for e in bob.events)
    assert [e["type"] for e in bob.numbered].count("question.asked") == 1


async def test_who_is_mentioned_is_told_in_the_message(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    ann, bob = await worker.join(stream_id, "ann"), await worker.join(stream_id, "bob")
    await ok(ann, "chat.send", text="look, @Bob", mentions=["bob", "bob"])
    assert (await bob.event("chat.message"))["data"]["mentions"] == ["bob"]
    assert await refused(ann, "chat.send", text="all of you", mentions=[f"u{n}" for n in range(6)]) == "invalid"


async def test_a_room_is_watched_for_bans_as_long_as_it_has_viewers(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    await worker.join(stream_id, "ann")
    room = worker.context.hub.room(stream_id)
    assert room is not None
    await eventually(lambda: room.visitors == 1)
