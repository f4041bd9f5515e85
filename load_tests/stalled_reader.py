"""One viewer stops reading among many: what the others notice, when it is closed, and whether it comes back whole."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from livecommerce.close_codes import CloseCode
from livecommerce.outbox import CLOSE_BYTES
from load_tests import rooms_checks, stage_checks
from load_tests.arrivals import Pace
from load_tests.chat_storm import Livecommerce, crowds, settled
from load_tests.histogram import Histogram
from load_tests.report import Check
from load_tests.rooms_generator import Crowds, Seats
from load_tests.rooms_sockets import queued_for
from load_tests.rooms_tally import Tally
from load_tests.run import Run
from load_tests.server_metrics import counted

BEFORE, MEANWHILE = "to a viewer, before one sleeps", "to a viewer, while one sleeps"
#: a message of about 1 KB within the limit of characters: what waits grows fast
FILLER = "🛒" * 240
#: the kernel's buffers have to fill, too, before anything waits in the server
PATIENCE_S = 90.0
#: how often is looked whether it was closed, and how soon after passing its limit it must have been
LOOK_S, SOON_S = 0.1, 1.0
#: where it connects from, alone: so its connection is found among the others
_SLEEPS_AT = "127.0.7.7"
#: of a message's event, with what stands before its filler and around its text
_EVENT_BYTES = len(FILLER.encode()) + 190
_CLOSED = f'livecommerce_room_closed_total{{code="{CloseCode.SLOW_CONSUMER.value}"'


@dataclass(frozen=True, slots=True)
class Closed:
    """How a sleeping reader was closed: after how long, and where what it had not read was, in bytes."""

    after_s: float
    kernel: int
    waiting: int


async def scenario(run: Run, viewers: int, seconds: float, pace: Pace) -> None:
    """A calm stretch, then one that somebody sleeps through."""
    async with contextlib.AsyncExitStack() as stack:
        driver = await stack.enter_async_context(Livecommerce.started(run))
        room = await stack.enter_async_context(crowds(run, driver, viewers, comes_back=True))
        seats = Seats(
            address=driver.address,
            path=driver.path,
            tokens=[driver.token(1_000_000)],
            name="sleeper",
            comes_back=True,
            receive_buffer=4096,
            source=_SLEEPS_AT,
        )
        sleeper = await stack.enter_async_context(Crowds(run, [seats], name="sleeper"))
        for crowd in (room, sleeper):
            crowd.join()
            await crowd.until_joined()
        with run.phase("stalled reader: before"):
            room.restart(BEFORE)
            await run.sleep(room.talk(pace, seconds, FILLER))
            _, tally = await settled(room)
            await sleeper.until_at(tally.top)
        with run.phase("stalled reader: one sleeps"):
            room.restart(MEANWHILE)
            sleeper.doze()
            closed = await _until_closed(run, room, pace, tally.top)
            sleeper.wake()
            deeds, tally = await settled(room)
            await sleeper.until_at(tally.top)
        slept = await sleeper.result(tally.top)
    run.figure("a reader that sleeps is closed after", closed.after_s, "s", "", str(pace))
    run.figure("of what it missed by then the kernel kept", closed.kernel / 1024, "KiB", "lower")
    run.figure("and waited in the server", closed.waiting / 1024, "KiB", "", f"the limit is {CLOSE_BYTES // 1024} KiB")
    # A generator that is starved of CPU is a slow reader, too: then they come back, and miss nothing either.
    run.figure("of the others were closed, too", tally.dropped, "", "lower")
    for name in (BEFORE, MEANWHILE):
        times = run.timeline.total.histograms.get(name, Histogram())
        run.figure(f"{name}, p99", times.percentile(99) / 1000, "ms", "lower")
    run.judge(*stage_checks.of("stalled reader", [*rooms_checks.histories(tally, deeds), *judge(slept, closed, pace)]))


def judge(slept: Tally, closed: Closed, pace: Pace) -> list[Check]:
    """What must be so of who slept."""
    late_s = max(0.0, closed.waiting - CLOSE_BYTES) / (_EVENT_BYTES * pace.end)
    code = CloseCode.SLOW_CONSUMER.value
    whole = slept.lost == slept.doubled == slept.announced == slept.behind == 0 and slept.joins == 2
    missed = f"{slept.lost} lost, {slept.doubled} twice, {slept.announced} holes, {slept.behind} behind"
    return [
        Check(f"it was closed with {code}", closed.after_s > 0, f"after {closed.after_s:.1f} s"),
        Check(f"it was closed within {SOON_S:.0f} s of passing its limit", late_s <= SOON_S, f"{late_s:.2f} s"),
        Check("it came back and missed nothing", whole, f"{slept.joins - 1} times back, {missed}"),
    ]


async def _until_closed(run: Run, room: Crowds, pace: Pace, top: int) -> Closed:
    """Talk until the server has closed somebody who has everything up to ``top``; zeros if it never does."""
    assert run.target.server is not None, "--url was refused"
    began_s, before = time.monotonic(), counted(run.target.url, _CLOSED)[0]
    room.talk(pace, PATIENCE_S, FILLER)
    while await run.sleep(LOOK_S) and time.monotonic() < began_s + PATIENCE_S:
        if counted(run.target.url, _CLOSED)[0] > before:
            after_s, kernel = time.monotonic() - began_s, queued_for(_SLEEPS_AT)
            missed = ((await room.glance())[0].top - top) * _EVENT_BYTES
            return Closed(after_s, kernel, missed - kernel)
    return Closed(0.0, 0, 0)
