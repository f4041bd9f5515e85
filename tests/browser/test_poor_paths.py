"""Chromium behind a lossy or narrow cable: two machines, the kernel's own losses and queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from streams.relay import Relay
from tests.browser.chromium import ARGUMENTS, require_chromium
from tests.streams.front import front
from tests.streams.namespaces import Machine, machines
from tests.streams.peers import until
from tests.streams.test_machines import relay
from tests.streams.test_simulcast_chromium import CODE, comes, picture
from tests.streams.test_simulcast_chromium import PAGE as LAYERS_PAGE

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.soak, pytest.mark.browser, pytest.mark.timeout(400)]
__all__ = ["machines", "relay"]  # the fixtures

#: how long a picture has to go on without a freeze
WATCHED_S = 30.0


@pytest.fixture
async def address(machines: tuple[Machine, Machine], relay: Relay) -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=LAYERS_PAGE, content_type="text/html")

    routes = [web.get("/layers", page), web.static("/web", CODE)]
    async with front(relay, routes=routes, host=machines[0].address) as url:
        yield url


@contextlib.asynccontextmanager
async def browser_on(machine: Machine, folder: Path, address: str) -> AsyncIterator[Browser]:
    """A Chromium all of whose sockets are on that machine; it believes this address to be safe for cameras."""
    require_chromium()
    path = machine.command(str(shutil.which("chromium")), folder)
    safe = f"--unsafely-treat-insecure-origin-as-secure={address.rstrip('/')}"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, safe], headless=True)
        try:
            yield running
        finally:
            await running.close()


@pytest.fixture
async def browsers(
    machines: tuple[Machine, Machine], address: str, tmp_path: Path
) -> AsyncIterator[tuple[Browser, Browser]]:
    """One on each machine."""
    async with browser_on(machines[0], tmp_path, address) as one, browser_on(machines[1], tmp_path, address) as two:
        yield one, two


async def opened(browser: Browser, address: str, role: str) -> Page:
    page = await browser.new_page()
    await page.goto(address)
    await page.evaluate("role => go(role)", role)
    return page


async def seen(page: Page) -> dict[str, Any]:
    return dict((await page.evaluate("stats()")).get("video", {}))


@pytest.mark.parametrize("lossy", ["host", "viewer"])
async def test_a_twentieth_lost_freezes_nothing(
    machines: tuple[Machine, Machine], relay: Relay, address: str, browsers: tuple[Browser, Browser], lossy: str
) -> None:
    """Both ends of the cable lose 5 %: media, requests for it and reports. A busy machine freezes by itself."""
    near, far = browsers
    host = await opened(far if lossy == "host" else near, address, "whip")
    await until("media", lambda: relay.stats("s1").get("packets_received", 0) > 100)
    viewer = await opened(near if lossy == "host" else far, address, "whep")

    async def plays() -> bool:
        return bool((await seen(viewer)).get("framesDecoded", 0) > 60)

    await comes("a picture", plays)
    for machine in machines:
        machine.loses(0.05)
    freezes: list[int] = []
    for _ in range(3):
        before = await seen(viewer)
        await asyncio.sleep(WATCHED_S)  # that nothing happens takes time
        after = await seen(viewer)
        counts = {
            name: after[name] - before[name] for name in ("freezeCount", "framesDecoded", "packetsLost", "pliCount")
        }
        stats = relay.stats("s1")
        log.info("5 %% lost at the %s: %s, %s", lossy, counts, {
            name: stats[name] for name in ("packets_lost", "packets_recovered", "nacks_sent", "retransmissions_sent")
        })  # fmt: skip
        freezes.append(counts["freezeCount"])
        if not freezes[-1]:
            break
    assert 0 in freezes
    assert counts["framesDecoded"] > 10 * WATCHED_S
    assert host.url == viewer.url


async def test_a_narrow_place_costs_size_and_not_the_picture(
    machines: tuple[Machine, Machine], relay: Relay, address: str, browsers: tuple[Browser, Browser]
) -> None:
    """A smaller picture within 5 s; the largest again within 20 s; who is on the near side sees nothing of it."""
    pages = []
    for browser, role in ((browsers[0], "whip"), (browsers[1], "whep"), (browsers[0], "whep")):
        page = await browser.new_page()
        await page.goto(f"{address}layers")
        await page.wait_for_function("window.ready")
        await page.evaluate("([role, size]) => go(role, size)", [role, {"width": 896, "height": 672}])
        pages.append(page)
    _, poor, good = pages

    def layers() -> list[dict[str, Any]]:
        return [row for row in relay.stats("s1").get("layers", []) if row["active"] and row["width"]]

    await until("all layers", lambda: len(layers()) == 3, 60)

    async def top(page: Page) -> bool:
        return bool((await picture(page)).get("frameWidth") == layers()[-1]["width"])

    for page in (poor, good):
        await comes("the largest", lambda page=page: top(page))
    rows = layers()
    wide = rows[-1]["width"]
    machines[0].carries(round((rows[0]["bits_per_s"] + rows[1]["bits_per_s"]) * 0.6 + 100_000))
    freezes, began_s = (await picture(poor))["freezeCount"], time.monotonic()

    async def smaller() -> bool:
        return 0 < (await picture(poor)).get("frameWidth", 0) < wide

    await comes("a smaller picture", smaller)
    down_s = time.monotonic() - began_s
    until_down = (await picture(poor))["freezeCount"] - freezes
    await asyncio.sleep(WATCHED_S)
    narrow = (await picture(poor))["freezeCount"] - freezes - until_down
    machines[0].carries(None)
    began_s = time.monotonic()
    await comes("the largest again", lambda: top(poor))
    up_s = time.monotonic() - began_s
    details = relay.stats("s1", viewers=2)["viewers_in_detail"]
    told = [(row["layer_switches"], row["packets_lost"]) for row in details]
    log.info("down %.1f s (%d freezes until then, %d in the 30 s after), up %.1f s", down_s, until_down, narrow, up_s)
    log.info("switches and losses of each viewer: %s", told)
    assert down_s < 5
    assert up_s < 20
