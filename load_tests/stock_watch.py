"""The stock while a sale runs: added up at every sample, and told to the room in an order without holes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from livecommerce.client import Client, ClientError, Event, Room
from load_tests.report import Report

#: between two samples; one costs the worker about 0.2 ms
EVERY_S = 0.05
#: how many violations are kept in words
MOST_KEPT = 10


class StockWatch:
    """Reads the deal again and again while the block runs, then once more."""

    def __init__(
        self,
        client: Client,
        stream_id: str,
        deal_id: str,
        *,
        every_s: float = EVERY_S,
        on_sample: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self._client, self._stream_id, self._deal_id = client, stream_id, deal_id
        self._every_s, self._on_sample = every_s, on_sample
        self._task: asyncio.Task[None] | None = None
        self.samples: list[dict[str, Any]] = []
        #: samples that got no answer: a killed worker is no reason to stop looking
        self.unanswered = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="stock watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if error is None:
            await self._sample()

    async def _watch(self) -> None:
        while True:
            await self._sample()
            await asyncio.sleep(self._every_s)

    async def _sample(self) -> None:
        try:
            self.samples.append(deal := await self._client.deal(self._stream_id, self._deal_id))
            self._on_sample(deal)
        except ClientError:
            self.unanswered += 1

    def judge(self, report: Report) -> None:
        """Write the check, and how much of the sale was seen."""
        wrong = [deal for deal in self.samples if not right(deal)]
        seen = f"{len(self.samples)} samples, {self.unanswered} unanswered"
        if wrong:
            counts = ", ".join(f"{name} {wrong[0][name]}" for name in ("left", "held", "sold", "stock"))
            seen += f"; first wrong: {counts}"
        report.check("left + held + sold was the stock at every sample", bool(self.samples) and not wrong, seen)


def right(deal: dict[str, Any]) -> bool:
    """Whether a deal's counts add up, none of them below zero."""
    left, held, sold = deal["left"], deal["held"], deal["sold"]
    return bool(left + held + sold == deal["stock"] and min(left, held, sold) >= 0)


class StockSequence:
    """What the room was told of one deal's stock, event by event: no hole, no step back, sums that are right."""

    def __init__(self, deal_id: str, stock: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._deal_id, self._now_s = deal_id, now_s
        self.left = stock
        self.events = 0
        #: (when it was heard, units left)
        self.points: list[tuple[float, int]] = []
        self.violations: list[str] = []
        self._offset: int | None = None
        self._as_of = 0

    def take(self, event: Event) -> None:
        """Judge the next event of the room."""
        if event.offset is not None:
            if self._offset is not None and event.offset != self._offset + 1:
                self._wrong(f"offset {event.offset} came after {self._offset}")
            self._offset = event.offset
        data = event.data
        if data.get("deal_id") != self._deal_id:
            return
        if event.type in ("deal.claimed", "deal.released"):
            self._step(data["units"] if event.type == "deal.released" else -data["units"], data["left"])
        elif event.type == "deal.stock":
            as_of = event.as_of or 0
            if as_of < self._as_of:
                self._wrong(f"stock as of {as_of} came after that as of {self._as_of}")
            self._as_of = as_of

    def _step(self, by: int, left: int) -> None:
        self.events += 1
        if self.left + by != left or left < 0:
            self._wrong(f"{left} left after {self.left} and {by:+d}")
        self.left = left
        self.points.append((self._now_s(), left))

    def _wrong(self, why: str) -> None:
        if len(self.violations) < MOST_KEPT:
            self.violations.append(why)

    def judge(self, report: Report, left: int) -> None:
        """Write the check; ``left`` is what the room should have been told last."""
        if self.left != left:
            self._wrong(f"{self.left} left was told last, and {left} are")
        detail = "; ".join(self.violations) or f"{self.events} events"
        report.check("the stock was told in order, without a hole", not self.violations, detail)


class StockListener:
    """Listens in the room for as long as the block runs."""

    def __init__(self, room: Room, sequence: StockSequence) -> None:
        self._room, self.sequence = room, sequence
        self._task: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._room.start()
        self._task = asyncio.create_task(self._listen(), name="stock listener")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            [error] = await asyncio.gather(self._task, return_exceptions=True)
            if error is not None and not isinstance(error, asyncio.CancelledError):
                self.sequence.violations.append(f"the listener was cut off: {error}")
        await self._room.aclose()

    async def _listen(self) -> None:
        async for event in self._room:
            self.sequence.take(event)
            self._heard.set()

    async def until_left(self, left: int, patience_s: float) -> None:
        """Wait until the room was told this stock, or patience ends: the newest event may be on its way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.sequence.left != left:
                    self._heard.clear()
                    await self._heard.wait()
