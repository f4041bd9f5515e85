"""A worker dies under a live show: host and viewer come back by themselves, and the chat is whole."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest
from playwright.async_api import Browser, Page, Response, WebSocket, expect
from redis.asyncio import Redis

from livecommerce import keys
from tests.api import Api
from tests.browser.pages import (
    DESK,
    PATIENCE_MS,
    PHONE,
    hears,
    line,
    open_page,
    open_watch,
    picture_moves,
    says,
    sign_in_to_studio,
    until,
)
from tests.running import RunningServer, running_server

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    options = ("--workers", "2", "--redis-url", valkey_url, "--secret", secrets.token_hex(32))
    with running_server(tmp_path_factory.mktemp("reconnect"), *options) as running:
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with Api(server.url) as client:
        yield client


def listeners(server: RunningServer) -> dict[int, psutil.Process]:
    """The server's processes by every TCP port that each listens on."""
    found = {}
    for process in psutil.Process(server.process.pid).children(recursive=True):
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                found[connection.laddr.port] = process
    return found


async def worker_of(redis: Redis, server: RunningServer, session: str) -> psutil.Process:
    """The process that has a media session: its id names the worker, whose private address is in Valkey."""
    address = await redis.get(keys.worker(session.partition(".")[0]))
    assert isinstance(address, bytes), session
    return listeners(server)[int(address.rpartition(b":")[2])]


class Connections:
    """What a page connects to from now on."""

    def __init__(self, page: Page) -> None:
        self.sockets: list[WebSocket] = []
        self.sessions: list[str] = []
        #: what the server said when a page asked whether it still has a session
        self.doubts: list[int] = []
        page.on("websocket", lambda socket: self.sockets.append(socket))
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        if response.status == 201 and "/whep/" in response.url:
            self.sessions.append(response.headers["location"].rpartition("/")[2])
        if response.request.method == "PATCH":
            self.doubts.append(response.status)


#: how long the picture stood still at most since this was asked last, in ms; the first time it begins to look
STOOD_STILL = """() => {
  const video = document.querySelector("video");
  if (window.still === undefined) {
    let last = performance.now();
    const look = () => {
      const now = performance.now();
      window.still = Math.max(window.still, now - last);
      last = now;
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
  const { still } = window;
  window.still = 0;
  return Math.round(still ?? 0);
}"""


async def kill(process: psutil.Process) -> None:
    """As if the machine had pulled the plug on it."""
    process.kill()
    await asyncio.to_thread(process.wait, 10)


async def test_workers_are_killed_under_a_live_show(
    browser: Browser, server: RunningServer, api: Api, redis: Redis
) -> None:
    """First the worker with the picture, then the other: nobody touches anything, no line is lost or doubled."""
    host = await open_page(browser, f"{server.url}/studio", DESK)
    stream_id = await sign_in_to_studio(host)
    await host.get_by_test_id("go-live").click()
    viewer = await open_watch(browser, server.url, stream_id, PHONE)
    connections = Connections(viewer)
    await viewer.reload()
    await picture_moves(viewer, "the viewer")
    await the_quality_is_told(viewer)
    await says(host, "line 0")
    await hears(viewer, "line 0")

    first = await worker_of(redis, server, connections.sessions[-1])
    second = next(p for p in listeners(server).values() if p.pid != first.pid)
    await viewer.evaluate(STOOD_STILL)
    for number, victim in enumerate((first, second), start=1):
        given = len(connections.sessions)
        await kill(victim)
        await said_in_the_end(host, f"line {number}")
        await hears(viewer, f"line {number}")
        if victim is first:

            async def watching_anew(given: int = given) -> bool:
                return len(connections.sessions) > given

            await until("the viewer asks for the picture anew", watching_anew)
        await expect(viewer.locator("body")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        await picture_moves(viewer, f"the viewer after death {number}")
        log.info("death %d: the picture stood still for %d ms", number, await viewer.evaluate(STOOD_STILL))
    assert 404 in connections.doubts, "the viewer waited for its browser to notice"
    assert len(connections.sockets) > 1, "one of the two had the viewer's room"
    for page in (host, viewer):
        await expect(page.get_by_test_id("chat-line")).to_contain_text(["line 0", "line 1", "line 2"])


async def the_quality_is_told(page: Page) -> None:
    """How many lines arrive, and by colour and words how well."""
    quality = page.get_by_test_id("quality")
    await expect(quality).to_have_text(re.compile(r"^\d+p$"), timeout=PATIENCE_MS)
    await expect(quality).to_have_attribute("data-level", re.compile("good|fair|poor"))
    judged = """() => [[0, 5], [0.02, 5], [0, 300]].map(([lossRatio, jitterMs]) => {
      document.querySelector("show-header").receive({ lossRatio, jitterMs, width: 1280, height: 720, bitrate: 1e6 });
      const { dataset, ariaLabel } = document.querySelector("[data-testid=quality]");
      return [dataset.level, ariaLabel];
    })"""
    good, fair, poor = await page.evaluate(judged)
    assert (good[0], fair[0], poor[0]) == ("good", "fair", "poor")
    assert len({good[1], fair[1], poor[1]}) == 3


async def said_in_the_end(page: Page, text: str) -> None:
    """Send a line until it is taken, as a person would: the words stay in the field until then."""
    field = page.get_by_test_id("chat-input")
    await field.fill(text)

    async def taken() -> bool:
        if await field.input_value():
            await page.get_by_test_id("chat-send").click()
        return bool(await line(page, text).count())

    await until(f"{text!r} is said", taken)
