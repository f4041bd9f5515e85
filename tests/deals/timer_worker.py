"""A worker process that dies in the act: it runs a ticker, and kills itself around the tick that changes something.

``before``: as the tick is about to be sent. ``after``: once Valkey has carried it out, before the answer is looked at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from deals.payments import SimulatedPayments
from deals.scripts import SOURCES, Command
from deals.service import DealService
from livecommerce import redis_client
from livecommerce.ids import new_id
from livecommerce.scripting import ScriptRunner
from tests.deals.helpers import now_ms


class MortalRunner:
    """Runs scripts until the one that it does not survive: the tick of its deal. Others' deals it lets alone."""

    def __init__(self, run: ScriptRunner, moment: str, deal_id: str) -> None:
        self._run = run
        self._moment = moment
        self._deal_id = deal_id

    async def __call__(
        self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int], before: Sequence[Command] = ()
    ) -> Any:
        if source != SOURCES["tick"]:
            return await self._run(source, keys, args, before)
        if args[0] != self._deal_id:
            return [0, 0, -1]
        if self._moment == "after":
            await self._run(source, keys, args, before)
        os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, moment: str, deal_id: str) -> None:
    """Tick until killed."""
    redis = redis_client.make(url)
    payments = SimulatedPayments(redis, development=True)
    run = MortalRunner(ScriptRunner(redis), moment, deal_id)
    service = DealService(redis, run, payments, now_ms=now_ms, new_id=new_id)
    await service.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
