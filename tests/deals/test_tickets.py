"""Claim tickets: for one user, one deal, one opening; and a claim that is asked again needs none."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from deals.errors import (
    Closed,
    DealNotFound,
    DealsError,
    IllegalState,
    NotOpen,
    RateLimited,
    SoldOut,
    TicketInvalid,
    TicketRequired,
)
from deals.models import Deal, Order
from deals.payments import SimulatedPayments
from deals.service import DealService
from deals.ticket import EARLY_MS, GOOD_MS, is_good, issue
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import ScriptClock, a_buyer, a_deal, claim, now_ms, open_deal

KEY, NOW_MS = b"the key of all workers", 1_800_000_000_000


def test_a_ticket_is_one_users_for_one_deal_until_it_expires() -> None:
    given = issue(KEY, "ann", "s", "d", opens_ms=NOW_MS + 1000, now_ms=NOW_MS)
    assert given.expires_ms == NOW_MS + 1000 + GOOD_MS
    assert is_good(KEY, given.ticket, "ann", "s", "d", now_ms=given.expires_ms - 1)
    assert not is_good(KEY, given.ticket, "ann", "s", "d", now_ms=given.expires_ms)
    assert not is_good(b"other", given.ticket, "ann", "s", "d", now_ms=NOW_MS)
    for who in (("bob", "s", "d"), ("ann", "t", "d"), ("ann", "s", "e"), ("ann\ns", "", "d"), ("", "ann", "s")):
        assert not is_good(KEY, given.ticket, *who, now_ms=NOW_MS)


@pytest.mark.parametrize(
    "forge",
    [
        lambda t: "",
        lambda t: t + "A",
        lambda t: t[:-1],
        lambda t: t + "\n",
        lambda t: "." + t,
        lambda t: t.replace(".", ","),
        lambda t: t.partition(".")[2],
        lambda t: "9" + t[1:],
        lambda t: ".".join((t.split(".")[0], "99999999999999", t.split(".")[2])),
        lambda t: ".".join((t.split(".")[0], "٣" * 13, t.split(".")[2])),
        lambda t: t.rpartition(".")[0] + "." + "A" * 43,
    ],
)
def test_a_changed_ticket_is_none(forge: object) -> None:
    given = issue(KEY, "ann", "s", "d", opens_ms=NOW_MS, now_ms=NOW_MS)
    assert not is_good(KEY, forge(given.ticket), "ann", "s", "d", now_ms=NOW_MS)  # type: ignore[operator]


async def _claim(service: DealService, deal: Deal, number: int, ticket: str | None, key: str = "k") -> Order:
    return await service.claim(deal.stream_id, deal.id, buyer=a_buyer(number), units=1, key=key, ticket=ticket)


async def _ticket(service: DealService, deal: Deal, number: int = 1) -> str:
    return (await service.tickets.issue(deal.stream_id, deal.id, buyer_id=a_buyer(number).id)).ticket


async def test_tickets_are_given_out_during_the_countdown_and_claim_only_after_it(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    opens_ms = clock.now_ms + EARLY_MS + 5000
    deal = await timed.create(stream_id, a_deal(ticketed=True, opens_at_ms=opens_ms, duration_s=600))
    assert deal.ticketed
    with pytest.raises(NotOpen) as early:
        await _ticket(timed, deal)
    assert early.value.retry_after_ms == 5000
    clock.now_ms += 5000
    ticket = await _ticket(timed, deal)
    with pytest.raises(NotOpen):
        await _claim(timed, deal, 1, ticket)
    clock.now_ms = opens_ms
    with pytest.raises(TicketRequired):
        await _claim(timed, deal, 1, None)
    with pytest.raises(TicketInvalid):
        await _claim(timed, deal, 2, ticket)
    order = await _claim(timed, deal, 1, ticket)
    clock.now_ms += GOOD_MS
    with pytest.raises(TicketInvalid):
        await _claim(timed, deal, 1, ticket, "another")
    assert (await _claim(timed, deal, 1, await _ticket(timed, deal), "another")).id != order.id
    # What was accepted is found by its key, whatever became of the ticket.
    assert (await _claim(timed, deal, 1, ticket)).id == order.id
    assert (await _claim(timed, deal, 1, None)).id == order.id
    clock.now_ms += 600_000
    await timed._ticker.tick(stream_id, deal.id)
    with pytest.raises(Closed):
        await _ticket(timed, deal)


async def test_a_deal_that_its_host_opens_early_takes_the_tickets_of_its_countdown(
    timed: DealService, clock: ScriptClock, stream_id: str
) -> None:
    deal = await timed.create(stream_id, a_deal(ticketed=True, opens_at_ms=clock.now_ms + 30_000))
    ticket = await _ticket(timed, deal)
    await timed.open(stream_id, deal.id)
    await _claim(timed, deal, 1, ticket)


async def test_a_ticket_of_one_worker_is_good_on_another(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    def worker() -> DealService:
        payments = SimulatedPayments(redis, development=True)
        return DealService(redis, run_script, payments, now_ms=now_ms, new_id=new_id, ticket_key=KEY)

    one, other = worker(), worker()
    deal = await open_deal(one, stream_id, ticketed=True)
    await _claim(other, deal, 1, await _ticket(one, deal))
    await one.aclose()
    await other.aclose()


async def test_a_deal_without_tickets_gives_none_and_asks_for_none(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id)
    with pytest.raises(IllegalState):
        await _ticket(service, deal)
    waiting = await service.create(stream_id, a_deal(ticketed=True))
    with pytest.raises(NotOpen) as unknown:
        await _ticket(service, waiting)
    assert unknown.value.retry_after_ms is None
    await claim(service, deal)
    for wrong in ("nothing", "bad.id"):
        with pytest.raises(DealNotFound):
            await service.tickets.issue(stream_id, wrong, buyer_id="ann")


async def test_the_first_crowd_asks_once_whether_tickets_are_wanted(
    service: DealService, stream_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await open_deal(service, stream_id, stock=500)
    asked = 0
    read = service._store.deal

    async def counting(*where: str) -> Deal:
        nonlocal asked
        asked += 1
        return await read(*where)

    monkeypatch.setattr(service._store, "deal", counting)
    crowd = [asyncio.create_task(claim(service, deal, number)) for number in range(100)]
    await asyncio.sleep(0)
    crowd[0].cancel()  # who leaves first takes nothing from the others
    orders = await asyncio.gather(*crowd, return_exceptions=True)
    assert (asked, sum(isinstance(order, Order) for order in orders)) == (1, 99)


async def test_without_a_ticket_nobody_learns_that_all_is_sold(service: DealService, stream_id: str) -> None:
    deal = await open_deal(service, stream_id, ticketed=True, stock=1)
    await _claim(service, deal, 1, await _ticket(service, deal))
    for _ in range(3):
        with pytest.raises(TicketRequired):
            await _claim(service, deal, 2, None)
    with pytest.raises(SoldOut):
        await _claim(service, deal, 2, await _ticket(service, deal, 2))


async def test_a_user_who_claims_too_often_is_told_when_to_come_back(
    redis: Redis, run_script: ScriptRunner, stream_id: str
) -> None:
    asked: list[tuple[str, str]] = []

    def admit(user_id: str, address: str, coded: bool) -> int | None:
        asked.append((user_id, address))
        return 40 if len(asked) > 1 else None

    payments = SimulatedPayments(redis, development=True)
    service = DealService(redis, run_script, payments, now_ms=now_ms, new_id=new_id, admit=admit)
    deal = await open_deal(service, stream_id)
    how = {"buyer": a_buyer(), "units": 1, "key": "k", "address": "203.0.113.9"}
    order = await service.claim(stream_id, deal.id, **how)  # type: ignore[arg-type]
    with pytest.raises(DealsError) as refused:
        await service.claim(stream_id, deal.id, **how)  # type: ignore[arg-type]
    assert isinstance(refused.value, RateLimited)
    assert refused.value.retry_after_ms == 40
    assert asked == [("user-1", "203.0.113.9")] * 2
    assert (await service.order(order.id)).buyer.id == "user-1"
    await service.aclose()
