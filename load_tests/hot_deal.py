"""A hot deal next door: what a flash sale in one room does to the chat of another one on the same server.

The other room talks at an even pace: alone, then while the sale runs, then alone again, so that what the machine did
meanwhile shows in the two quiet stretches. All that was said is judged as in a chat storm, and the sale as a sale.
"""

from __future__ import annotations

from dataclasses import dataclass

from load_tests import chat_storm, flash_sale, rooms_checks, stage_checks
from load_tests.arrivals import Pace
from load_tests.chat_storm import Livecommerce, crowds, settled
from load_tests.flash_sale import FlashSale
from load_tests.processes import Generators
from load_tests.rooms_generator import Crowds
from load_tests.run import Run

SERVER_OPTIONS = (*flash_sale.SERVER_OPTIONS, *chat_storm.SERVER_OPTIONS)
ALONE, BESIDE = "chat alone", "chat beside the sale"
#: what a sale may add to the other room's 99th percentile
GOAL_MS = 10.0
_WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; the sale's rate is the run's."""

    viewers: int
    messages_per_s: float
    seconds: float
    units: int
    buyers: int

    def sale(self, pace: Pace) -> flash_sale.Plan:
        """As many claims as fall due in the time, over WebSocket."""
        claims = max(1, round(pace.end * self.seconds / self.buyers))
        return flash_sale.Plan(
            buyers=self.buyers,
            units=self.units,
            claims=claims,
            limit=claims,
            over="websocket",
            replay=0.0,
            floor=False,
        )


class _SaleNextDoor(FlashSale):
    """A sale during which another room talks."""

    def __init__(self, run: Run, plan: flash_sale.Plan, room: Crowds, chat: Plan) -> None:
        super().__init__(run, plan)
        self._room, self._chat = room, chat

    async def sell(self, generators: Generators) -> None:
        """Both begin together and, the server keeping up, end together."""
        self._room.restart(BESIDE)
        self._room.talk(Pace.constant(self._chat.messages_per_s), self._chat.seconds)
        await super().sell(generators)
        await settled(self._room)


async def scenario(run: Run, plan: Plan) -> None:
    """Alone, beside the sale, alone."""
    run.headline = BESIDE
    pace = run.options.pace
    assert pace is not None
    async with Livecommerce.started(run) as driver, crowds(run, driver, plan.viewers) as room:
        with run.phase("joining"):
            room.join()
            tally = await room.until_joined()
        run.judge(stage_checks.entered(tally.joined, plan.viewers, where="the other room: "))
        room.restart("warming up")
        await run.sleep(room.talk(Pace.constant(plan.messages_per_s), _WARM_UP_S))
        await settled(room)
        await _alone(run, plan, room)
        await _SaleNextDoor(run, plan.sale(pace), room, plan).play()
        await _alone(run, plan, room)
        deeds, tally = await settled(room)
    checks = [*rooms_checks.histories(tally, deeds), *rooms_checks.answers(deeds)]
    run.judge(*stage_checks.of("the other room", checks))
    _figures(run)


async def _alone(run: Run, plan: Plan, room: Crowds) -> None:
    with run.phase(ALONE):
        room.restart(ALONE)
        await run.sleep(room.talk(Pace.constant(plan.messages_per_s), plan.seconds / 2))
        await settled(room)


def _figures(run: Run) -> None:
    times = run.timeline.total.histograms
    for percent in (50, 99):
        late = {name: times[name].percentile(percent) / 1000 for name in (ALONE, BESIDE) if name in times}
        for name, value in late.items():
            run.figure(f"{name}: p{percent}", value, "ms", "lower")
        if len(late) == 2:
            note = f"goal: at most {GOAL_MS:.0f} ms" if percent == 99 else ""
            run.figure(f"added by the sale: p{percent}", late[BESIDE] - late[ALONE], "ms", "lower", note)
