"""Retake the studio's pictures in docs/screens: ``python -m tests.browser.screens_studio``.

A real server and a real Chromium. The half hour before the pictures is written into the server's Valkey (counts,
journal, past deals), so that figures and orders look as in a show that has gone on for a while; the rest is played.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, BrowserContext, Page
from redis.asyncio import Redis

from deals import keys as deal_keys
from livecommerce import keys
from livecommerce.analytics import ADD, KEPT_S
from livecommerce.books import embedded_url
from livecommerce.scripting import ScriptRunner
from livecommerce.series import MOST_BUCKETS, WIDTH_MS
from tests.api import Api, Person
from tests.browser.camera import write_camera
from tests.browser.chromium import chromium
from tests.browser.stage import GOODS, Stage, eur
from tests.running import running_server

SCREENS = Path(__file__).parents[2] / "docs/screens"
SIZES = {"desktop": (1280, 800), "tablet": (1024, 768), "phone": (390, 844)}
PATIENCE_MS = 60_000
NAMES = ("Ada", "Bram", "Chloé", "Dirk", "Eva", "Finn", "Gül", "Hugo", "Inès", "Joris", "Kim", "Lotte")
TALK = (
    "good evening!",
    "is the glaze food safe?",
    "love the red one",
    "does it ship to Ghent?",
    "got one, thank you!",
)
#: before a picture the encoder has had time to climb
SETTLED_S = 14
BROKEN = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };"


async def write_past(redis: Redis, show: Stage) -> None:
    """Half an hour: viewers come in waves, three deals, their orders in the journal."""
    now_ms, chance = int(time.time() * 1000), random.Random(7)
    buckets = []
    for ago in range(1800, 30, -10):
        wave = 120 * (1 - math.exp(-(1800 - ago) / 300)) + 30 * math.sin(ago / 140)
        buckets.append([now_ms - ago * 1000, max(3, int(wave + chance.uniform(-6, 6))), chance.randint(0, 14)])
    told = {"buckets": buckets, "visitors": [f"v{n}" for n in range(412)], "views": []}
    for name, looks in (("mug", 184), ("bag", 121), ("lamp", 77)):
        told["views"].append([name, [f"v{n}" for n in range(looks)]])
    names = [keys.analytics(show.stream_id), keys.visitors(show.stream_id), deal_keys.showcase(show.stream_id)]
    names += [keys.product_views(show.stream_id, str(name)) for name, _ in told["views"]]
    await ScriptRunner(redis)(ADD, names, [WIDTH_MS, MOST_BUCKETS, KEPT_S, msgspec.json.encode(told)])
    for (_, title, price, _, _), ago in zip(GOODS, (1500, 900, 330), strict=True):
        opened_ms = now_ms - ago * 1000
        deal_id = await plan(show, title, price * 7 // 10, opens_at_ms=opened_ms, stock=40)
        for number in range(34):
            at_ms = opened_ms + int(120_000 * chance.random() ** 2)
            await write_order(redis, show.stream_id, deal_id, title, price * 7 // 10, number, at_ms)


async def plan(show: Stage, title: str, amount: int, **changes: Any) -> str:
    """A deal that opens by the clock; its id."""
    terms = {"stock": 20, "per_buyer_limit": 2, "duration_s": 120, "hold_s": 90}
    return str((await show.ask("POST", "deals", {"title": title, "price": eur(amount)} | terms | changes))["id"])


async def write_order(redis: Redis, stream: str, deal: str, title: str, amount: int, number: int, at_ms: int) -> None:
    """An order as the journal would have it: claimed, and most of them paid."""
    buyer = {"id": f"b{number}", "name": NAMES[number % len(NAMES)]}
    order = {"id": f"{stream}.{deal}.o{number}", "deal_id": deal, "stream_id": stream, "title": title, "buyer": buyer}
    order |= {"units": 1, "unit_price": eur(amount), "total": eur(amount), "held_until_ms": at_ms, "placed_ms": at_ms}
    for what, state in (("claimed", "held"), ("paid", "paid") if number % 5 else ("expired", "expired")):
        fields = {"at_ms": at_ms, "what": what, "order": msgspec.json.encode(order | {"state": state})}
        await redis.xadd(deal_keys.journal(stream), fields)  # type: ignore[arg-type]


async def window(browser: Browser, size: str, **options: Any) -> Page:
    """A page of that size; the host's storage comes along by ``storage_state``."""
    width, height = SIZES[size]
    phone = size == "phone"
    options = {"locale": "en-US", **options}
    script = options.pop("script", None)
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone, **options
    )
    if script:
        await context.add_init_script(script)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


