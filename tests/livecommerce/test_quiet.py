"""Connections on which nobody says anything, private news for the host alone, and reactions as sums."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from deals.models import DealSpec, Money
from livecommerce import hub
from livecommerce.member import PING_S, SILENT_S, Member
from livecommerce.reactions import Reactions
from livecommerce.schema.events import EVENTS
from tests.livecommerce.rooms import PATIENCE_S, RoomWorker


async def test_who_is_quiet_is_asked_and_who_does_not_answer_is_let_go(worker: RoomWorker) -> None:
    """What the sweep does with each connection (a token that has run out shows that it comes to all)."""
    stream_id = await worker.stream()
    viewer = await worker.connect(stream_id, autoping=False)
    await viewer.do("join", token=worker.token("asleep"))
    [member] = worker.context.hub.room(stream_id).tick.joined  # type: ignore[union-attr]
    heard_s = member.last_heard_s
    member.look_after(heard_s + PING_S - 1)
    member.look_after(heard_s + PING_S)
    member.look_after(heard_s + PING_S + 1)
    member.look_after(heard_s + SILENT_S)
    frames = []
    while not frames or frames[-1].type is not aiohttp.WSMsgType.CLOSE:
        frames.append(await viewer.socket.receive(timeout=PATIENCE_S))
    assert [frame.type for frame in frames].count(aiohttp.WSMsgType.PING) == 1
    assert frames[-1].data == 3012


async def test_one_who_cannot_be_looked_after_is_no_hindrance_to_the_others(
    worker: RoomWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_id = await worker.stream()
    there = [await worker.join(stream_id, user_id) for user_id in ("ann", "ben")]
    ann, ben = worker.context.hub.room(stream_id).tick.joined  # type: ignore[union-attr]
    real = Member.look_after

    def broken(member: Member, now_s: float) -> None:
        if member is ann:
            raise ValueError("a broken connection")
        real(member, now_s)

    monkeypatch.setattr(Member, "look_after", broken)
    ben.expires_s = 0.0
    await worker.context.hub._sweep()
    assert ann.outbox.transport.is_closing()
    assert ben.closing == 3500
    assert len(there) == 2


async def test_looking_after_many_leaves_the_loop_to_others_in_between(
    worker: RoomWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_SLICE", 1)
    stream_id = await worker.stream()
    there = [await worker.join(stream_id, user_id) for user_id in ("ann", "ben", "cas")]
    looked_at: list[int] = []
    turns = 0
    monkeypatch.setattr(Member, "look_after", lambda _member, _now_s: looked_at.append(turns))

    async def somebody_else() -> None:
        nonlocal turns
        while len(looked_at) < len(there):
            turns += 1
            await asyncio.sleep(0)

    await asyncio.gather(worker.context.hub._sweep(), somebody_else())
    assert len(set(looked_at)) >= len(there)


async def test_only_the_host_hears_that_a_deal_runs_low(worker: RoomWorker) -> None:
    stream_id = await worker.stream()
    host, ann = await worker.host(stream_id), await worker.join(stream_id, "ann")
    spec = DealSpec("Mug", Money(500, "EUR"), stock=3, per_buyer_limit=3, duration_s=60, hold_s=60, low_stock=1)
    deal = await worker.context.deals.create(stream_id, spec)
    await worker.context.deals.open(stream_id, deal.id)
    await ann.do("deal.claim", deal_id=deal.id, units=1, key="k1")
    await ann.do("deal.claim", deal_id=deal.id, units=1, key="k2")
    told = await host.event("deal.low_stock")
    msgspec.convert(told, EVENTS["deal.low_stock"])
    assert told["data"] == {"deal_id": deal.id, "left": 1}
    stock = await ann.event("deal.stock")
    msgspec.convert(stock, EVENTS["deal.stock"])
    assert ("offset" in stock, stock["as_of"] > 0) == (False, True)
    await ann.do("chat.send", text="all is told by now")
    await ann.until(lambda: bool(ann.texts))
    assert not [e for e in ann.events if e["type"] == "deal.low_stock"]


async def test_reactions_are_told_as_one_sum_however_many_there_were() -> None:
    class Heard:
        def __init__(self) -> None:
            self.told: list[Any] = []

        async def spublish(self, channel: str, message: bytes) -> None:
            self.told.append(msgspec.json.decode(message[1:]))

    redis = Heard()
    reactions = Reactions(redis, lambda _: 41)  # type: ignore[arg-type]
    for _ in range(500):
        reactions.add("s1", "heart", 3)
        reactions.add("s1", "wow", 1)
    await reactions._tell()
    await reactions._tell()
    [event] = redis.told
    assert (event["type"], event["as_of"], event["data"]) == ("reactions", 41, {"heart": 1500, "wow": 500})
