"""A generator process that holds a crowd, and the crowds of all of them as the scenario sees them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from load_tests.arrivals import Pace
from load_tests.processes import Generator, GeneratorFailed, Generators
from load_tests.rooms_crowd import Crowd
from load_tests.rooms_people import FILLER, Deeds, People, Purchase
from load_tests.rooms_tally import Tally
from load_tests.run import Run

#: how long anything may take that should take seconds
PATIENCE_S = 120.0
#: all processes have heard by then that they are to begin
LEAD_S = 0.05
#: closing ten thousand sockets takes a second
END_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Seats:
    """One process's share of a room's viewers."""

    address: tuple[str, int]
    path: str
    tokens: Sequence[str]
    name: str
    purchases: Sequence[Purchase] = ()
    comes_back: bool = False
    receive_buffer: int = 0
    #: the loopback address that connections come from; "": the kernel's choice
    source: str = ""
    seed: int = 1


class _Stage:
    """What a crowd's process does when it is told."""

    def __init__(self, generator: Generator, seats: Seats) -> None:
        self.crowd = Crowd(
            seats.address,
            seats.path,
            seats.tokens,
            meter=generator.meter,
            receive_buffer=seats.receive_buffer,
            comes_back=seats.comes_back,
            seed=seats.seed,
            source=seats.source,
        )
        self.people = People(self.crowd, seats.name)
        self._seats = seats

    def join(self, per_s: float = 0.0, share: float = 1.0) -> None:
        self.crowd.join(per_s, share)

    def drop(self) -> None:
        self.crowd.drop()

    def doze(self) -> None:
        self.crowd.doze()

    def wake(self) -> None:
        self.crowd.wake()

    def restart(self, delivery: str) -> None:
        self.crowd.restart(delivery)

    def talk(self, pace: Pace, seconds: float, from_s: float, filler: str) -> None:
        self.people.talk(pace, seconds, from_s, filler)

    def hush(self) -> None:
        self.people.hush()

    def buy(self, deal_id: str, from_s: float) -> None:
        self.people.buy(deal_id, self._seats.purchases, from_s)

    def glance(self) -> tuple[Tally, Deeds]:
        return self.crowd.glance(), self.people.glance()

    def result(self, top: int = 0) -> Tally:
        return self.crowd.result(top)

    def behind(self, top: int) -> int:
        return self.crowd.result(top).behind

    def deeds(self) -> Deeds:
        return self.people.result()


async def crowd(generator: Generator, seats: Seats) -> None:
    """A process of viewers: it does what it is told, and answers with what it saw."""
    stage = _Stage(generator, seats)
    try:
        await generator.ready()
        stopped = asyncio.ensure_future(generator.stopped.wait())
        stopped.add_done_callback(lambda _: stage.hush())
        while (message := await generator.messages.get())[0] != "end":
            order, *arguments = message
            answer = getattr(stage, order)(*arguments)
            if order in ("glance", "result", "behind", "deeds"):
                generator.answer(answer)
        stopped.cancel()
    finally:
        stage.crowd.aclose()


class Crowds:
    """All crowds of a room, from the scenario's side."""

    def __init__(self, run: Run, shares: Sequence[Seats], *, name: str = "viewers") -> None:
        self.viewers = sum(len(seats.tokens) for seats in shares)
        self._run = run
        self._share = 1 / len(shares)
        self._generators = Generators(run, crowd, shares, name=name)

    async def __aenter__(self) -> Self:
        await self._generators.__aenter__()
        await self._generators.until_ready()
        self._generators.go()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._generators)

    # orders

    def join(self, per_s: float = 0.0, share: float = 1.0) -> None:
        """Connect and join all who are not in the room, at once or so many a second."""
        self._generators.tell(("join", per_s * self._share, share))

    def drop(self) -> None:
        """Cut every connection."""
        self._generators.tell(("drop",))

    def doze(self) -> None:
        """Let nobody read any more."""
        self._generators.tell(("doze",))

    def wake(self) -> None:
        """Let everybody read on."""
        self._generators.tell(("wake",))

    def restart(self, delivery: str) -> None:
        """Count deliveries from here, under this name."""
        self._generators.tell(("restart", delivery))

    def talk(self, pace: Pace, seconds: float, filler: str = FILLER) -> float:
        """Let random viewers say messages at this pace, all of them together; seconds until the last was due."""
        share = Pace(pace.start * self._share, pace.end * self._share, pace.seconds)
        self._generators.tell(("talk", share, seconds, time.monotonic() + LEAD_S, filler))
        return seconds + LEAD_S

    def hush(self) -> None:
        """Let nobody begin to say anything more."""
        self._generators.tell(("hush",))

    def buy(self, deal_id: str, from_s: float) -> None:
        """Let the buyers buy, counted from this moment."""
        self._generators.tell(("buy", deal_id, from_s))

    # questions

    async def glance(self) -> tuple[Tally, Deeds]:
        """How far they are: counts only."""
        tally, deeds = Tally(), Deeds()
        for seen, done in await self._ask("glance"):
            tally.add(seen)
            deeds.add(done)
        return tally, deeds

    async def result(self, top: int = 0) -> Tally:
        """All that they saw."""
        total = Tally()
        for tally in await self._ask("result", top):
            total.add(tally)
        return total

    async def deeds(self) -> Deeds:
        """All that they did."""
        total = Deeds()
        for deeds in await self._ask("deeds"):
            total.add(deeds)
        return total

    async def until_joined(self, patience_s: float = PATIENCE_S) -> Tally:
        """Wait until everybody is in the room, or patience ends."""
        return await self._until(lambda tally, _: tally.joined >= self.viewers, patience_s)

    async def until_answered(self, patience_s: float = PATIENCE_S) -> Tally:
        """Wait until every command that was begun has its answer."""
        return await self._until(lambda _, deeds: deeds.done >= deeds.begun, patience_s)

    async def until_bought(self, patience_s: float = PATIENCE_S) -> Tally:
        """Wait until every purchase is over: refused, paid, or given back."""
        return await self._until(lambda _, deeds: deeds.buying == 0, patience_s)

    async def until_at(self, top: int, patience_s: float = PATIENCE_S) -> None:
        """Wait until everybody has the event of this offset."""
        deadline_s = time.monotonic() + patience_s
        while sum(await self._ask("behind", top)):
            if time.monotonic() > deadline_s:
                return
            await asyncio.sleep(0.1)

    async def _until(self, done: Callable[[Tally, Deeds], bool], patience_s: float) -> Tally:
        deadline_s = time.monotonic() + patience_s
        while True:
            tally, deeds = await self.glance()
            if done(tally, deeds) or time.monotonic() > deadline_s or self._run.stopping.is_set():
                return tally
            await asyncio.sleep(0.1)

    async def _ask(self, *question: Any) -> list[Any]:
        return await self._generators.ask(question)


async def end(generators: Generators) -> None:
    """Tell generators that listen for orders to end, and wait for it."""
    generators.tell(("end",))
    with contextlib.suppress(GeneratorFailed, TimeoutError):
        async with asyncio.timeout(END_S):
            await generators.results()
    await generators.aclose()


def shares_of(count: int, parts: int) -> list[range]:
    """The numbers below ``count``, dealt out evenly."""
    return [range(part, count, parts) for part in range(min(parts, count))]
