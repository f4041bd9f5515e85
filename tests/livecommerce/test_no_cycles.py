"""What refuses and what leaves is freed at once: the cycle collector never looks at what is old."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deals.errors import SoldOut
from deals.lane import Claim, ClaimLanes, Outcome
from deals.models import Buyer
from livecommerce.at_work import AtWork
from livecommerce.auth import Grant
from livecommerce.commands import Accepted, Refused, carry_out
from livecommerce.frames import JSON
from livecommerce.member import Member
from livecommerce.parsed import ParsedSocket
from livecommerce.problems import Problem
from livecommerce.schema.commands import Ping
from livecommerce.visit import Row, Visit
from tests.livecommerce.rooms import eventually, room_worker
from tests.livecommerce.test_outbox import Wire


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _allowed(_: Grant) -> bool:
    return True


async def test_a_refused_command_is_gone_when_it_is_answered() -> None:
    kept: list[weakref.ref[Problem]] = []

    async def handler(visit: Visit, command: Ping) -> Any:
        raise noted()

    def noted() -> Problem:
        problem = Problem("forbidden", "No.")
        kept.append(weakref.ref(problem))
        return problem

    visit = cast(Visit, SimpleNamespace(may_now=_allowed, ended=False))
    reply = await carry_out(visit, "ping", Row(Grant.WATCH, handler), Ping(id=1))
    assert isinstance(reply, Refused)
    assert kept[0]() is None


async def test_a_refused_claim_is_gone_when_it_was_raised() -> None:
    kept: list[weakref.ref[SoldOut]] = []

    async def submit(stream_id: str, deal_id: str, claims: Sequence[Claim]) -> Sequence[Outcome]:
        refusal = SoldOut("All are taken.")
        kept.append(weakref.ref(refusal))
        return [refusal]

    lanes = ClaimLanes(submit)
    with pytest.raises(SoldOut):
        await lanes.claim("s", "d", Claim(Buyer("ann", "Ann"), 1, "k", "r", "s.d.r", "", ""))
    await lanes.aclose()
    assert kept[0]() is None


async def test_a_viewer_who_has_left_is_gone() -> None:
    wire = Wire()
    member = Member(wire, JSON, user_id="ann", roles=(), expires_s=2e9, shut=lambda _: None, now_s=0)
    kept = weakref.ref(wire)
    member.leave()
    del member, wire
    assert kept() is None


async def test_a_connection_that_is_over_is_gone() -> None:
    class Connection:
        def __init__(self) -> None:
            self.at_work = AtWork(self.reply)

        def reply(self, reply: Accepted | Refused) -> None:
            raise AssertionError("nobody is there")

    connection = Connection()
    kept = weakref.ref(connection)
    await connection.at_work.aclose()
    del connection
    assert kept() is None


async def test_a_websocket_that_is_over_is_gone_however_it_ended(valkey_url: str) -> None:
    def there() -> int:
        return sum(isinstance(each, ParsedSocket) for each in gc.get_objects())

    async with room_worker(valkey_url) as worker:
        stream_id = await worker.stream()
        polite, rude, refused = [await worker.join(stream_id, name) for name in ("ann", "bob", "eve")]
        silent = await worker.connect(stream_id)
        assert there() == 4
        await polite.socket.close()
        for viewer in (rude, silent):
            viewer.socket._response.connection.transport.abort()
        assert "err" in await refused.do("no.such.command")
        await refused.socket.close()
        await eventually(lambda: there() == 0, "every connection is freed")
