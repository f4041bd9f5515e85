"""The stock while a sale runs: ``left + held + sold == stock`` has to hold at every instant, not only at the end."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

from livecommerce.client import Client, ClientError
from load_tests.report import Report

#: between two samples; one costs the worker about 0.2 ms
EVERY_S = 0.05


class StockWatch:
    """Reads the deal again and again while the block runs, then once more."""

    def __init__(self, client: Client, stream_id: str, deal_id: str) -> None:
        self._client, self._stream_id, self._deal_id = client, stream_id, deal_id
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
            await asyncio.sleep(EVERY_S)

    async def _sample(self) -> None:
        try:
            self.samples.append(await self._client.deal(self._stream_id, self._deal_id))
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
