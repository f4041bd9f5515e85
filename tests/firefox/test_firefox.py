"""Everything once in Firefox: watching and buying, hosting, and the pages as such."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import axe_playwright_python  # type: ignore[import-untyped]
import psutil
import pytest
from playwright.async_api import Browser

from livecommerce.client import Client
from livecommerce.demo.host import patiently
from livecommerce.demo.picture import ShowPicture
from livecommerce.demo.publisher import Publisher
from tests.api import Api
from tests.browser.pages import DESK, PHONE, open_watch, picture_moves
from tests.browser.stage import Stage
from tests.firefox.bidi import ENTER, ESCAPE, TAB, Firefox, Tab, shown
from tests.running import RunningServer

pytestmark = [pytest.mark.firefox, pytest.mark.browser, pytest.mark.timeout(300)]

#: keeps the page's peer connections where the test can ask them
REMEMBER = """
const Original = RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Original {
  constructor(...parameters) { super(...parameters); window.connections.push(this); }
};
"""
#: what the page's present connection has received and shown so far; null while there is none
RECEIVED = """(async () => {
  const video = document.querySelector('[data-testid=video]');
  const now = { width: video.videoWidth, time: video.currentTime, frames: 0, sound: 0 };
  for (const report of (await window.connections.at(-1).getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') now.frames = report.framesDecoded ?? 0;
    if (report.type === 'inbound-rtp' && report.kind === 'audio') now.sound = report.packetsReceived ?? 0;
  }
  return now.width > 0 && now.frames > 0 && now.sound > 0 ? now : null;
})()"""
JOINED = "document.body.dataset.room === 'joined'"
#: what axe-core finds wrong
AXE = """(async () => (await axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag21a', 'wcag22aa'] }))
  .violations.flatMap((v) => v.nodes.map((n) => v.id + ' ' + n.target)))()"""


async def watches(tab: Tab) -> None:
    """The picture moves and sound arrives, on one connection."""
    before = await tab.until(RECEIVED)
    more = f"(async () => {{ const now = await {RECEIVED}; const was = {json.dumps(before)};"
    # a new connection counts anew
    await tab.until(
        f"{more} if (now.frames < was.frames) return now.frames > 10 && now.sound > 10;"
        " return now.frames > was.frames + 10 && now.sound > was.sound + 10 && now.time > was.time; })()"
    )
    await tab.until("document.body.dataset.state === 'live'")


async def watching(fox: Firefox, url: str, size: tuple[int, int]) -> Tab:
    tab = await fox.open(url, size, script=REMEMBER)
    await tab.until(JOINED)
    return tab


async def says(tab: Tab, text: str) -> None:
    await tab.fill("chat-input", text)
    await tab.type(ENTER)
    await tab.sees("chat-line", text, count=1)


@contextlib.asynccontextmanager
async def on_air(stage: Stage) -> AsyncIterator[None]:
    """The demo's robot sends picture and sound for this host."""
    async with Client(stage.api.url, token=stage.host.token, session=stage.api.http) as client:
        robot = Publisher(client, ShowPicture("mug"))
        task = asyncio.create_task(patiently("robot", lambda: robot.run(stage.stream_id)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_viewer(fox: Firefox, api: Api) -> None:
    """See, hear, talk, vote, send hearts and buy on a phone; a reload comes back to all of it."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    async with on_air(stage):
        tab = await watching(fox, stage.url, PHONE)
        await watches(tab)
        await stage.says("Hanna", "welcome to the show")
        await tab.sees("chat-line", "welcome to the show", count=1)
        async with stage.room(stage.host) as room:
            await says(tab, "hello from Firefox")
            await tab.click("heart", pointer="touch")
            heard: set[str] = set()
            async with asyncio.timeout(30):
                async for event in room:
                    heard |= {event.type} | ({"hello"} if "hello from Firefox" in str(event.data) else set())
                    if heard >= {"hello", "reactions"}:
                        break

        await stage.do(stage.host, "poll.open", question="Which colour?", answers=["Cobalt", "Moss"], seconds=90)
        await tab.click("poll-choice", pointer="touch")
        await tab.sees("poll-votes", "1 vote")

        deal = await stage.deal(stock=2)
        await tab.click("deal-buy", pointer="touch")
        await tab.sees("order-hold")
        await tab.click("order-pay", pointer="touch")
        await tab.sees("order-receipt")
        assert (await api.deal(stage.stream_id, deal))["sold"] == 1

        await tab.reload()
        await watches(tab)
        await tab.sees("chat-line", "hello from Firefox", count=1)
        await tab.until(f"{shown('poll-choice')}[0].getAttribute('aria-pressed') === 'true'")
        assert tab.complaints == []


async def test_a_host(fox: Firefox, browser: Browser, server: RunningServer) -> None:
    """Firefox and Chromium see a Firefox host; both ends outlive the worker's death; a reload goes live again."""
    host = await fox.open(f"{server.url}/studio", DESK, script=REMEMBER)
    await host.fill("studio-name", "Hanna")
    await host.click("studio-sign-in")
    await host.fill("studio-title", "Mugs tonight")
    await host.click("create-stream")
    await host.until(JOINED)
    await goes_live(host)
    url = await host.ask("document.querySelector('[data-testid=watch-link]').href")
    viewer = await watching(fox, url, PHONE)
    await watches(viewer)
    other = await open_watch(browser, server.url, url.rstrip("/").rpartition("/")[2], DESK)
    await picture_moves(other, "Chromium")

    rows = f"[...{shown('health-layers')}[0].rows].map((row) => row.dataset.active === 'true' && row.innerText)"
    assert len(await host.ask(rows)) == 3, "the made-up camera is large enough for three sizes"
    await host.until(f"{rows}.some((row) => /\\d+×\\d+.*\\d+.*bit/s.test(row))")
    await host.until(f"/[1-9].*bit/.test({shown('bitrate')}[0].textContent)")
    await host.until(f"{shown('health-viewers')}[0].textContent >= 2")

    for process in psutil.Process(server.process.pid).children(recursive=True):
        if any(each.laddr.port == int(server.url.rpartition(":")[2]) for each in process.net_connections("tcp")):
            process.kill()
    await viewer.until("window.connections.length > 1")
    await host.until("window.connections.length > 1")
    await watches(viewer)
    await picture_moves(other, "Chromium after the worker's death")

    await host.reload()
    await host.until(JOINED)
    await goes_live(host)
    await watches(viewer)
    await says(viewer, "there you are")
    await host.sees("chat-line", "there you are", count=1)
    assert [text for text in host.complaints + viewer.complaints if not excused(text)] == []


async def goes_live(host: Tab) -> None:
    await host.click("go-live")
    await host.until(f"{shown('studio-state')}[0].dataset.state === 'live' && {shown('preview')}[0].videoWidth > 0")


def excused(complaint: str) -> bool:
    """What Firefox itself says in the console while a server is away."""
    return any(words in complaint for words in ("ICE failed", "establish a connection", "interrupted while"))


async def test_the_pages(fox: Firefox, api: Api) -> None:
    """Nothing in the console, nothing wider than the window, nothing that axe finds; sheets and keys work."""
    axe = await asyncio.to_thread((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text)
    stage = await Stage.set(api)
    await stage.fill_showcase()
    await stage.ask("POST", "products/bag/pin")
    await stage.deal()
    for size in (PHONE, DESK):
        tab = await fox.open(api.url, size, script=axe)
        await tab.sees("home-stream", stage.host.name)
        await whole(tab, f"/ at {size}")
        await tab.go(stage.url)
        await tab.until(JOINED)
        await tab.sees("deal-buy")
        await whole(tab, f"/watch at {size}")
        await tab.click("product-card")
        await tab.sees("product-sheet", "Canvas tote")
        await whole(tab, f"the product's sheet at {size}")
        await tab.type(ESCAPE)
        await tab.until(f"!{shown('product-sheet')}.length")
        await tab.fill("chat-input", "by the keyboard")
        await tab.type(TAB)
        await tab.until("document.activeElement.matches('button:focus-visible')")

        await tab.go(f"{api.url}/studio#token={stage.host.token}")
        await tab.click("continue-stream")
        await tab.until(JOINED)
        await tab.sees("board-deal" if size == DESK else "tab-deals")
        await whole(tab, f"/studio at {size}")
        assert tab.complaints == []


async def whole(tab: Tab, what: str) -> None:
    wider = await tab.ask("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0, f"{what} is {wider} px wider than the window"
    assert await tab.ask(AXE) == [], what
