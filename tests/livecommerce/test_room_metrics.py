"""Every figure of rooms in /metrics moves when that happens which it counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis

from deals.metrics import Folded
from livecommerce import hub, keys, room_metrics
from livecommerce.frames import JSON, Batch, Item
from livecommerce.member import Member
from livecommerce.outbox import WITHHOLD_BYTES
from tests.livecommerce.rooms import eventually, room_worker
from tests.livecommerce.test_outbox import Wire

Series = tuple[str, tuple[str, ...]]


def figures() -> dict[Series, float]:
    """Each series of rooms: its metric's name in the code, its labels' values, and its value."""
    Folded.fold_all()
    return {
        (name, tuple(sample.labels.values())): sample.value
        for name, metric in metrics_of_rooms()
        for family in metric.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def metrics_of_rooms() -> Iterator[tuple[str, Counter | Gauge]]:
    for name, value in vars(room_metrics).items():
        metric = value.counter if isinstance(value, Folded) else value
        if isinstance(metric, (Counter, Gauge)):
            yield name, metric


def withhold() -> None:
    """A viewer who is slow is not told a value that may be left out."""
    wire = Wire()
    wire.waiting = WITHHOLD_BYTES + 1
    slow = Member(wire, JSON, user_id="ann", roles=(), expires_s=2e9, shut=lambda _: None, now_s=0)
    slow.deliver(Batch((), [Item(b'{"type":"viewers","as_of":7}')]), ())


async def test_every_figure_of_rooms_moves(valkey_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "SWEEP_S", 0.05)
    room_metrics.ROOMS.set(0)  # a gauge, which says what the last worker of this process said
    before = figures()
    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        host, bad = await worker.host(stream_id), await worker.join(stream_id, "bad")
        await host.do("chat.send", text="hello")
        await host.do("chat.send", text="")
        await bad.until(lambda: bad.offsets == [1])
        await host.do("chat.ban", user_id="bad")
        assert await bad.until_closed() == 3501
        again = await worker.join(stream_id, "ann", epoch=host.joined["epoch"], offset=0)
        there = figures()
        # Something was said while the bus was cut, and then the log is lost.
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await worker.say(stream_id, "while nobody listened")
        await again.until(lambda: again.offsets == [1, 2])
        room = worker.context.hub.room(stream_id)
        assert room is not None
        await worker.context.hub.bus.unsubscribe(keys.log(stream_id), room)
        await worker.say(stream_id, "to nobody")
        await again.until(lambda: again.offsets == [1, 2, 3])
        await redis.delete(keys.room(stream_id), keys.log(stream_id))
        assert await again.until_closed() == 3010
        withhold()
        await eventually(lambda: figures()["POSITIONS_LOST", ()] > before["POSITIONS_LOST", ()])
    moved = {series for series, value in figures().items() if value > before.get(series, 0)}
    moved |= {series for series, value in there.items() if value > before.get(series, 0)}
    assert {name for name, _ in moved} == {name for name, _ in metrics_of_rooms()}
    assert moved >= {
        *{("CLOSED", (code,)) for code in ("3501", "3010")},
        *{("COMMANDS", outcome) for outcome in (("chat.send", "ok"), ("chat.send", "invalid"), ("chat.ban", "ok"))},
        *{("EVENTS", (kind,)) for kind in ("numbered", "private")},
        *{("JOINS", (how,)) for how in ("none", "ring")},
        ("CONNECTIONS", ("json",)),
    }
    assert figures()["CONNECTIONS", ("json",)] <= before.get(("CONNECTIONS", ("json",)), 0)
