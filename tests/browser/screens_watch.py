"""The pictures of what viewers see: home and the show in all its states, on a phone and a desk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.api import Api
from tests.browser.pages import DESK, PHONE, joined, window
from tests.browser.stage import Stage

SIZES = {"phone": PHONE, "desktop": DESK}
#: the camera's picture has climbed to its quality, toasts have come and gone
SETTLED_S = 6
TALK = (
    ("Ada", "good evening from Ghent!"),
    ("Bram", "that glaze is gorgeous"),
    ("Chloé", "is it safe for the dishwasher?"),
    ("Dirk", "got the bag last week, still love it"),
    ("Eva", "how much do they hold?"),
)

Take = Callable[[Page, str], Awaitable[None]]


async def go_live(browser: Browser, stage: Stage) -> Page:
    """The host's own page, sending the camera."""
    page = await (await window(browser, DESK)).new_page()
    await page.goto(f"{stage.api.url}/studio#token={stage.host.token}")
    await page.get_by_test_id("continue-stream").first.click()
    await page.get_by_test_id("go-live").click()
    await page.locator("[data-testid=studio-state][data-state=live]").wait_for()
    return page


async def viewers(browser: Browser, url: str) -> dict[str, Page]:
    """One viewer a size."""
    pages = {}
    for size, dimensions in SIZES.items():
        pages[size] = await (await window(browser, dimensions)).new_page()
        await pages[size].goto(url)
    return pages


async def take_all(pages: dict[str, Page], take: Take, state: str) -> None:
    for size, page in pages.items():
        await take(page, f"watch-{size}-{state}".removesuffix("-deal"))


async def talk(stage: Stage, pages: dict[str, Page]) -> None:
    """Talk with an answer, a mention, a question and a bought mug."""
    ids = {name: await stage.says(name, text) for name, text in TALK}
    await stage.do(await stage.person("Chloé"), "question.ask", message_id=ids["Chloé"])
    name = await pages["phone"].evaluate("JSON.parse(localStorage.getItem('livecommerce.viewer')).user.name")
    await stage.says("Hanna", "yes it is, and the oven too!", reply_to=ids["Chloé"])
    await stage.says("Finn", f"@{name} welcome!")
    for page in pages.values():
        await page.get_by_test_id("chat-line").filter(has_text="welcome!").wait_for()


async def take_show(browser: Browser, api: Api, take: Take) -> None:
    """From before the show to after it."""
    stage = await Stage.set(api)
    await stage.fill_showcase()
    pages = await viewers(browser, stage.url)
    for page in pages.values():
        await joined(page)
    await take_all(pages, take, "soon")
    host = await go_live(browser, stage)
    for page in pages.values():
        await page.locator("body[data-state=live]").wait_for()
    await talk(stage, pages)
    await asyncio.sleep(SETTLED_S)
    await take_all(pages, take, "chat")
    await take_waiting(browser, stage, take)
    await shop(stage, pages, take)
    await host.context.close()
    for page in pages.values():
        await page.locator("body[data-state=interrupted]").wait_for()
    await take_all(pages, take, "interrupted")
    await stage.api.call("DELETE", f"/api/v1/streams/{stage.stream_id}", stage.host)
    for page in pages.values():
        await page.get_by_test_id("end-product").first.wait_for()
    await take_all(pages, take, "ended")
    for page in pages.values():
        await page.context.close()


async def take_waiting(browser: Browser, stage: Stage, take: Take) -> None:
    """The show's poster behind the words, while the picture is on its way."""
    for size, dimensions in SIZES.items():
        page = await (await window(browser, dimensions)).new_page()
        await page.route("**/whep/**", lambda route: route.abort())
        await page.goto(stage.url)
        await page.get_by_test_id("backdrop").wait_for()
        await page.get_by_test_id("chat-line").filter(has_text="welcome!").wait_for()
        await take(page, f"watch-{size}-reconnecting")
        await page.context.close()


