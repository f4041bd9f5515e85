"""Opening pages as a person would: a phone or a desk, in a language, failing when a page's script throws."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.api import Api, Person

#: Chromium, server and Valkey share two cores with whatever else runs: waits are long, passing is quick
PATIENCE_MS = 30_000
PHONE = (390, 844)
DESK = (1280, 800)
#: for a flow that is proved in both
SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])

#: A viewer whose network is late with the news: replies arrive, events do not while ``window.deaf`` is set.
DEAF = """
const Real = WebSocket;
window.WebSocket = class extends Real {
  set onmessage(listener) {
    super.onmessage = (message) => {
      if (!window.deaf) return listener(message);
      const all = [JSON.parse(message.data)].flat().filter((each) => each.re !== undefined);
      if (all.length) listener({ data: JSON.stringify(all) });
    };
  }
};
"""


async def until(what: str, probe: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_MS / 1000) -> Any:
    """Poll until the probe is true; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = await probe()
        if value:
            return value
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.1)


async def window(
    browser: Browser, size: tuple[int, int] = DESK, *, locale: str = "en-US", script: str | None = None
) -> BrowserContext:
    """A browser window of its own, with its own storage; ``script`` runs before every page's own."""
    phone = size == PHONE
    viewport = {"width": size[0], "height": size[1]}
    context = await browser.new_context(viewport=viewport, locale=locale, is_mobile=phone, has_touch=phone)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    if script:
        await context.add_init_script(script)
    return context


async def open_page(
    browser: Browser, url: str, size: tuple[int, int] = DESK, *, locale: str = "en-US", script: str | None = None
) -> Page:
    """A page in a window of its own; an exception in its scripts fails the test."""
    context = await window(browser, size, locale=locale, script=script)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"{url} raised {error}"))
    await page.goto(url)
    return page


async def open_watch(browser: Browser, url: str, stream_id: str, size: tuple[int, int] = PHONE, **options: Any) -> Page:
    """A viewer who has joined the room: the chat takes words and the deal takes taps."""
    page = await open_page(browser, f"{url}/watch/{stream_id}", size, **options)
    await joined(page)
    return page


async def joined(page: Page) -> None:
    """The page has joined its room: it sends and hears."""
    await expect(page.locator("body")).to_have_attribute("data-room", "joined", timeout=PATIENCE_MS)


async def picture_moves(page: Page, who: str) -> None:
    """Frames are shown, and more of them a moment later."""
    # a page that has just been opened has no picture yet
    frames = "document.querySelector('[data-testid=video]')?.getVideoPlaybackQuality().totalVideoFrames ?? 0"
    least = int(await page.evaluate(frames))

    async def grown() -> bool:
        nonlocal least
        now = int(await page.evaluate(frames))
        # a new connection counts anew
        least = min(least, now)
        return now > least + 10

    await until(f"the picture of {who} moves", grown)


async def who_is(page: Page) -> Person:
    """The guest that a viewer's page has signed in as."""
    saved = json.loads(await page.evaluate("() => localStorage.getItem('livecommerce.viewer')"))
    return Person(saved["token"], saved["user"]["id"], saved["user"]["name"])


async def says(page: Page, text: str) -> None:
    """Type a line and send it."""
    await page.get_by_test_id("chat-input").fill(text)
    await page.get_by_test_id("chat-send").click()


def line(page: Page, text: str) -> Locator:
    """The chat's lines with these words."""
    return page.get_by_test_id("chat-line").filter(has_text=text)


async def hears(page: Page, text: str) -> None:
    """The words appear, once."""
    await expect(line(page, text)).to_have_count(1, timeout=PATIENCE_MS)


async def told(note: Locator, code: str, words: str) -> None:
    """A refusal is shown: its code for support, and words for people."""
    await expect(note).to_have_attribute("data-code", code, timeout=PATIENCE_MS)
    await expect(note).to_be_visible()
    await expect(note).to_contain_text(words)


async def sign_in_to_studio(page: Page, name: str = "Hanna", title: str = "Mugs tonight") -> str:
    """Through the studio's door into a new show; its id."""
    await page.get_by_test_id("studio-name").fill(name)
    await page.get_by_test_id("studio-sign-in").click()
    await page.get_by_test_id("studio-title").fill(title)
    await page.get_by_test_id("create-stream").click()
    await joined(page)
    return await show_of(page)


async def show_of(page: Page) -> str:
    """The id of the show that a studio page runs."""
    link = page.get_by_test_id("watch-link")
    await expect(link).to_have_attribute("href", re.compile("/watch/"), timeout=PATIENCE_MS)
    return (await link.get_attribute("href") or "").rstrip("/").rsplit("/", 1)[-1]


async def orders_of_show(api: Api, host: Person, stream_id: str) -> list[dict[str, Any]]:
    """Every order of the show, as its journal tells it: the last state of each."""
    answer = await api.call("GET", f"/api/v1/streams/{stream_id}/orders?limit=500", host)
    assert answer.status == 200, answer
    return list({entry["order"]["id"]: entry["order"] for entry in answer.body["items"]}.values())
