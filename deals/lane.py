"""The claim lane: concurrent claims on one deal become one script call a loop turn.

Hot path. While a call is under way, the next batch gathers; so batches grow with the load and an idle deal waits for
nothing (measured by the throw-away study behind the design: 125,000 durable claims/s against 23-30,000 one by one).
A deal that several ask for at once is hot: after a call of less than half a batch the next begins :data:`PACE_S` later,
unless a whole batch waits, because a call and its fsync cost Valkey and the worker more than ten claims do, and what
else Valkey has to do waits for each of them. Who is alone in asking waits for nothing.

A lost answer is never guessed at: the same batch is sent again, and the idempotency keys make that harmless. When no
answer comes within the stated time, each claim's outcome is *unknown*, and its key finds the truth later.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deals import metrics
from deals.errors import DealsError, OutcomeUnknown, RateLimited, Unavailable
from deals.models import Buyer, Order

log = logging.getLogger(__name__)

#: claims in one script call: 1.2 ms of script at the median on a loaded machine (32: 0.8 ms, 64: 1.3 ms)
MAX_BATCH = 48
#: how many places of a batch a claim with a code takes: twice the script
CODE_PLACES = 2
#: script calls under way for one deal
MAX_CALLS = 4
#: from the beginning of a call of several claims, but less than half full, to that of the next that is not full
PACE_S = 0.005
#: claims waiting for one deal on one worker; beyond it they are refused with ``rate_limited``
MAX_WAITING = 4096
#: a claim that waited this long without being sent is refused (it certainly did not happen)
WAIT_S = 5.0
#: how long lost answers are asked for again, after the first attempt (itself bounded by the script runner's timeout)
REASK_S = 3.0
#: how long closing waits for calls under way
CLOSE_S = 2.0


class Claim(Struct, frozen=True):
    """One claim, ready to be sent: ``ref`` and ``order_id`` name the order that it will be.

    ``head`` is the order's JSON as far as the claim decides it, ``told`` the JSON of who is told of it.
    """

    buyer: Buyer
    units: int
    key: str
    ref: str
    order_id: str
    head: str
    told: str
    code: str = ""


Outcome = Order | DealsError
#: hears a claim's outcome, once; called on the loop, must not block
Told = Callable[[Outcome], None]
#: sends one batch; returns an outcome each, in order; raises redis-py's errors, or a refusal of the whole batch
Submit = Callable[[str, str, Sequence[Claim]], Awaitable[Sequence[Outcome]]]


class _Waiting(Struct):
    claim: Claim
    told: Told
    since_s: float
    #: of who waits for it, and may leave
    future: asyncio.Future[Outcome] | None = None

    def tell(self, outcome: Outcome) -> None:
        try:
            self.told(outcome)
        except Exception:
            # One caller's trouble must not cost the others of the batch their answers.
            log.exception("the outcome of a claim could not be told")


@dataclass(slots=True)
class _Lane:
    stream_id: str
    deal_id: str
    waiting: deque[_Waiting] = field(default_factory=deque)
    calls: int = 0


class ClaimLanes:
    """All deals' lanes of one worker. A lane exists while claims wait in it."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        # A cancellation alone could be swallowed (Python 3.11's wait_for, inside redis-py).
        self._stopping = False

    async def claim(self, stream_id: str, deal_id: str, claim: Claim) -> Order:
        """The accepted (or replayed) order; raises the refusal. Who is cancelled before it is sent is not charged."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def told(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self._enter(stream_id, deal_id, claim, told, future)
        outcome = await future
        if isinstance(outcome, DealsError):
            try:
                raise outcome
            finally:
                # Its traceback has this frame: together they would last until the collector comes.
                del outcome, future
        return outcome

    def begin(self, stream_id: str, deal_id: str, claim: Claim, told: Told) -> None:
        """The same without waiting: ``told`` hears the outcome in a later turn of the loop; raises where it is full.

        Hot path: a future and a task for each claim were a third of what one cost the server.
        """
        self._enter(stream_id, deal_id, claim, told)

    async def aclose(self) -> None:
        """Let calls under way end, then fail what waits; safe to call twice."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _enter(
        self, stream_id: str, deal_id: str, claim: Claim, told: Told, future: asyncio.Future[Outcome] | None = None
    ) -> None:
        if self._closed:
            raise Unavailable("This server is going away; connect again.", retry_after_ms=500)
        lane = self._lanes.get((stream_id, deal_id))
        if lane is None:
            lane = self._lanes[stream_id, deal_id] = _Lane(stream_id, deal_id)
        if len(lane.waiting) >= MAX_WAITING:
            metrics.QUEUE_REFUSED.inc()
            raise RateLimited("Too many people are buying this at once; try again.", retry_after_ms=250)
        lane.waiting.append(_Waiting(claim, told, asyncio.get_running_loop().time(), future))
        if lane.calls == 0 or (lane.calls < MAX_CALLS and len(lane.waiting) >= MAX_BATCH):
            self._spawn(lane)

    def _spawn(self, lane: _Lane) -> None:
        lane.calls += 1
        # The task starts in the loop's next turn: claims of this turn join its first batch.
        task = asyncio.create_task(self._drain(lane), name=f"claim-lane-{lane.deal_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: _Lane) -> None:
        try:
            while not self._stopping and (batch := self._take(lane)):
                began_s = asyncio.get_running_loop().time()
                await self._settle(lane, batch)
                # Larger ones have little more to save, and on a machine with no time to spare to wait only adds up.
                if 1 < len(batch) < MAX_BATCH // 2:
                    await self._gather(lane, began_s + PACE_S)
        finally:
            lane.calls -= 1
            if lane.calls == 0:
                del self._lanes[lane.stream_id, lane.deal_id]
                # Only a cancelled or broken lane ends with claims in it; they were never sent.
                for waiting in lane.waiting:
                    _fail(waiting, Unavailable("The claim was not made; try again.", retry_after_ms=500))

    async def _gather(self, lane: _Lane, until_s: float) -> None:
        """Wait for more claims, but where a batch of them waits already."""
        pause_s = until_s - asyncio.get_running_loop().time()
        if pause_s > 0 and len(lane.waiting) < MAX_BATCH and not self._closed:
            await asyncio.sleep(pause_s)

    def _take(self, lane: _Lane) -> list[_Waiting]:
        now_s = asyncio.get_running_loop().time()
        batch: list[_Waiting] = []
        places = MAX_BATCH
        while lane.waiting and places > 0:
            waiting = lane.waiting.popleft()
            if waiting.future is not None and waiting.future.done():
                continue  # the caller has gone: never sent, never charged
            if now_s - waiting.since_s > WAIT_S:
                _fail(waiting, Unavailable("The claim was not made in time; try again.", retry_after_ms=500))
                continue
            batch.append(waiting)
            places -= CODE_PLACES if waiting.claim.code else 1
        return batch

    async def _settle(self, lane: _Lane, batch: list[_Waiting]) -> None:
        claims = [waiting.claim for waiting in batch]
        try:
            outcomes = await self._ask(lane, claims)
        except DealsError as error:
            for waiting in batch:
                _fail(waiting, type(error)(error.detail, retry_after_ms=error.retry_after_ms))
        except BaseException:
            for waiting in batch:
                _fail(waiting, _unknown())
            raise
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, DealsError):
                    metrics.CLAIMS.add(outcome.code)
                waiting.tell(outcome)

    async def _ask(self, lane: _Lane, claims: Sequence[Claim]) -> Sequence[Outcome]:
        loop = asyncio.get_running_loop()
        pause_s, until_s = 0.02, 0.0
        while True:
            try:
                with metrics.BATCH_SECONDS.time():
                    return await self._submit(lane.stream_id, lane.deal_id, claims)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                until_s = until_s or loop.time() + REASK_S
                if loop.time() + pause_s > until_s:
                    raise _unknown() from error
            except (RedisError, Unavailable) as error:
                if until_s:
                    raise _unknown() from error  # this attempt did nothing, but an earlier one may have
                raise Unavailable("The store refused the claim.", retry_after_ms=1000) from error
            if self._stopping:
                raise _unknown()
            metrics.REASKED.inc()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown("It is not known yet whether the claim was made; the same key will tell.", retry_after_ms=500)


def _fail(waiting: _Waiting, error: DealsError) -> None:
    metrics.CLAIMS.add(error.code)
    waiting.tell(error)