async def shop(stage: Stage, pages: dict[str, Page], take: Take) -> None:
    """Products, a poll, a deal from its opening to the receipt, sold out, orders."""
    for page in pages.values():
        await page.get_by_test_id("product-card").click()
    await asyncio.sleep(0.5)
    await take_all(pages, take, "product")
    for page in pages.values():
        await page.get_by_test_id("sheet-close").click()
    opened = await stage.do(
        stage.host, "poll.open", question="Which colour next?", answers=["Cobalt", "Moss", "Terracotta"], seconds=60
    )
    for number, name in enumerate(("Ada", "Bram", "Chloé", "Dirk")):
        await stage.do(await stage.person(name), "poll.vote", poll_id=opened["poll"]["id"], answer=number % 3 % 2)
    for page in pages.values():
        await page.get_by_test_id("poll-choice").first.click()
    await asyncio.sleep(1)
    await take_all(pages, take, "poll")
    await stage.do(stage.host, "poll.close", poll_id=opened["poll"]["id"])
    deal_id = await stage.deal(stock=8)
    await stage.buys(deal_id, "Ada", "Bram", "Chloé")
    for page in pages.values():
        await page.get_by_test_id("poll-card").wait_for(state="hidden")
        await page.locator("[data-testid=deal-buy]:not([disabled])").wait_for()
    await take_all(pages, take, "deal")
    for page in pages.values():
        await page.get_by_test_id("deal-buy").click()
        await page.get_by_test_id("order-hold").wait_for()
    await take_all(pages, take, "held")
    for page in pages.values():
        await page.get_by_test_id("order-pay").click()
        await page.get_by_test_id("order-receipt").wait_for()
    await take_all(pages, take, "receipt")
    for page in pages.values():
        await page.get_by_test_id("receipt-done").click()
        await page.get_by_test_id("my-orders").click()
        await page.get_by_test_id("my-order").locator("summary").first.click()
    await asyncio.sleep(0.5)
    await take_all(pages, take, "orders")
    for page in pages.values():
        await page.get_by_test_id("my-orders-close").click()
    await stage.buys(deal_id, "Dirk", "Eva", "Finn", pay=False)
    for page in pages.values():
        await page.locator("[data-testid=deal-card][data-state=sold_out]").wait_for()
    await take_all(pages, take, "sold-out")
    await stage.ask("POST", f"deals/{deal_id}/close")


async def take_home(browser: Browser, api: Api, take: Take, name: str) -> None:
    """The list of shows as it is now."""
    for size, dimensions in SIZES.items():
        page = await (await window(browser, dimensions)).new_page()
        await page.goto(api.url)
        await page.locator("[data-testid=home-stream], [data-testid=home-empty]:not([hidden])").first.wait_for()
        for card in await page.locator("[data-testid=home-stream][data-state=live]").all():
            await card.get_by_test_id("home-poster").wait_for()
        await asyncio.sleep(1.5)
        await take(page, f"home-{size}{name}")
        await page.context.close()


async def take_homes(browser: Browser, api: Api, take: Take) -> None:
    """With nobody, with one show, with many."""
    await take_home(browser, api, take, "-empty")
    stage = await Stage.set(api)
    await stage.fill_showcase()
    hosts = [await go_live(browser, stage)]
    await stage.deal(duration_s=600)
    await take_home(browser, api, take, "")
    for host, title, goods in (
        ("Noor's Vintage", "Friday finds", True),
        ("Lampenhuis", "Light for dark evenings", True),
        ("Milo", "Just talking", False),
    ):
        other = await Stage.set(api, title, host)
        if goods:
            await other.fill_showcase()
            await other.ask("POST", f"products/{'bag' if 'Noor' in host else 'lamp'}/pin")
        if host != "Milo":
            hosts.append(await go_live(browser, other))
    await take_home(browser, api, take, "-many")
    for page in hosts:
        await page.context.close()


def takes_into(folder: Path) -> Take:
    """Write pictures into this folder."""
    folder.mkdir(parents=True, exist_ok=True)

    async def take(page: Page, name: str) -> None:
        path = folder / f"{name}.png"
        await page.screenshot(path=path)
        print(f"{path.name}  {path.stat().st_size // 1024} KB", flush=True)  # noqa: T201 - a script's progress

    return take
