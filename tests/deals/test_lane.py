"""The claim lane alone: joining, bounds, lost answers, going away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deals import lane, metrics
from deals.errors import OutcomeUnknown, RateLimited, SoldOut, Unavailable
from deals.lane import Claim, ClaimLanes, Outcome
from deals.models import Buyer, Money, Order, OrderState
from tests.deals.helpers import until


def _claim(number: int) -> Claim:
    return Claim(Buyer(f"u{number}", "n"), 1, "k", f"r{number}", f"s.d.r{number}", "", "")


def _order(claim: Claim) -> Order:
    money = Money(1, "EUR")
    return Order(f"s.d.{claim.ref}", "d", "s", "t", claim.buyer, 1, money, money, OrderState.HELD, 2, 1)


class Desk:
    """Answers batches as a test says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.errors: list[Exception] = []
        self.gate: asyncio.Event | None = None

    async def submit(self, stream_id: str, deal_id: str, claims: Sequence[Claim]) -> Sequence[Outcome]:
        self.batches.append([claim.ref for claim in claims])
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return [_order(claim) for claim in claims]


def _counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"livecommerce_{name}_total") or 0.0


async def _all(lanes: ClaimLanes, numbers: range) -> list[Order | BaseException]:
    return await asyncio.gather(*(lanes.claim("s", "d", _claim(n)) for n in numbers), return_exceptions=True)


async def test_claims_of_one_turn_are_one_batch() -> None:
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    orders = await _all(lanes, range(10))
    assert desk.batches == [[f"r{n}" for n in range(10)]]
    assert [isinstance(o, Order) and o.id for o in orders] == [f"s.d.r{n}" for n in range(10)]


async def test_batches_and_calls_are_bounded_and_nobody_is_forgotten() -> None:
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    desk.gate = asyncio.Event()
    many = asyncio.create_task(_all(lanes, range(1000)))
    await until(lambda: len(desk.batches) >= lane.MAX_CALLS)
    await asyncio.sleep(0)
    assert [len(b) for b in desk.batches] == [lane.MAX_BATCH] * lane.MAX_CALLS
    desk.gate.set()
    assert all(isinstance(o, Order) for o in await many)
    assert sum(len(b) for b in desk.batches) == 1000


async def test_a_lost_answer_is_asked_for_again_with_the_same_order_ids() -> None:
    desk = Desk()
    desk.errors = [RedisConnectionError("gone"), RedisTimeoutError("late")]
    lanes = ClaimLanes(desk.submit)
    before = _counted("claim_batches_reasked")
    orders = await _all(lanes, range(2))
    assert _counted("claim_batches_reasked") - before == 2
    assert desk.batches == [["r0", "r1"]] * 3
    assert all(isinstance(o, Order) for o in orders)


async def test_an_answer_that_never_comes_is_unknown_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "REASK_S", 0.1)
    desk = Desk()
    desk.errors = [RedisConnectionError("gone")] * 50
    lanes = ClaimLanes(desk.submit)
    assert [type(o) for o in await _all(lanes, range(2))] == [OutcomeUnknown] * 2
    assert 1 < len(desk.batches) < 10


async def test_a_store_that_refuses_is_unavailable_and_not_asked_again() -> None:
    desk = Desk()
    desk.errors = [ResponseError("READONLY")]
    lanes = ClaimLanes(desk.submit)
    assert [type(o) for o in await _all(lanes, range(2))] == [Unavailable] * 2
    assert len(desk.batches) == 1


@pytest.mark.parametrize("refusal", [ResponseError("READONLY"), Unavailable("The store cannot be reached.")])
async def test_a_store_that_refuses_after_an_answer_was_lost_says_nothing_of_what_was_lost(refusal: Exception) -> None:
    desk = Desk()
    desk.errors = [RedisConnectionError("gone"), refusal]
    lanes = ClaimLanes(desk.submit)
    assert [type(o) for o in await _all(lanes, range(2))] == [OutcomeUnknown] * 2
    assert len(desk.batches) == 2


async def test_a_full_queue_refuses_with_a_time_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "MAX_WAITING", 3)
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    before = _counted("claim_queue_refused")
    outcomes = await _all(lanes, range(5))
    assert _counted("claim_queue_refused") - before == 2
    assert [isinstance(o, RateLimited) for o in outcomes] == [False] * 3 + [True] * 2
    assert isinstance(outcomes[3], RateLimited)
    assert outcomes[3].retry_after_ms


