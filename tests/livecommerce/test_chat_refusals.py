"""Every refusal of chat through a real WebSocket, and what the same asked again finds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chat import moderation, polls
from chat.errors import ChatError
from livecommerce import bans
from livecommerce.limits import Rate
from livecommerce.problems import KINDS
from tests.livecommerce.edge import GENEROUS
from tests.livecommerce.rooms import RoomWorker, Viewer, room_worker


async def err(viewer: Viewer, do: str, **fields: Any) -> Any:
    reply = await viewer.do(do, **fields)
    assert "err" in reply, reply
    return reply["err"]


async def ok(viewer: Viewer, do: str, **fields: Any) -> Any:
    reply = await viewer.do(do, **fields)
    assert "ok" in reply, reply
    return reply["ok"]


async def test_a_user_an_address_and_a_room_have_limits_that_say_when_to_come_back(valkey_url: str) -> None:
    limits = msgspec.structs.replace(GENEROUS, chat=Rate(0.1, 2), chataddress=Rate(0.05, 3), chatroom=Rate(0.02, 6))
    async with room_worker(valkey_url, limit=limits, trusted_proxy=("127.0.0.0/8",)) as worker:
        stream_id = await worker.stream()
        host = await worker.host(stream_id)

        async def enter(user: str, address: str) -> Viewer:
            viewer = await worker.connect(stream_id, headers={"X-Forwarded-For": address})
            await ok(viewer, "join", token=worker.token(user))
            return viewer

        async def wait_s(viewer: Viewer, text: str) -> float:
            refusal = await err(viewer, "chat.send", text=text)
            assert (refusal["code"], refusal["temporary"]) == ("rate_limited", True)
            return float(refusal["retry_after_ms"]) / 1000

        ann, again = [await enter("ann", "203.0.113.5") for _ in range(2)]
        await ok(ann, "chat.send", text="one of ann")
        await ok(again, "chat.send", text="two of ann")
        for viewer in (ann, again):
            assert 0 < await wait_s(viewer, "three of ann") <= 10, "a user, over all connections"
        bob = await enter("bob", "203.0.113.5")
        await ok(bob, "chat.send", text="one of bob")
        assert 10 < await wait_s(bob, "two of bob") <= 20, "an address, over all users"
        cas, dan = await enter("cas", "203.0.113.6"), await enter("dan", "203.0.113.7")
        for viewer in (cas, cas, dan):
            await ok(viewer, "chat.send", text=f"{len(cas.replies)} of somebody")
        assert 20 < await wait_s(dan, "two of dan") <= 50, "the room, over all addresses"
        for n in range(8):
            await ok(host, "chat.send", text=f"{n} of the host")


async def test_every_refusal_of_chat_is_heard(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a Valkey that is away, which tests/livecommerce/test_hub_valkey.py has."""
    monkeypatch.setattr(bans, "REFRESH_S", 3600.0)
    monkeypatch.setattr(moderation, "MOST_MODERATORS", 1)
    monkeypatch.setattr(polls, "MOST_QUESTIONS", 1)
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        host, ann, bob = [await worker.host(stream_id), *[await worker.join(stream_id, u) for u in ("ann", "bob")]]
        mine = (await ok(ann, "chat.send", text="is it blue?"))["id"]
        another = (await ok(ann, "chat.send", text="is it red?"))["id"]
        await ok(ann, "question.ask", message_id=mine)
        await ok(host, "moderator.grant", user_id="mia")
        heard = {
            "invalid": await err(ann, "chat.send", text="\u200b"),
            "message_not_found": await err(host, "chat.pin", message_id="m_none"),
            "duplicate": await err(ann, "chat.send", text="is it red?"),
            "forbidden": await err(bob, "question.ask", message_id=mine),
            "poll_not_found": await err(ann, "poll.vote", poll_id="poll_none", answer=0),
            "full": await err(ann, "question.ask", message_id=another),
        }
        assert (await err(host, "moderator.grant", user_id="noa"))["code"] == "full"
        await ok(host, "poll.open", question="Which?", answers=["a", "b"])
        heard["illegal_state"] = await err(host, "poll.open", question="Which?", answers=["a", "b"])
        await ok(host, "chat.settings", frozen=True, slow_s=60)
        heard["frozen"] = await err(ann, "chat.send", text="may I?")
        await ok(host, "chat.settings", frozen=False)
        heard["rate_limited"] = await err(ann, "chat.send", text="may I now?")
        # As when its event was lost, before the list of bans was read again: the script itself refuses.
        await worker.context.redis.hset(f"lc:{{{stream_id}}}:chat:bans", "bob", 2**52)
        heard["banned"] = await err(bob, "chat.send", text="and I?")
    assert {code: refusal["code"] for code, refusal in heard.items()} == {code: code for code in heard}
    assert {*heard, "unavailable"} == {refusal.code for refusal in ChatError.__subclasses__()}
    for code, refusal in heard.items():
        assert refusal["temporary"] is KINDS[code].temporary
    assert all(heard[code]["retry_after_ms"] > 0 for code in ("duplicate", "frozen", "rate_limited"))


async def test_who_heard_no_answer_may_ask_again(worker: RoomWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote, an appointment and an announcement that are there already are no refusal, and are there once."""
    monkeypatch.setattr(moderation, "MOST_MODERATORS", 1)
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    for _ in range(2):
        await ok(host, "moderator.grant", user_id="mia")
    poll_id = (await ok(host, "poll.open", question="Which?", answers=["a", "b"]))["poll"]["id"]
    for _ in range(2):
        await ok(ann, "poll.vote", poll_id=poll_id, answer=1)
    assert (await err(ann, "poll.vote", poll_id=poll_id, answer=0))["code"] == "illegal_state"
    assert (await ok(host, "poll.close", poll_id=poll_id))["poll"]["counts"] == [0, 1]
    await ok(ann, "poll.vote", poll_id=poll_id, answer=1)
    assert (await err(host, "poll.vote", poll_id=poll_id, answer=1))["code"] == "illegal_state"
    offsets = {(await ok(host, "announce", text="Welcome", key="k"))["offset"] for _ in range(3)}
    assert len(offsets) == 1
    assert (await ok(host, "announce", text="Welcome"))["offset"] not in offsets
    await ok(host, "chat.send", text="the same key, something else", key="k")
    await ann.until(lambda: bool(ann.texts))
    assert [event["type"] for event in ann.events].count("announcement") == 2
    steps = (await ok(host, "moderation.journal"))["items"]
    assert [step["action"] for step in steps] == ["announce", "announce", "grant"]
