"""How large a show is, and who buys what when: a plan and a seed give the same show again. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from load_tests.arrivals import Pace
from load_tests.rooms_people import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowPlan:
    """One host and their crowd; see the command's help."""

    video: int
    chat: int
    pace: Pace
    buyers: int
    units: int
    #: seconds until all are there, before the deal opens, and in which the buyers come
    ramp_s: float = 20.0
    live_s: float = 20.0
    rush_s: float = 10.0
    #: seconds that winners think before they pay, at most
    thought_s: float = 4.0
    megabits: float = 1.0
    #: buyers come evenly for the whole time of the rush, instead of most of them at once
    steady: bool = False
    #: share of the winners who give their order back instead of paying
    regrets: float = 0.0


def purchases(plan: ShowPlan, chance: random.Random) -> list[Purchase]:
    """Each buyer's purchase: most come at once, fewer and fewer follow until the rush is over."""
    return [
        Purchase(
            viewer=number,
            buyer=f"show-{number}",
            key=f"show-{number}",
            after_s=_after_s(plan, chance),
            think_s=chance.uniform(0.1, 1.0) * plan.thought_s,
            regrets=chance.random() < plan.regrets,
        )
        for number in range(plan.buyers)
    ]


def _after_s(plan: ShowPlan, chance: random.Random) -> float:
    if plan.steady or not plan.rush_s:
        return chance.uniform(0.0, plan.rush_s)
    # A quarter of the time of the rush sees two thirds of it.
    return min(chance.expovariate(4 / plan.rush_s), plan.rush_s)


def in_the_room(plan: ShowPlan, all_: Sequence[Purchase]) -> tuple[list[Purchase], list[Purchase]]:
    """Those who buy where they chat, and those who come over HTTP because there are more buyers than viewers."""
    return list(all_[: plan.chat]), list(all_[plan.chat :])
