"""When a room's tick comes, and what waits for it."""

from __future__ import annotations

import asyncio
import contextlib

from livecommerce.frames import JSON, Item
from livecommerce.member import Member
from livecommerce.tick import SLOTS_MAX, Tick
from livecommerce.uring import Sender
from tests.livecommerce.rooms import eventually
from tests.livecommerce.test_hub_room import offsets
from tests.livecommerce.test_outbox import Wire


async def test_a_busy_room_ticks_at_most_every_twenty_milliseconds() -> None:
    tick, wire = Tick(Sender()), Wire()
    member = Member(wire, JSON, user_id="ann", roles=(), expires_s=2e9, shut=lambda code: None, now_s=0)
    member.held = None
    tick.join(member)
    running = asyncio.create_task(tick.run())
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for offset in range(1, 101):
        tick.add(Item(b'{"offset":%d}' % offset, offset))
        if offset == 1:
            await eventually(lambda: len(wire.frames) == 1, "an idle room does not wait", timeout_s=0.015)
        await asyncio.sleep(0.001)
    await eventually(lambda: len(offsets(wire)) == 100)
    lasted_s = loop.time() - began_s
    assert offsets(wire) == list(range(1, 101))
    assert len(wire.frames) <= lasted_s / 0.02 + 2
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_only_the_newest_of_a_slot_waits_and_slots_are_bounded() -> None:
    tick = Tick(Sender())
    for n in range(SLOTS_MAX * 3):
        tick.show(f"slot {n}", Item(b"{}"))
        tick.show("always", Item(b"%d" % n))
    assert len(tick.latest) <= SLOTS_MAX
    assert tick.latest["always"].json == b"%d" % (SLOTS_MAX * 3 - 1)
    assert len(tick._fresh) <= SLOTS_MAX