async def take(page: Page, name: str) -> None:
    """Write one picture."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    path = SCREENS / f"studio-{name}.png"
    await page.screenshot(path=path)
    print(f"{path.name}  {path.stat().st_size // 1024} KB", flush=True)  # noqa: T201 - a script's progress


async def enter(page: Page, url: str) -> None:
    """Through the door into a new show."""
    await page.goto(f"{url}/studio")
    await page.get_by_test_id("studio-name").fill("Hanna")
    await take_once(page, "door")
    await page.get_by_test_id("studio-sign-in").click()
    await page.get_by_test_id("studio-title").fill("Mugs and more, live from the kiln")
    await take_once(page, "door-show")
    await page.get_by_test_id("create-stream").click()
    await page.locator("body[data-room=joined]").wait_for()


_taken: set[str] = set()


async def take_once(page: Page, name: str) -> None:
    if name not in _taken:
        _taken.add(name)
        await take(page, name)


async def turn(page: Page, name: str, then: Callable[[], Awaitable[Any]] | None = None) -> None:
    """Bring a part to the front, on whichever size."""
    for prefix in ("tab", "part"):
        button = page.get_by_test_id(f"{prefix}-{name}")
        if await button.is_visible():
            await button.click()
            break
    if then:
        await then()


async def audience(show: Stage, page: Page) -> None:
    """Viewers who talk; what ends with a question mark the host takes up."""
    for name, text in zip(NAMES, TALK, strict=False):
        message_id = await show.says(name, text)
        if text.endswith("?"):
            await show.do(show.host, "question.ask", message_id=message_id)
    await page.get_by_test_id("chat-line").nth(len(TALK) - 1).wait_for(state="attached")


async def desk(browser: Browser, show_of: Callable[[Page], Awaitable[Stage]], url: str, redis: Redis) -> None:
    """The desk from before the show to its end."""
    page = await window(browser, "desktop")
    await enter(page, url)
    await take(page, "ready")
    show = await show_of(page)
    await show.fill_showcase()
    await write_past(redis, show)
    await page.reload()
    await page.get_by_test_id("go-live").click()
    await page.locator("[data-testid=studio-state][data-state=live]").wait_for()
    await audience(show, page)
    await asyncio.sleep(SETTLED_S)
    soon = int(time.time() * 1000) + 45_000
    await plan(show, "Desk lamp", 3900, opens_at_ms=soon)
    running = await show.deal(stock=20)
    await show.buys(running, *NAMES[:9])
    await show.buys(running, *NAMES[9:11], pay=False)
    await asyncio.sleep(2)
    await take(page, "desktop")
    await show.buys(running, *NAMES[:8])
    await page.get_by_test_id("low-stock").wait_for()
    await take(page, "low-stock")
    for part in ("products", "orders", "insights"):
        await turn(page, part)
        await asyncio.sleep(1)
        await take(page, part)
    await turn(page, "deals")
    await room_parts(page, show)
    await page.get_by_test_id("shortcuts").click()
    await take(page, "keyboard")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("share-code").click()
    await take(page, "share")
    await page.keyboard.press("Escape")
    await small(browser, page, url)
    await page.get_by_test_id("end-stream").click()
    await take(page, "end")
    await page.get_by_test_id("end-confirm").click()
    await page.get_by_test_id("studio-ended").wait_for()
    await asyncio.sleep(1)
    await take(page, "ended")
    await page.context.close()


async def room_parts(page: Page, show: Stage) -> None:
    """Questions, a poll with votes, the room's rules."""
    await turn(page, "questions")
    await take(page, "questions")
    await turn(page, "poll")
    await page.get_by_test_id("poll-question").fill("Which colour next?")
    for place, answer in enumerate(("Cobalt", "Moss")):
        await page.get_by_test_id("poll-answer").nth(place).fill(answer)
    await page.get_by_test_id("poll-more").click()
    await page.get_by_test_id("poll-answer").nth(2).fill("Terracotta")
    await page.get_by_test_id("poll-open").click()
    poll = await page.get_by_test_id("poll-result").get_attribute("data-id")
    for number, name in enumerate(NAMES[:9]):
        person = await show.person(name)
        await show.do(person, "poll.vote", poll_id=poll, answer=(0, 0, 1, 0, 2, 0, 1, 2, 0)[number])
    await page.get_by_test_id("poll-votes").filter(has_text="9").wait_for()
    await take(page, "poll")
    await turn(page, "rules")
    for word in ("scam", "rotten"):
        await page.get_by_test_id("word-new").fill(word)
        await page.get_by_test_id("word-add").click()
        await page.get_by_test_id("word").filter(has_text=word).wait_for()
    await page.get_by_test_id("moderator-new").select_option(label="Bram")
    await page.get_by_test_id("moderator-add").click()
    await page.get_by_test_id("moderator").wait_for()
    await take(page, "room")
    await turn(page, "chat")


async def small(browser: Browser, page: Page, url: str) -> None:
    """The same show on a phone (in Dutch) and a tablet, as a second window of the host's."""
    state = await page.context.storage_state()
    for size, parts in (("phone", ("show", "deals", "products", "orders", "insights", "chat")), ("tablet", ("deals",))):
        other = await window(browser, size, storage_state=state, locale="nl-NL" if size == "phone" else "en-US")
        await other.goto(f"{url}/studio")
        await other.locator("body[data-room=joined]").wait_for()
        await asyncio.sleep(2)
        for part in parts:
            await turn(other, part)
            await asyncio.sleep(0.8)
            await take(other, size if part == "deals" else f"{size}-{part}")
        await other.context.close()


async def refused(browser: Browser, url: str) -> None:
    """A host whose camera is blocked."""
    page = await window(browser, "phone", script=BROKEN)
    await enter(page, url)
    await page.get_by_test_id("go-live").click()
    await page.locator("[data-testid=studio-refusal][data-code]").wait_for()
    await take(page, "phone-camera-blocked")
    await page.context.close()


async def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        redis = Redis.from_url(embedded_url(Path(folder) / "data"))
        async with chromium(write_camera(Path(folder))) as browser, Api(server.url) as api:

            async def show_of(page: Page) -> Stage:
                saved = await page.evaluate("() => JSON.parse(localStorage.getItem('livecommerce.host'))")
                link = await page.get_by_test_id("watch-link").get_attribute("href") or ""
                return Stage(api, Person(saved["token"], saved["user"]["id"], "Hanna"), link.rsplit("/", 1)[-1])

            await desk(browser, show_of, server.url, redis)
            await refused(browser, server.url)
        await redis.aclose()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        SCREENS = Path(sys.argv[1])
    asyncio.run(main())
