"""A whole show: one host on the air, viewers of the picture, a chatting room, and a flash deal that sells out.

Each viewer of the picture does ICE, DTLS and SRTP over a socket of its own, each viewer of the room keeps its whole
history, and every answer is written down and judged at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from livecommerce.client import ServerError, Unreachable
from load_tests import show_books, show_figures, stage_checks
from load_tests.history import Final, History, Window
from load_tests.processes import Generators
from load_tests.rooms_generator import Crowds, end
from load_tests.rooms_people import Deeds
from load_tests.run import Run
from load_tests.shoppers import shoppers
from load_tests.show_books import persist
from load_tests.show_cast import Cast
from load_tests.show_checks import Evidence, judge
from load_tests.show_host import HostOnAir
from load_tests.show_media import watchers
from load_tests.show_plan import ShowPlan, in_the_room, purchases
from load_tests.show_watched import Watched, backlog_drops
from load_tests.stock_watch import StockWatch
from load_tests.viewers_host import Rate

#: limits that are not what is measured: one crowd speaks from one address, and some of it speaks a lot
LIMITS = (
    *("user=1000000/1000000", "claims=1000/1000", "chat=100/100", "chatroom=100000/100000"),
    *("commands=1000/1000", "viewers=5000"),
)
SERVER_OPTIONS = tuple(word for limit in LIMITS for word in ("--limit", limit))
#: how long the crowd may take to come in, to be answered, and to read what was said
PATIENCE_S = 90.0
#: and how long packets may take that have to be asked for again
REPAIR_S = 6.0
#: long enough that nothing expires while it is looked at
DURATION_S, HOLD_S = 3600, 1800


class Show:
    """One show on the run's server. ``comes_back``: people rejoin by themselves.

    ``proxy``: where a network that may break lets through one process of chat viewers, and all buyers over HTTP.
    """

    def __init__(
        self, run: Run, plan: ShowPlan, *, proxy: tuple[str, int] | None = None, comes_back: bool = False
    ) -> None:
        self.run, self.plan = run, plan
        self.stream_id = self.deal_id = ""
        self._cast = Cast(run, plan, proxy, comes_back)
        self._stack = contextlib.AsyncExitStack()
        self._purchases = purchases(plan, run.random)
        self._window = Window()
        #: what kernel and relay had dropped before anything was counted
        self._backlog, self._relay_dropped = backlog_drops(), Counter[str]()
        #: when it changed, and to how many: the plot
        self._left: list[tuple[float, float]] = []
        #: the samples of all sales
        self._stock: StockWatch | None = None

    # the stage

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _set_up(self) -> None:
        token = self.run.target.mint("show-host", "Host", ["host", "watch", "chat"])
        self.host = await self._stack.enter_async_context(self.run.target.client(token, timeout_s=10))
        self.stream_id = (await self.host.create_stream("A show under load"))["id"]
        self._stack.push_async_callback(self._end_stream)
        await self.next_deal()
        here, elsewhere = in_the_room(self.plan, self._purchases)
        if self.plan.video:
            await self._go_on_air(token)
        seats, baskets = self._cast.seats(self.stream_id, here), self._cast.baskets(self.stream_id, elsewhere)
        self.room = await self._stack.enter_async_context(Crowds(self.run, seats, name="chat viewers"))
        self._shoppers = await self._generators(shoppers, baskets, "shoppers")

    async def _go_on_air(self, token: str) -> None:
        http = await self._stack.enter_async_context(aiohttp.ClientSession())
        rate = Rate(30.0, int(self.plan.megabits * 1e6 / 8 / 30), None, audio=True)
        self.on_air = HostOnAir(http, f"{self.run.target.url}/whip/{self.stream_id}", token, rate)
        await self.on_air.start()
        self._stack.push_async_callback(self.on_air.aclose)
        self._watchers = await self._generators(watchers, self._cast.screens(self.stream_id), "video viewers")

    async def _generators(self, work: Any, shares: Sequence[Any], name: str) -> Generators:
        generators = await self._stack.enter_async_context(Generators(self.run, work, shares, name=name))
        await generators.until_ready()
        generators.go()
        self._stack.push_async_callback(end, generators)
        return generators

    async def _end_stream(self) -> None:
        with contextlib.suppress(ServerError, Unreachable):
            await persist(lambda: self.host.end_stream(self.stream_id), 10)

    async def next_deal(self) -> None:
        """Prepare a deal; :meth:`sell` opens it."""
        spec = {"title": "Lamp", "price": {"amount": 1990, "currency": "EUR"}, "stock": self.plan.units}
        spec |= {"per_buyer_limit": 1, "duration_s": DURATION_S, "hold_s": HOLD_S}
        self.deal_id = (await persist(lambda: self.host.create_deal(self.stream_id, spec)))["id"]

    # the acts

    async def ramp_up(self) -> None:
        """All come in at an even pace."""
        run, plan = self.run, self.plan
        self.room.join(plan.chat / plan.ramp_s if plan.ramp_s else 0.0)
        if plan.video:
            per_s = plan.video / max(plan.ramp_s, 0.1) / run.options.generators
            self._watchers.tell(("join", per_s))
        await run.sleep(plan.ramp_s)
        tally = await self.room.until_joined(PATIENCE_S)
        run.judge(stage_checks.entered(tally.joined, plan.chat))
        if plan.video:
            seen = await self._until_playing()
            run.judge(stage_checks.first_frames(len(seen.first_frame_ms), plan.video, seen.failures))
            show_figures.joins(run, seen)

    async def live(self) -> None:
        """They chat, and see the picture."""
        self._backlog = backlog_drops()
        if self.plan.video:
            self._relay_dropped = await show_books.relay_dropped(self.host, self.stream_id)
            self._watchers.tell(("restart",))
        self.room.talk(self.plan.pace, 24 * 3600.0)
        await self.run.sleep(self.plan.live_s)

    async def sell(self) -> None:
        """The deal opens, the rush comes, and the winners pay."""
        await self._shoppers.ask(("enter",))
        invoked_s = time.monotonic()
        with self.run.phase("deal opens"):
            await persist(self._open)
            opened_s = time.monotonic()
            self._window = Window(open_invoked_s=invoked_s, open_returned_s=opened_s)
            async with StockWatch(self.host, self.stream_id, self.deal_id, on_sample=self._sampled) as stock:
                self.room.buy(self.deal_id, opened_s)
                self._shoppers.tell(("buy", self.deal_id, opened_s))
                await self._until_sold_out(stock, opened_s)
                with self.run.phase("pay"):
                    await self._until_bought()
        self._stock, earlier = stock, self._stock
        if earlier is not None:
            stock.samples[:0], stock.unanswered = earlier.samples, stock.unanswered + earlier.unanswered

    async def _open(self) -> None:
        try:
            await self.host.step_deal(self.stream_id, self.deal_id, "open")
        except ServerError as error:
            # The answer to an earlier question was lost: it is open.
            if error.code != "illegal_state":
                raise

    def _sampled(self, deal: dict[str, Any]) -> None:
        self.run.meter.gauge("stock left", deal["left"])
        if not self._left or self._left[-1][1] != deal["left"]:
            self._left.append((self.run.elapsed_s, deal["left"]))

    async def _until_sold_out(self, stock: StockWatch, opened_s: float) -> None:
        while await self.run.sleep(0.05):
            if stock.samples and stock.samples[-1]["left"] == 0:
                self.run.figure("sold out after", time.monotonic() - opened_s, "s", "", f"{self.plan.units} units")
                return
            if time.monotonic() > opened_s + self.plan.rush_s:
                return

    async def _until_bought(self) -> None:
        deadline_s = time.monotonic() + self.plan.rush_s + PATIENCE_S
        while sum(await self._shoppers.ask(("busy",))) and time.monotonic() < deadline_s:
            if not await self.run.sleep(0.2):
                break
        await self.room.until_bought(max(0.0, deadline_s - time.monotonic()))

    async def history(self, deeds: Deeds) -> History:
        """The newest sale as it was seen, and what every accepted or unknown key finds when it is asked again."""
        sale = [o for o in deeds.operations if o.invoked_s >= self._window.open_invoked_s]
        orders = await show_books.found(self.run.target, self.stream_id, self.deal_id, sale)
        deal = await persist(lambda: self.host.deal(self.stream_id, self.deal_id))
        final = Final(left=deal["left"], held=deal["held"], sold=deal["sold"], orders=orders)
        return History(stock=self.plan.units, limit=1, operations=sale, window=self._window, final=final)

    async def wind_down(self) -> Evidence:
        """Let all of it come to rest, then read back what there is."""
        if self._stock is not None:
            self._stock.judge(self.run.report)
        self.room.hush()
        await self.room.until_answered(PATIENCE_S)
        deeds = await self.deeds()
        top = max((offset for offset, _ in deeds.said), default=0)
        await self.room.until_at(top, PATIENCE_S)
        tally = await self.room.result(top)
        watched, late = await self._until_playing() if self.plan.video else Watched(), Counter[str]()
        if self.plan.video:
            watched.delays_ms = [ms for part in await self._watchers.ask(("delays",)) for ms in part]
            late = await show_books.relay_dropped(self.host, self.stream_id) - self._relay_dropped
        shown, counted, inside = await self._presence()
        claimed, states = await show_books.journal(self.host, self.stream_id)
        evidence = Evidence(
            plan=self.plan,
            tally=tally,
            deeds=deeds,
            watched=watched,
            playing=watched.playing,
            history=await self.history(deeds),
            claimed=claimed,
            states=states,
            relay_dropped=late,
            backlog_dropped=backlog_drops() - self._backlog,
            shown=shown,
            counted=counted,
            inside=inside,
            afterwards=await self._leave(),
        )
        show_figures.write(self.run, evidence)
        self.run.curve("stock left", "units", self._left)
        return evidence

    # reading back

    async def deeds(self) -> Deeds:
        """All that the crowd did so far, in the room and over HTTP."""
        deeds = await self.room.deeds()
        for part in await self._shoppers.ask(("deeds",)):
            part.begun = part.done
            deeds.add(part)
        return deeds

    async def _until_playing(self) -> Watched:
        """Wait until a new frame came to everybody, and what was lost has come again; all that they saw."""
        deadline_s, repaired_s = time.monotonic() + PATIENCE_S, time.monotonic() + REPAIR_S
        await self._watched()
        while True:
            await asyncio.sleep(0.5)
            seen = await self._watched()
            whole = seen.playing == self.plan.video and not (seen.lost and time.monotonic() < repaired_s)
            if whole or time.monotonic() > deadline_s or self.run.stopping.is_set():
                return seen

    async def _watched(self) -> Watched:
        total = Watched()
        for part in await self._watchers.ask(("result",)):
            total.add(part)
        return total

    async def _presence(self) -> tuple[int, int, int]:
        """Wait until the counts have settled; they are told once a second."""
        for _ in range(50):
            tally, _ = await self.room.glance()
            counted = (await persist(lambda: self.host.stream(self.stream_id)))["viewers"]
            if tally.viewers_shown == counted == tally.joined:
                break
            await asyncio.sleep(0.2)
        return tally.viewers_shown, counted, tally.joined

    async def _leave(self) -> int:
        """All leave the room; how many are counted once nobody is there."""
        self.room.drop()
        return await show_books.viewers(self.host, self.stream_id, 0)


async def scenario(run: Run, plan: ShowPlan) -> None:
    """A show from the ramp to the end, and the verdict."""
    run.headline = "delivery"
    async with Show(run, plan) as show:
        with run.phase("ramp up"):
            await show.ramp_up()
        with run.phase("live"):
            await show.live()
        if plan.buyers and not run.stopping.is_set():
            await show.sell()
        with run.phase("wind down"):
            evidence = await show.wind_down()
    run.judge(*judge(evidence))
