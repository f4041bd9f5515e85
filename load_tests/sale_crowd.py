"""One generator process of a flash sale: its buyers, when they ask, and what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from load_tests.arrivals import Pace
from load_tests.buyers import SocketWay, Way, claim_template
from load_tests.buyers_http import HttpWay
from load_tests.claims import Claims
from load_tests.history import ACCEPTED
from load_tests.processes import Generator

#: how long answers are waited for when no more claims are due
PATIENCE_S = 30.0
#: between two looks at the clock of an open loop; what is due meanwhile leaves together, timed from when it was due
TURN_S = 0.001
#: keys asked again at the same time
AGAIN_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one generator does."""

    address: tuple[str, int]
    stream_id: str
    deal_id: str
    #: number and token of each buyer; half of them over each way where both are wanted
    by_socket: Sequence[tuple[int, str]]
    by_http: Sequence[tuple[int, str]]
    #: HTTP connections
    connections: int
    #: claims of each buyer, and how many of them may be without an answer
    claims: int
    in_flight: int
    think_s: float
    #: the share of accepted claims that are sent once more, under the same key, as a phone with a bad network does
    replay: float
    pace: Pace | None
    #: this generator is the ``part``-th of ``parts``
    part: int
    parts: int


@dataclass
class _Buyer:
    """A buyer: the way in, its place there, and its number in the whole sale."""

    way: Way
    place: int
    number: int
    left: int
    waiting: int = 0