async def test_one_buyers_refusal_is_nobody_elses() -> None:
    async def submit(stream_id: str, deal_id: str, claims: Sequence[Claim]) -> Sequence[Outcome]:
        return [SoldOut("gone") if claim.ref == "r1" else _order(claim) for claim in claims]

    lanes = ClaimLanes(submit)
    assert [isinstance(o, SoldOut) for o in await _all(lanes, range(3))] == [False, True, False]


async def test_a_caller_who_left_before_sending_is_not_charged() -> None:
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    tasks = [asyncio.create_task(lanes.claim("s", "d", _claim(n))) for n in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert isinstance(await tasks[1], Order)
    assert desk.batches == [["r1"]]


async def test_going_away_tells_the_sent_unknown_and_the_unsent_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "CLOSE_S", 0.05)
    monkeypatch.setattr(lane, "MAX_CALLS", 1)
    desk = Desk()
    desk.gate = asyncio.Event()
    lanes = ClaimLanes(desk.submit)
    many = asyncio.create_task(_all(lanes, range(lane.MAX_BATCH + 1)))
    await until(lambda: desk.batches)
    await lanes.aclose()
    await lanes.aclose()
    outcomes = await many
    assert [type(o) for o in outcomes] == [OutcomeUnknown] * lane.MAX_BATCH + [Unavailable]
    with pytest.raises(Unavailable):
        await lanes.claim("s", "d", _claim(1))


async def test_who_does_not_wait_hears_the_outcome_once_and_breaks_nobody_elses() -> None:
    desk = Desk()
    told: list[Outcome] = []

    def broken(outcome: Outcome) -> None:
        told.append(outcome)
        raise RuntimeError("a connection went wrong")

    lanes = ClaimLanes(desk.submit)
    lanes.begin("s", "d", _claim(0), broken)
    lanes.begin("s", "d", _claim(1), told.append)
    assert (told, desk.batches) == ([], []), "nothing before the loop's next turn"
    assert isinstance(await lanes.claim("s", "d", _claim(2)), Order)
    assert desk.batches == [["r0", "r1", "r2"]]
    assert [isinstance(outcome, Order) and outcome.id for outcome in told] == ["s.d.r0", "s.d.r1"]
    await lanes.aclose()
    with pytest.raises(Unavailable):
        lanes.begin("s", "d", _claim(3), told.append)
    assert len(told) == 2


async def test_counts_that_wait_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FOLD_S", 0.0)
    registry = CollectorRegistry()
    folded = metrics.Folded(Counter("things", "Things", ["kind"], registry=registry))
    folded.add("big")
    folded.add("small", by=2)
    folded.add("big")
    assert registry.get_sample_value("things_total", {"kind": "big"}) is None
    await until(lambda: registry.get_sample_value("things_total", {"kind": "big"}) == 2)
    assert registry.get_sample_value("things_total", {"kind": "small"}) == 2
    folded.add("big")
    await until(lambda: registry.get_sample_value("things_total", {"kind": "big"}) == 3)


async def test_a_hot_deals_calls_keep_their_distance_until_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "PACE_S", 3600.0)
    monkeypatch.setattr(lane, "CLOSE_S", 0.01)
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    await _all(lanes, range(2))
    many = asyncio.create_task(_all(lanes, range(2, lane.MAX_BATCH + 1)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(desk.batches) == 1, "one less than a full call"
    assert isinstance(await lanes.claim("s", "d", _claim(99)), Order)
    assert len(await many) == lane.MAX_BATCH - 1
    assert [len(b) for b in desk.batches] == [2, lane.MAX_BATCH]
    await lanes.aclose()


async def test_a_hot_deals_last_claims_are_sent_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "PACE_S", 0.02)
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    assert all(isinstance(o, Order) for o in [*await _all(lanes, range(2)), *await _all(lanes, range(3))])


async def test_who_claims_one_at_a_time_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "PACE_S", 3600.0)
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    for number in range(3):
        assert isinstance(await lanes.claim("s", "d", _claim(number)), Order)
    assert len(desk.batches) == 3


async def test_claims_with_a_code_take_more_of_a_batch() -> None:
    desk = Desk()
    lanes = ClaimLanes(desk.submit)
    coded = [msgspec.structs.replace(_claim(n), code="SALE") for n in range(lane.MAX_BATCH)]
    await asyncio.gather(*(lanes.claim("s", "d", claim) for claim in coded))
    assert [len(b) for b in desk.batches] == [lane.MAX_BATCH // lane.CODE_PLACES] * lane.CODE_PLACES
