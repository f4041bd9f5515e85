"""A room where fifty lines a second are said: the viewer's page keeps its size, its place and its heap."""

from __future__ import annotations

import asyncio
import logging
import statistics
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from tests.api import Api
from tests.browser.pages import PATIENCE_MS, hears, open_watch, until
from tests.browser.stage import Stage
from tests.running import running_server

pytestmark = [pytest.mark.browser]

log = logging.getLogger(__name__)

A_SECOND = 50
TALKERS = 5
#: the page holds this many lines at most (chat-panel.js)
MOST_LINES = 120
#: the heap after a collection may be so much larger at the end than it was once everything had been compiled
HEAP_SLACK = 300_000
#: [start, duration] of each, in ms of the page's own clock
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) window.longTasks.push([startTime, duration]);
}).observe({ type: "longtask" });
"""
BOTTOM = "e => e.scrollHeight - e.scrollTop - e.clientHeight < 2"


class Gauge:
    """The page's heap, and when the page stood still for our looking: what collects garbage is a long task, too."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session
        self.heaps: list[int] = []
        self._looks: list[tuple[float, float]] = []

    async def _now(self) -> float:
        return float(await self._evaluate("performance.now()"))

    async def _evaluate(self, expression: str) -> Any:
        # not by the page's own evaluate: what that brings along counts as the page's heap
        answer = await self._session.send("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return answer["result"]["value"]

    async def look(self) -> None:
        """One more sample: bytes of live objects, after a collection."""
        began = await self._now()
        await self._session.send("HeapProfiler.collectGarbage")
        used = await self._session.send("Runtime.getHeapUsage")
        self.heaps.append(int(used["usedSize"]))
        self._looks.append((began, await self._now()))

    async def long_tasks(self) -> list[int]:
        """Durations in ms of the page's long tasks, those of our looking left out."""
        tasks = await self._evaluate("window.longTasks")
        return sorted(
            round(duration)
            for start, duration in tasks
            if not any(start < end and start + duration > began for began, end in self._looks)
        )

    def growth(self) -> int:
        """How much larger the middle of the last third of the samples is than that of the first."""
        third = max(1, len(self.heaps) // 3)
        return round(statistics.median(self.heaps[-third:]) - statistics.median(self.heaps[:third]))


async def talk(stage: Stage, name: str, seconds: float) -> int:
    """One talker's share, at an even pace whatever each line takes; how many lines were taken."""
    person, every_s = await stage.person(name), TALKERS / A_SECOND
    async with stage.room(person) as room:
        loop = asyncio.get_running_loop()
        started, said = loop.time(), 0
        while (elapsed := loop.time() - started) < seconds:
            if said * every_s > elapsed:
                await asyncio.sleep(said * every_s - elapsed)
            await room.do("chat.send", text=f"line {said} of {name}, as long as people's lines usually are")
            said += 1
        return said


async def reads_back(page: Page, stage: Stage) -> None:
    """Who scrolls up keeps the lines they read, is told how many came, and returns with one tap."""
    lines = page.get_by_test_id("chat-lines")
    await lines.evaluate("e => { e.scrollTop = 200; }")
    more = page.get_by_test_id("chat-more")
    await expect(more).to_be_visible(timeout=PATIENCE_MS)
    top = "e => [...e.children].find((line) => line.offsetTop >= e.scrollTop + 60).dataset.id"
    reading = await lines.evaluate(top)
    await stage.says("Early", "while somebody reads back")
    # by then the whole list would have been replaced
    await expect(more).to_have_text(f"{MOST_LINES} new messages", timeout=PATIENCE_MS)
    assert await lines.evaluate(top) == reading
    await more.click()
    await expect(more).to_be_hidden()
    await until("the newest line is in sight", lambda: lines.evaluate(BOTTOM))


@pytest.mark.parametrize(
    ("seconds", "warm_s", "every_s"),
    [
        pytest.param(60, 10, 8, marks=pytest.mark.timeout(240)),
        pytest.param(600, 60, 20, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
    ids=["a minute", "ten minutes"],
)
async def test_fifty_lines_a_second(
    browser: Browser, tmp_path: Path, seconds: float, warm_s: float, every_s: float
) -> None:
    limits = ("--limit", "chat=20/60", "--limit", "commands=60/120")
    with running_server(tmp_path, *limits) as server:
        async with Api(server.url) as api:
            stage = await Stage.set(api)
            page = await open_watch(browser, api.url, stage.stream_id, script=LONG_TASKS)
            talkers = asyncio.gather(*(talk(stage, f"Talker {n}", seconds) for n in range(TALKERS)))
            loop = asyncio.get_running_loop()
            warm = loop.time() + warm_s
            await expect(page.get_by_test_id("chat-line")).to_have_count(MOST_LINES, timeout=PATIENCE_MS)
            # this compiles what is asked of the page below, too
            await reads_back(page, stage)
            gauge = Gauge(await page.context.new_cdp_session(page))
            await asyncio.sleep(max(0.0, warm - loop.time()))
            while not talkers.done():
                await gauge.look()
                await asyncio.wait([talkers], timeout=every_s)
            said = sum(await talkers)
            tasks = await gauge.long_tasks()
            log.info("%d lines in %d s, heaps %s, long tasks (ms) %s", said, seconds, gauge.heaps, tasks)
            await stage.says("Last", "and that was all")
            await hears(page, "and that was all")
            await expect(page.get_by_test_id("chat-line")).to_have_count(MOST_LINES, timeout=PATIENCE_MS)
            await until("the newest line is in sight", lambda: page.get_by_test_id("chat-lines").evaluate(BOTTOM))
            # a machine with other work is slower than fifty a second; half of it still fills and drains the list
            assert said > A_SECOND * seconds / 2
            assert gauge.growth() < HEAP_SLACK