@dataclass
class Crowd:
    """All buyers of a generator. ``begin`` has them ask, ``told`` hears the answers."""

    generator: Generator
    share: Share
    claims: Claims = field(init=False)
    _ways: list[Way] = field(default_factory=list)
    _buyers: list[_Buyer] = field(default_factory=list)
    _open: int = 0
    #: whose answers are part of the sale; those after that are timed nowhere
    _selling: bool = False

    def __post_init__(self) -> None:
        self.claims = Claims(self.share.part)
        self._of_row: list[_Buyer] = []
        self._idle = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def enter(self) -> None:
        """Connect everybody."""
        share, path = self.share, f"/api/v1/streams/{self.share.stream_id}/deals/{self.share.deal_id}/claims"
        template = claim_template(share.deal_id, share.part)
        tokens = [token for _, token in share.by_socket]
        sockets = SocketWay(share.address, f"/ws/{share.stream_id}", tokens, template, self.told)
        posted = [token for _, token in share.by_http]
        http = HttpWay(share.address, path, posted, share.connections if posted else 0, share.part, self.told)
        self._ways = [sockets, http]
        for way, numbers in ((sockets, share.by_socket), (http, share.by_http)):
            await way.enter()
            self._buyers += [_Buyer(way, place, number, 0) for place, (number, _) in enumerate(numbers)]
        self.generator.random.shuffle(self._buyers)

    def leave(self) -> None:
        """Hang up."""
        for way in self._ways:
            way.close()

    @property
    def lost(self) -> int:
        """Connections that the other side ended."""
        return sum(way.lost for way in self._ways)

    # --- asking -------------------------------------------------------------------------------------------------

    async def sell(self, start_s: float) -> None:
        """The sale: every buyer asks ``claims`` times."""
        self._selling = True
        for buyer in self._buyers:
            buyer.left = self.share.claims
        if self.share.pace is not None:
            await self._arrivals(self.share.pace, start_s)
        else:
            await self._sleep_until(start_s)
            for buyer in self._buyers:
                for _ in range(min(self.share.in_flight, buyer.left)):
                    self._next(buyer, start_s)
        await self._until_answered()
        self._selling = False

    async def once_each(self, most: int) -> None:
        """Some buyers ask once, outside the sale."""
        now_s = time.monotonic()
        for buyer in self._buyers[:most]:
            self._ask(buyer, now_s)
        await self._until_answered()

    async def again(self) -> list[str | None]:
        """Ask every key again that was accepted, or whose answer never came; the order found, by row."""
        claims = self.claims
        known = [row for row, outcome in enumerate(claims.outcomes) if claims.key_rows[row] == row and _may_be(outcome)]
        found: list[str | None] = [None] * len(claims)
        for start in range(0, len(known), AGAIN_AT_ONCE):
            asked = {}
            for row in known[start : start + AGAIN_AT_ONCE]:
                asked[row] = self._ask(self._of_row[row], time.monotonic(), row)
            await self._until_answered()
            for row, repeated in asked.items():
                found[row] = claims.order_ids[repeated]
        return found

    async def _arrivals(self, pace: Pace, start_s: float) -> None:
        """Open loop: each claim leaves when it is due, in rounds over all buyers, whatever the answers take."""
        buyers, share = self._buyers, self.share
        total, sent = len(buyers) * share.claims, 0
        while sent < total and not self.generator.stopped.is_set():
            now_s = time.monotonic()
            while sent < total and (due_s := start_s + pace.due_s(sent * share.parts + share.part)) <= now_s:
                self._ask(buyers[sent % len(buyers)], due_s)
                sent += 1
            # yields even when late, so that answers are read
            await asyncio.sleep(TURN_S if sent == total else min(max(due_s - now_s, TURN_S), 0.05))

    def _next(self, buyer: _Buyer, due_s: float) -> None:
        """Closed loop: the buyer's next claim."""
        if buyer.left > 0 and not self.generator.stopped.is_set():
            buyer.left -= 1
            self._ask(buyer, due_s)

    def _ask(self, buyer: _Buyer, due_s: float, key_row: int | None = None) -> int:
        claims = self.claims
        row = claims.add(buyer.way.name, buyer.number, due_s, key_row)
        self._of_row.append(buyer)
        self._open += 1
        claims.sent_s[row] = time.monotonic()
        if self._selling:
            self.generator.meter.count("offered")
        buyer.way.claim(buyer.place, row, claims.key_rows[row])
        return row

    # --- hearing ------------------------------------------------------------------------------------------------

    def told(self, row: int, outcome: str, order_id: str | None, now_s: float) -> None:
        """An answer, or none. Hot path."""
        claims, buyer = self.claims, self._of_row[row]
        claims.outcomes[row], claims.order_ids[row], claims.ended_s[row] = outcome, order_id, now_s
        self._open -= 1
        if self._open == 0:
            self._idle.set()
        if not self._selling:
            return
        meter, accepted = self.generator.meter, outcome == ACCEPTED
        name = buyer.way.name
        meter.record(f"{name}, accepted" if accepted else f"{name}, refused", int((now_s - claims.due_s[row]) * 1e6))
        meter.count("accepted" if accepted else "refused")
        meter.code(name, outcome)
        if accepted and claims.key_rows[row] == row and self.generator.random.random() < self.share.replay:
            self._ask(buyer, now_s, row)
        if self.share.pace is None:
            self._then(buyer, now_s)

    def _then(self, buyer: _Buyer, now_s: float) -> None:
        if self.share.think_s:
            pause_s = self.generator.random.expovariate(1 / self.share.think_s)
            self._open += 1  # a thinking buyer is not done
            self._loop.call_later(pause_s, partial(self._thought, buyer, now_s + pause_s))
        else:
            self._next(buyer, now_s)

    def _thought(self, buyer: _Buyer, due_s: float) -> None:
        self._open -= 1
        self._next(buyer, due_s)
        if self._open == 0:
            self._idle.set()

    async def _until_answered(self) -> None:
        self._idle.clear()
        if self._open:
            quiet_s, before = time.monotonic(), self._open
            while self._open and time.monotonic() - quiet_s < PATIENCE_S:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), 1.0)
                self._idle.clear()
                if self._open != before or self.share.think_s:
                    quiet_s, before = time.monotonic(), self._open

    async def _sleep_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))


def _may_be(outcome: str) -> bool:
    return outcome in (ACCEPTED, "", "no answer", "outcome_unknown", "unavailable")


async def crowd(generator: Generator, share: Share) -> None:
    """The process: it connects, then does what it is asked."""
    crowd = Crowd(generator, share)
    try:
        await crowd.enter()
        await generator.ready()
        while (message := await generator.messages.get()) is not None:
            order, *arguments = message
            if order == "sell":
                await crowd.sell(*arguments)
                generator.answer((crowd.claims, crowd.lost))
            elif order == "once each":
                before = len(crowd.claims)
                await crowd.once_each(*arguments)
                generator.answer([crowd.claims[row] for row in range(before, len(crowd.claims))])
            elif order == "again":
                generator.answer(await crowd.again())
    finally:
        crowd.leave()
