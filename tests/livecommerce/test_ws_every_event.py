"""One show by WebSocket in which every command is carried out and every event heard: each is what its type says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from deals.models import DealSpec, Money, ProductSpec
from livecommerce.commands import TABLE
from livecommerce.schema.events import EVENTS, LatestOnly, Numbered, Private
from tests.livecommerce.rooms import RoomWorker, Viewer, room_worker

EVERYTHING = ("watch", "chat", "buy", "host", "moderate")
SPEC = DealSpec("Mug", Money(500, "EUR"), stock=2, per_buyer_limit=2, duration_s=60, hold_s=60, low_stock=1)


@dataclass
class Show:
    """A stream, its host, three viewers, and the commands that were carried out."""

    worker: RoomWorker
    stream_id: str
    host: Viewer
    ann: Viewer
    bob: Viewer
    cas: Viewer
    done: set[str] = field(default_factory=set)

    async def ok(self, viewer: Viewer, do: str, **fields: Any) -> Any:
        """What a command was answered."""
        reply = await viewer.do(do, **fields)
        assert "ok" in reply, reply
        self.done.add(do)
        return reply["ok"]

    async def talk(self) -> None:
        """Chat, moderation, polls and questions."""
        host, ann, ok = self.host, self.ann, self.ok
        await ok(ann, "ping")
        first = (await ok(ann, "chat.send", text="is it blue?"))["id"]
        second = (await ok(ann, "chat.send", text="a reply", reply_to=first, mentions=["host"]))["id"]
        await ok(ann, "question.ask", message_id=first)
        await ok(host, "question.answer", message_id=first)
        await ok(host, "chat.pin", message_id=first)
        await ok(host, "chat.delete", message_id=second)
        await ok(host, "chat.clear_user", user_id="ann")
        await ok(host, "chat.ban", user_id="eve")
        await ok(host, "chat.unban", user_id="eve")
        await ok(host, "chat.settings", slow_s=1, words=["rotten"])
        await ok(host, "announce", text="Welcome")
        await ok(host, "moderator.grant", user_id="ann")
        await ok(host, "moderator.revoke", user_id="ann")
        await ok(host, "moderation.journal")
        await ok(ann, "chat.react", kind="heart")
        poll = (await ok(host, "poll.open", question="Which?", answers=["a", "b"]))["poll"]["id"]
        await ok(ann, "poll.vote", poll_id=poll, answer=1)
        await ok(host, "poll.close", poll_id=poll)

    async def sell(self) -> None:
        """The showcase, and a deal with a waiting list."""
        host, ann, bob, cas, ok, deals = self.host, self.ann, self.bob, self.cas, self.ok, self.worker.context.deals
        for name in ("lamp", "mug"):
            await deals.put_product(self.stream_id, name, ProductSpec(name.title(), Money(500, "EUR")))
        await ok(host, "product.pin", product_id="mug")
        await ok(ann, "product.view", product_id="mug")
        await deals.order_products(self.stream_id, ["mug", "lamp"])
        await deals.remove_product(self.stream_id, "lamp")
        deal = (await deals.create(self.stream_id, SPEC)).id
        other = (await deals.create(self.stream_id, msgspec.structs.replace(SPEC, ticketed=True))).id
        for deal_id in (deal, other):
            await ok(host, "deal.open", deal_id=deal_id)
        await ok(host, "deal.extend", deal_id=deal, seconds=30)
        await ok(ann, "deal.ticket", deal_id=other)
        orders = [(await ok(ann, "deal.claim", deal_id=deal, units=1, key=f"k{n}"))["order"]["id"] for n in range(2)]
        for viewer in (bob, cas):
            await ok(viewer, "waitlist.join", deal_id=deal)
        await ok(bob, "waitlist.leave", deal_id=deal)
        await ok(bob, "waitlist.join", deal_id=deal)
        await ok(ann, "order.pay", order_id=orders[0], payment_token="pm_ok")
        await ok(ann, "order.cancel", order_id=orders[1])
        for viewer in (cas, bob):
            offered = (await viewer.event("waitlist.offer"))["data"]["order"]["id"]
            await ok(viewer, "order.cancel", order_id=offered)
        await ok(host, "deal.close", deal_id=deal)
        await ok(host, "deal.cancel", deal_id=other)

    async def air(self) -> None:
        """The picture comes, goes, and is over; Valkey is away for a moment."""
        streams = self.worker.context.streams
        await streams.went_live(self.stream_id, worker_id="w1", session_id="w1.s1")
        await streams.interrupted(self.stream_id, session_id="w1.s1")
        hub = self.worker.context.hub
        as_of = hub.position(self.stream_id)
        hub._status(healthy=False)
        assert (await self.bob.event("status"))["as_of"] == as_of > 20
        for kind in ("viewers", "reactions", "poll.counts", "deal.stock"):
            await self.bob.event(kind)
        await streams.end(self.stream_id)
        for viewer in (self.host, self.ann, self.bob, self.cas):
            await viewer.event("stream.ended")


@pytest.mark.parametrize("protocol", ["livecommerce.v1.json", "livecommerce.v1.msgpack"])
async def test_every_command_is_carried_out_and_every_event_is_heard(valkey_url: str, protocol: str) -> None:
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        host = await worker.join(stream_id, "host", *EVERYTHING, protocol=protocol)
        there = [host, *[await worker.join(stream_id, user, protocol=protocol) for user in ("ann", "bob", "cas")]]
        show = Show(worker, stream_id, *there)
        await show.talk()
        await show.sell()
        await show.air()
    assert show.done == set(TABLE)
    heard = [event for viewer in there for event in viewer.events]
    assert {event["type"] for event in heard} == set(EVENTS)
    for event in heard:
        kind = EVENTS[event["type"]]
        typed = msgspec.to_builtins(msgspec.convert(event, kind, strict=True))
        assert not unknown(event, typed), event
        marks = {"offset", "at_ms", "as_of", "to"} & set(event)
        of_class = {Numbered: {"offset", "at_ms"}, LatestOnly: {"as_of"}, Private: {"to"}}
        assert [of_class[base] for base in of_class if issubclass(kind, base)] == [marks], event
    for viewer in there:
        assert viewer.offsets == list(range(1, len(viewer.offsets) + 1))
        assert viewer.numbered == host.numbered


def unknown(said: Any, typed: Any) -> list[str]:
    """What is said that the type does not know."""
    if isinstance(said, dict) and isinstance(typed, dict):
        return [key for key in said if key not in typed and said[key] is not None] + [
            key for name in said if name in typed for key in unknown(said[name], typed[name])
        ]
    if isinstance(said, list) and isinstance(typed, list):
        return [key for one, other in zip(said, typed, strict=True) for key in unknown(one, other)]
    return []
