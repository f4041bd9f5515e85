"""How many commands of one connection are at work, and what becomes of them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from livecommerce import at_work
from livecommerce.at_work import AtWork
from livecommerce.auth import Grant
from livecommerce.commands import Accepted, Refused
from livecommerce.schema.commands import Ping
from livecommerce.visit import Row, Told, Visit
from tests.livecommerce.rooms import eventually


async def _allowed(grant: Grant) -> bool:
    return True


VISIT = cast(Visit, SimpleNamespace(may=lambda grant: True, may_now=_allowed, ended=False))


def _numbers(replies: list[Accepted | Refused]) -> list[int | None]:
    return [reply.re for reply in replies]


async def test_no_more_than_so_many_are_at_work_whether_they_need_a_task_or_not() -> None:
    replies: list[Accepted | Refused] = []
    waiting: list[Told] = []
    gate = asyncio.Event()

    async def slow(visit: Visit, command: Ping) -> Any:
        await gate.wait()
        return {}

    def soon(visit: Visit, command: Ping, told: Told) -> bool:
        waiting.append(told)
        return command.id % 2 == 0

    work, row = AtWork(replies.append), Row(Grant.WATCH, slow, begin=soon)
    for number in range(at_work.MOST):
        work.begin(VISIT, "ping", row, Ping(id=number))
    one_more = asyncio.create_task(work.room())
    await asyncio.sleep(0)
    assert (work.has_room, one_more.done(), len(waiting), replies) == (False, False, at_work.MOST, [])
    waiting[2]({"after": "a while"})
    await one_more
    assert work.has_room
    work.begin(VISIT, "ping", row, Ping(id=99))
    assert _numbers(replies) == [2]
    gate.set()
    await eventually(lambda: sorted(_numbers(replies), key=str) == [1, 2, 3, 5, 7, 99])
    await work.aclose()


async def test_what_fails_at_once_is_refused_and_leaves_room() -> None:
    replies: list[Accepted | Refused] = []

    async def never(visit: Visit, command: Ping) -> Any:
        raise AssertionError("it was carried out already")

    def fails(visit: Visit, command: Ping, told: Told) -> bool:
        raise OSError("no Valkey")

    work, row = AtWork(replies.append), Row(Grant.WATCH, never, begin=fails)
    for number in range(3 * at_work.MOST):
        work.begin(VISIT, "ping", row, Ping(id=number))
    assert _numbers(replies) == [*range(3 * at_work.MOST)]
    assert all(isinstance(reply, Refused) and reply.err.code == "unavailable" for reply in replies)


async def test_what_is_cancelled_at_the_end_of_its_connection_does_not_answer() -> None:
    replies: list[Accepted | Refused] = []

    async def endless(visit: Visit, command: Ping) -> Any:
        await asyncio.Event().wait()

    work = AtWork(replies.append)
    work.begin(VISIT, "ping", Row(Grant.WATCH, endless), Ping(id=1))
    closing = asyncio.create_task(work.aclose())
    await asyncio.sleep(0)
    assert not closing.done(), "a command may end within a time"
    for task in list(work._tasks):
        task.cancel()
    await closing
    assert replies == []


async def test_an_answer_that_cannot_be_given_counts_once() -> None:
    answered: list[int | None] = []

    def broken(reply: Accepted | Refused) -> None:
        answered.append(reply.re)
        raise RuntimeError("the connection went wrong")

    async def never(visit: Visit, command: Ping) -> Any:
        raise AssertionError("it was carried out already")

    def at_once(visit: Visit, command: Ping, told: Told) -> bool:
        told({})
        return True

    work = AtWork(broken)
    for number in range(3):
        work.begin(VISIT, "ping", Row(Grant.WATCH, never, begin=at_once), Ping(id=number))
    assert (answered, work._count) == ([0, 1, 2], 0)


async def test_what_begins_at_once_does_not_overtake_what_waits_for_its_turn() -> None:
    replies: list[Accepted | Refused] = []
    gate = asyncio.Event()

    async def slow(visit: Visit, command: Ping) -> Any:
        await gate.wait()
        return {}

    def at_once(visit: Visit, command: Ping, told: Told) -> bool:
        told({})
        return True

    work = AtWork(replies.append)
    work.begin(VISIT, "ping", Row(Grant.WATCH, slow, in_order=True), Ping(id=1))
    work.begin(VISIT, "ping", Row(Grant.WATCH, slow, in_order=True, begin=at_once), Ping(id=2))
    work.begin(VISIT, "ping", Row(Grant.WATCH, slow, begin=at_once), Ping(id=3))
    assert _numbers(replies) == [3], "only what has no turn to wait for"
    gate.set()
    await eventually(lambda: _numbers(replies) == [3, 1, 2])
    work.begin(VISIT, "ping", Row(Grant.WATCH, slow, in_order=True, begin=at_once), Ping(id=4))
    assert _numbers(replies) == [3, 1, 2, 4]
    await work.aclose()
