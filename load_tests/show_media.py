"""The viewers of a show's picture, which come back when it stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from load_tests.processes import Generator
from load_tests.show_viewer import RepairingViewer
from load_tests.show_watched import Watched, missed
from load_tests.viewers_check import percentile
from load_tests.whep_peer import Shared

#: a viewer without a packet for this long joins anew
FROZEN_S = 4.0
#: between two tries
AGAIN_S = 0.5
#: each viewer reports once a second, in so many groups
TURNS = 20
#: what the report plots of losses, each second
LOSSES = {
    "packets missed, before the viewers": "missed",
    "packets dropped by the viewers": "dropped_here",
    "packets repaired": "repaired",
}
#: joins that one process has under way at once
JOINS = 32


@dataclass(frozen=True, kw_only=True)
class Screens:
    """One process's share of the viewers of the picture."""

    url: str
    tokens: Sequence[str]
    comes_back: bool = False
    first: int = 0


class Screen:
    """One viewer of the picture, over all of its sessions."""

    def __init__(self, shared: Shared, index: int, token: str) -> None:
        self.token = token
        self.viewer = RepairingViewer(shared, index)
        self._shared, self._index = shared, index
        self._packets, self._changed_s = 0, 0.0
        self._frames = self._dropped = self._verified = 0
        self.joining = self._told = False
        self.past = Watched()

    def joined_in_s(self) -> float | None:
        """From the POST to the first whole frame of this session, once there is one; told once."""
        first_s = self.viewer.video.first_frame_s
        if first_s is None or self._told:
            return None
        self._told = True
        return first_s - self.viewer.peer.asked_s

    def frozen(self, now_s: float) -> bool:
        """Whether nothing came for too long."""
        packets = self.viewer.video.packets
        if packets != self._packets:
            self._packets, self._changed_s = packets, now_s
        return now_s - self._changed_s > FROZEN_S

    async def join(self, http: aiohttp.ClientSession, url: str) -> None:
        """Connect; a failure is remembered, not raised."""
        self.joining = True
        try:
            await self.viewer.join(http, url, self.token)
        finally:
            self.joining, self._changed_s = False, time.monotonic()

    def renew(self) -> None:
        """Close this session, and be ready for another one."""
        self.past.add(self.seen())
        self.past.rejoins += 1
        self.viewer.peer.close()
        self.viewer = RepairingViewer(self._shared, self._index)
        self._packets = self._frames = self._dropped = self._verified = 0
        self._told = False

    def restart(self) -> None:
        """Count from here."""
        self.viewer.restart()
        self.past, self._frames = Watched(), 0
        self._dropped, self._verified = self.viewer.dropped(), self.viewer.peer.verified

    def seen(self) -> Watched:
        """What this session saw so far."""
        viewer, video = self.viewer, self.viewer.video
        first = [] if video.first_frame_s is None else [(video.first_frame_s - viewer.peer.asked_s) * 1000]
        here = max(0, viewer.dropped() - self._dropped)
        return Watched(
            packets=video.packets,
            verified=viewer.peer.verified - self._verified,
            lost=video.lost,
            repaired=viewer.repaired,
            dropped_here=here,
            missed=missed(video.lost + viewer.repaired + viewer.audio.lost, here),
            duplicates=video.duplicates,
            unauthentic=viewer.peer.unauthentic,
            frames=video.frames,
            frames_incomplete=video.frames_incomplete,
            failures=[viewer.failure] if viewer.failure else [],
            first_frame_ms=first,
            gaps_ms=[video.longest_gap_s * 1000] if video.frames else [],
        )

    def result(self) -> Watched:
        """All that was seen but the delays; ``playing`` since the last question."""
        now, total = self.seen(), Watched()
        total.add(self.past)
        total.add(now)
        total.connected = int(self.viewer.peer.context is not None)
        total.playing = int(now.frames > self._frames)
        self._frames = now.frames
        return total


class Audience:
    """The screens of one process."""

    def __init__(self, http: aiohttp.ClientSession, share: Screens, generator: Generator) -> None:
        shared = Shared()
        self.screens = [Screen(shared, share.first + index, token) for index, token in enumerate(share.tokens)]
        self._http, self._share, self._generator = http, share, generator
        self._gate = asyncio.Semaphore(JOINS)
        self._told = Watched()
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, per_s: float) -> None:
        """Let them all join at a pace."""
        for number, screen in enumerate(self.screens):
            self._spawn(self._join(screen, number / per_s))
        self._spawn(self._keep_up())

    def result(self) -> Watched:
        """What they saw."""
        total = Watched()
        for screen in self.screens:
            total.add(screen.result())
        total.failures = sorted(set(total.failures))[:5]
        return total

    def delays(self) -> list[float]:
        """The p99 of the way from host to viewer, ms, of each viewer whose packets the kernel stamps; costs a sort."""
        sampled = (screen.viewer.video.delays_ns for screen in self.screens)
        return [percentile(delays, 0.99) / 1e6 for delays in sampled if delays]

    def restart(self) -> None:
        """Count packets and frames from here."""
        for screen in self.screens:
            screen.restart()
        self._told = Watched()

    async def aclose(self) -> None:
        """Leave without a word, as a closed tab does; twice is safe."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for screen in self.screens:
            screen.viewer.peer.close()

    async def _join(self, screen: Screen, wait_s: float) -> None:
        screen.joining = True
        await asyncio.sleep(wait_s)
        async with self._gate:
            await screen.join(self._http, self._share.url)
        self._gauge()

    async def _keep_up(self) -> None:
        """Reports each second, consent checks, and the return of who sees nothing; spread evenly."""
        turn = 0
        while True:
            await asyncio.sleep(1 / TURNS)
            turn, now_s = turn + 1, time.monotonic()
            if turn % TURNS == 0:
                self._tell_losses()
            for index, screen in enumerate(self.screens):
                if index % TURNS != turn % TURNS or screen.joining:
                    continue
                if (took_s := screen.joined_in_s()) is not None:
                    self._generator.meter.record("join: to the first frame", int(took_s * 1e6))
                if self._share.comes_back and screen.frozen(now_s):
                    screen.renew()
                    self._spawn(self._join(screen, self._generator.random.uniform(0, AGAIN_S)))
                elif screen.viewer.peer.context is not None:
                    screen.viewer.report()
                    screen.viewer.ask_again()
                    if turn // TURNS % 3 == index // TURNS % 3:
                        screen.viewer.peer.check()

    def _tell_losses(self) -> None:
        """What was lost and repaired since the last time, for the plot."""
        before, self._told = self._told, Watched()
        for screen in self.screens:
            self._told.add(screen.past)
            self._told.add(screen.seen())
        for name, field in LOSSES.items():
            self._generator.meter.count(name, max(0, getattr(self._told, field) - getattr(before, field)))

    def _gauge(self) -> None:
        connected = sum(screen.viewer.peer.context is not None for screen in self.screens)
        self._generator.meter.gauge("viewers of the picture", connected)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def watchers(generator: Generator, share: Screens) -> None:
    """A process of viewers of the picture: it does what it is told."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=JOINS)) as http:
        audience = Audience(http, share, generator)
        try:
            await generator.ready()
            while (message := await generator.messages.get())[0] != "end":
                order, *arguments = message
                answer = getattr(audience, order)(*arguments)
                if order in ("result", "delays"):
                    generator.answer(answer)
        finally:
            await audience.aclose()
