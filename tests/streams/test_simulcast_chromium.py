"""A real Chromium sends three layers by the studio's own code; another sees them change without a freeze."""

from __future__ import annotations

import asyncio
import logging
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
from tests.streams.narrow_path import NarrowPath
from tests.streams.peers import Events

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CODE = Path(__file__).parents[2] / "livecommerce" / "web"
PAGE = """<!doctype html><meta charset="utf-8"><title>layers</title><link rel="icon" href="data:,">
<video id="v" autoplay playsinline muted style="width:320px"></video>
<script type="module">
import { WhepViewer } from "/web/media/whep.js";
import { WhipPublisher } from "/web/media/whip.js";
window.go = async (role, size) => {
  const options = { url: `/${role}/s1${size.path ?? ""}`, token: () => "" };
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
async def narrow(relay: Relay) -> AsyncIterator[NarrowPath]:
    path = NarrowPath(relay.port).start()
    yield path
    path.close()


@pytest.fixture
async def address(relay: Relay, narrow: NarrowPath) -> AsyncIterator[str]:
    def rewrite(stream: str, answer: str) -> str:
        return narrow.through(answer) if stream.endswith(".narrow") else answer

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async with front(relay, routes=[web.get("/layers", page), web.static("/web", CODE)], rewrite=rewrite) as url:
        yield f"{url}layers"


async def opened(browser: Browser, address: str, role: str, **size: object) -> Page:
    page = await browser.new_page()
    await page.goto(address)
    await page.wait_for_function("window.ready")
    await page.evaluate("([role, size]) => go(role, size)", [role, size])
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
    await opened(browser, address, "whip", width=896, height=672)
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


@pytest.mark.soak
async def test_a_narrow_path_gets_a_smaller_picture_and_the_large_one_again_when_it_is_wide(
    browser: Browser, address: str, relay: Relay, narrow: NarrowPath
) -> None:
    await opened(browser, address, "whip", width=896, height=672)
    poor = await opened(browser, address, "whep", path=".narrow")
    good = await opened(browser, address, "whep")

    async def layered() -> bool:
        return len(flowing(relay)) == 3

    await comes("all layers", layered)
    for viewer in (poor, good):
        await shows(viewer, relay, -1)
    rows = flowing(relay)
    narrow.bits_per_s = (rows[0]["bits_per_s"] + rows[1]["bits_per_s"]) * 0.6 + 100_000
    began_s = time.monotonic()
    await less(poor, rows[-1]["width"])
    told = f"down {time.monotonic() - began_s:.1f} s"

    async def a_while() -> bool:
        return time.monotonic() - began_s > 15

    await comes("a while", a_while)
    narrow.bits_per_s, began_s = None, time.monotonic()
    await shows(poor, relay, -1)
    freezes = (await picture(poor))["freezeCount"]
    told += f", up {time.monotonic() - began_s:.1f} s, {narrow.dropped} packets lost, {freezes} freezes"
    log.info("%s", told)
    switches = {row["layer_switches"] for row in relay.stats("s1", viewers=2)["viewers_in_detail"]}
    assert len(switches) == 2  # the good path's viewer changed only with the host


async def less(page: Page, width: int) -> None:
    """A smaller picture is seen."""

    async def look() -> bool:
        return 0 < (await picture(page)).get("frameWidth", 0) < width

    await comes("a smaller picture", look)


async def test_a_small_camera_sends_one_size(browser: Browser, address: str, relay: Relay) -> None:
    host = await opened(browser, address, "whip", width=640, height=480)

    async def sent() -> bool:
        return relay.stats("s1").get("packets_received", 0) > 20

    await comes("media", sent)
    assert len(await host.evaluate("stats()")) == 1
    assert len(relay.stats("s1")["layers"]) == 1
    await a_doubt_ends_only_what_is_gone(host, relay)


async def a_doubt_ends_only_what_is_gone(page: Page, relay: Relay) -> None:
    """Asked whether it has the session, the relay says so, and nothing changes; else the page connects anew."""
    [session] = relay._sessions
    await page.evaluate("peer.doubt()")
    assert await page.evaluate("peer.state") == "connected"
    assert list(relay._sessions) == [session]
    # As if the process had died: nobody says goodbye.
    del relay._sessions[session]

    async def another() -> bool:
        return bool(await page.evaluate("peer.state") == "connected" and len(relay._sessions) == 1)

    await page.evaluate("peer.doubt()")
    await comes("another session", another)
