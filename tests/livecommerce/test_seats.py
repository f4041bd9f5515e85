"""Rows of viewers when one of them breaks: the others hear everything, and so does it, or it is closed."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import pytest

from livecommerce.frames import Item
from tests.livecommerce.rooms import eventually
from tests.livecommerce.test_tick import LOOPS, Make, Stage, messages, read, way

__all__ = ["way"]


def fill(fd: int) -> int:
    """Write until the kernel takes no more; how many bytes that were."""
    written = 0
    for size in (1 << 16, 1):
        try:
            while True:
                written += os.write(fd, bytes(size))
        except BlockingIOError:
            pass
    return written


class Broken:
    """A transport that raises when it is written to."""

    def __init__(self, real: asyncio.Transport) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, data: bytes) -> None:
        raise RuntimeError("a defect of a transport")


@LOOPS
def test_whose_reply_the_kernel_does_not_take_gets_the_tick_all_the_same(make_loop: Make) -> None:
    async def run() -> None:
        async with Stage() as stage:
            there, member = await stage.viewer()
            await stage.say()
            assert member.outbox.row is not None
            got = bytearray()
            await eventually(lambda: read(there, got))
            before = len(got) + fill(member.outbox.fd)
            member.reply(b'{"re":1}')
            await stage.say()
            await eventually(lambda: not read(there, got) and not member.outbox.transport.get_write_buffer_size())
            await stage.say()
            await eventually(lambda: read(there, got) or len(messages(bytes(got[before:]))) == 3)
            said = messages(bytes(got[before:]))
            assert [each.get("re", each.get("offset")) for each in said] == [1, 2, 3]

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


async def test_a_reply_that_breaks_its_connection_stops_nobody_elses_events() -> None:
    async with Stage() as stage:
        _, broken = await stage.viewer()
        there, _ = await stage.viewer()
        await stage.say()
        got = bytearray()
        await eventually(lambda: read(there, got))
        fill(broken.outbox.fd)
        transport = cast(asyncio.Transport, broken.outbox.transport)
        broken.outbox.transport = Broken(transport)
        broken.reply(b'{"re":1}')
        await stage.say()
        await eventually(lambda: read(there, got) or len(messages(bytes(got))) == 2)
        assert transport.is_closing()


async def test_a_tick_that_cannot_be_sent_makes_viewers_come_back_and_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        _, member = await stage.viewer()
        running = asyncio.create_task(stage.tick.run())
        with monkeypatch.context() as patched:
            patched.setattr(stage.tick, "deliver", _fails)
            stage.tick.add(Item(b"{}", 1))
            await eventually(member.outbox.transport.is_closing)
        stage.tick.leave(member)
        there, later = await stage.viewer()
        later.seen = 1
        stage.tick.add(Item(b'{"offset":2}', 2))
        got = bytearray()
        await eventually(lambda: read(there, got))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def _fails(*_: object) -> float:
    raise RuntimeError("a defect of ours")
