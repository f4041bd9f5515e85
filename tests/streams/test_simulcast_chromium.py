"""A real Chromium sends three layers by the studio's own code; another sees them change without a freeze."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

from streams.layers import LayerChoice
from streams.relay import Relay
from tests.streams.front import front
from tests.streams.peers import Events

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CODE = Path(__file__).parents[2] / "livecommerce" / "web"
PAGE = """<!doctype html><meta charset="utf-8"><title>layers</title><link rel="icon" href="data:,">
<video id="v" autoplay playsinline muted style="width:320px"></video>
<script type="module">
import { WhepViewer } from "/web/media/whep.js";
import { WhipPublisher } from "/web/media/whip.js";
window.go = async (role, size) => {
  const options = { url: `/${role}/s1`, token: () => "" };
  if (role === "whip") {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, frameRate: 15 }, audio: true });
    window.peer = new WhipPublisher({ stream, ...options });
  } else {
    window.peer = new WhepViewer(options);
    peer.addEventListener("media", ({ detail }) => (document.querySelector("#v").srcObject = detail.stream));
  }
  peer.start();
};
window.stats = async () => {
  const rows = peer.pc ? [...(await peer.pc.getStats()).values()] : [];
  return rows.filter((row) => row.kind === "video" && ["inbound-rtp", "outbound-rtp"].includes(row.type));
};
window.ready = true;
</script>"""


@pytest.fixture
async def relay(events: Events) -> AsyncIterator[Relay]:
    relay = Relay(events, worker_id="w1", bind_host="127.0.0.1", port=0, advertise=["127.0.0.1"])
    await relay.start()
    yield relay
    await relay.aclose()
    assert relay.failures == 0


@pytest.fixture
async def address(relay: Relay) -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async with front(relay, routes=[web.get("/layers", page), web.static("/web", CODE)]) as url:
        yield f"{url}layers"


async def opened(browser: Browser, address: str, role: str, width: int = 0, height: int = 0) -> Page:
    page = await browser.new_page()
    await page.goto(address)
    await page.wait_for_function("window.ready")
    await page.evaluate("([role, size]) => go(role, size)", [role, {"width": width, "height": height}])
    return page


async def comes(what: str, look: Callable[[], Any], seconds: float = 60) -> Any:
    """Poll a coroutine until it is true."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.05)
    return found


async def picture(page: Page) -> dict[str, Any]:
    """The viewer's statistics of the picture."""
    rows: list[dict[str, Any]] = await page.evaluate("stats()")
    return rows[0] if rows else {}


def flowing(relay: Relay) -> list[dict[str, Any]]:
    """The layers that the host sends now, the smallest first: a busy machine's Chromium leaves out the largest."""
    return [row for row in relay.stats("s1").get("layers", []) if row["active"] and row["width"]]


async def shows(page: Page, relay: Relay, place: int) -> dict[str, Any]:
    """The layer at this place is seen, and goes on for some frames."""
    frames: list[int] = []

    async def look() -> dict[str, Any]:
        now = await picture(page)
        if now.get("frameWidth") != flowing(relay)[place]["width"]:
            frames.clear()
            return {}
        frames.append(now["framesDecoded"])
        return now if now["framesDecoded"] >= frames[0] + 8 else {}

    found: dict[str, Any] = await comes(f"the layer {place}", look)
    return found


def limit(relay: Relay, rank: int | None) -> None:
    """As if the viewers' paths carried no more than this."""
    broadcast = relay._broadcasts["s1"]
    for viewer in broadcast.viewers:
        viewer.choice = viewer.choice or LayerChoice()
        viewer.choice.limit = rank
    broadcast.picture._retarget_all(time.monotonic())


async def test_layers_change_without_a_freeze(browser: Browser, address: str, relay: Relay) -> None:
    """A busy machine freezes by itself now and then; changes that froze the picture would do so each time."""
    await opened(browser, address, "whip", 896, 672)
    viewer = await opened(browser, address, "whep")

    async def layered() -> bool:
        return len(flowing(relay)) > 1

    await comes("several layers", layered)
    before = await shows(viewer, relay, -1)
    for _ in range(3):
        for rank in (0, None, 0, None):
            limit(relay, rank)
            after = await shows(viewer, relay, -1 if rank is None else rank)
        if after["freezeCount"] == before["freezeCount"]:
            break
        before = after
    else:
        pytest.fail("each round froze")
    (row,) = relay.stats("s1", viewers=1)["viewers_in_detail"]
    assert row["layer_switches"] >= 4


async def test_a_small_camera_sends_one_size(browser: Browser, address: str, relay: Relay) -> None:
    host = await opened(browser, address, "whip", 640, 480)

    async def sent() -> bool:
        return relay.stats("s1").get("packets_received", 0) > 20

    await comes("media", sent)
    assert len(await host.evaluate("stats()")) == 1
    assert len(relay.stats("s1")["layers"]) == 1
