"""Retake the pictures in docs/screens: ``python -m tests.browser.screens`` (``make screens``).

A real server with the robot show, a real Chromium: the viewer's pages show the demo, the studio shows a host with
Chromium's fake camera. Each picture waits for what it is to show: a moving picture, an open deal, talk.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.api import Api, Person
from tests.browser.chromium import chromium
from tests.running import running_server

SCREENS = Path(__file__).parents[2] / "docs/screens"
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
#: a robot's deal comes about every minute
PATIENCE_MS = 120_000
MOVING = "() => document.querySelector('[data-testid=video]')?.getVideoPlaybackQuality().totalVideoFrames > 30"
TALK = "() => document.querySelectorAll('[data-testid=chat-line]').length >= 4"


async def page_of(browser: Browser, size: str) -> Page:
    """A new page of that size, in English, with its own storage."""
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        locale="en-US",
        is_mobile=size == "phone",
        has_touch=size == "phone",
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


async def take(page: Page, name: str) -> None:
    """Write one picture."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    path = SCREENS / f"{name}.png"
    await page.screenshot(path=path)
    print(f"{path.name}  {path.stat().st_size // 1024} KB", flush=True)  # noqa: T201 - a script's progress


async def demo_stream(api: Api) -> str:
    """The robot's stream, once it is live."""
    while True:
        answer = await api.call("GET", "/api/v1/streams")
        live = [stream["id"] for stream in answer.body["items"] if stream["state"] == "live"]
        if live:
            return str(live[0])
        await asyncio.sleep(0.2)


async def take_home(browser: Browser, url: str) -> None:
    for size in SIZES:
        page = await page_of(browser, size)
        await page.goto(url)
        await page.get_by_test_id("home-stream").first.wait_for()
        await take(page, f"home-{size}")
        await page.context.close()


async def take_watch(browser: Browser, url: str, stream_id: str) -> None:
    pages = {size: await page_of(browser, size) for size in SIZES}
    for page in pages.values():
        await page.goto(f"{url}/watch/{stream_id}")
    for size, page in pages.items():
        await page.wait_for_function(MOVING)
        await page.wait_for_function(TALK)
        await page.locator("[data-testid=deal-buy]:not([disabled])").wait_for()
        await take(page, f"watch-{size}")
    await pages["phone"].get_by_test_id("deal-buy").click()
    await pages["phone"].get_by_test_id("order-hold").wait_for()
    await take(pages["phone"], "watch-phone-held")
    await pages["phone"].get_by_test_id("order-pay").click()
    await pages["phone"].get_by_test_id("order-receipt").wait_for()
    await take(pages["phone"], "watch-phone-receipt")
    for page in pages.values():
        await page.context.close()


async def host_a_show(page: Page, api: Api, url: str) -> None:
    """A host with a live picture, a product, an open deal and some buyers."""
    await page.goto(f"{url}/studio")
    await page.get_by_test_id("studio-name").fill("Hanna")
    await page.get_by_test_id("studio-sign-in").click()
    await page.get_by_test_id("studio-title").fill("Mugs and more, live from the kiln")
    await page.get_by_test_id("create-stream").click()
    await page.get_by_test_id("go-live").click()
    await page.locator("[data-testid=studio-state][data-state=live]").wait_for()
    link = await page.get_by_test_id("watch-link").get_attribute("href")
    stream_id = (link or "").rstrip("/").rsplit("/", 1)[-1]
    tab = page.get_by_test_id("tab-deals")
    if await tab.is_visible():
        await tab.click()
    for field, value in (("title", "Blue mug"), ("price", "12.50"), ("units", "8"), ("limit", "2")):
        await page.get_by_test_id(f"deal-{field}").fill(value)
    await page.get_by_test_id("deal-open").click()
    # announced first, open a moment later: only then it sells
    await page.locator("[data-testid=board-state][data-state=open]").first.wait_for(state="attached")
    deals = (await api.call("GET", f"/api/v1/streams/{stream_id}/deals")).body["items"]
    for name in ("Ada", "Bram", "Chloé"):
        await buy(api, await api.guest(name), stream_id, deals[0]["id"])


async def buy(api: Api, person: Person, stream_id: str, deal_id: str) -> None:
    """One unit, paid."""
    order = await api.claim(person, stream_id, deal_id)
    await api.call("POST", f"/api/v1/orders/{order.body['id']}/pay", person, {"payment_token": "pm_ok"})


async def take_studio(browser: Browser, api: Api, url: str) -> None:
    for size in SIZES:
        page = await page_of(browser, size)
        await host_a_show(page, api, url)
        await page.wait_for_function("() => document.querySelectorAll('[data-testid=order-row]').length >= 3")
        if await page.get_by_test_id("tab-show").is_visible():
            await page.get_by_test_id("tab-show").click()
        await page.evaluate("() => scrollTo(0, 0)")
        await take(page, f"studio-{size}")
        await page.context.close()


async def main(names: set[str]) -> None:
    """Take the pictures named (home, watch, studio), or all."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), "--demo") as server:
        async with chromium() as browser, Api(server.url) as api:
            stream_id = await demo_stream(api)
            if "home" in names:
                await take_home(browser, server.url)
            if "watch" in names:
                await take_watch(browser, server.url, stream_id)
            if "studio" in names:
                await take_studio(browser, api, server.url)


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or {"home", "watch", "studio"}))
