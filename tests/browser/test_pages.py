"""What people do on the pages without a camera: browse, read Dutch, hold, moderate, sell, sit out a restart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.api import Api, Person
from tests.browser import shared
from tests.browser.pages import joined
from tests.running import free_port, running_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), shared.LOOP]
browser, server, api = shared.browser, shared.server, shared.api

PATIENCE_MS = 30_000
PHONE = {"width": 390, "height": 844}


async def visit(browser: Browser, url: str, locale: str = "en-US") -> Page:
    """A phone with a new empty profile; a page error or a content-policy refusal fails the test at its end."""
    context: BrowserContext = await browser.new_context(viewport=PHONE, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if "Content Security" in line.text else None)
    page.troubles = troubles  # type: ignore[attr-defined]
    await page.goto(url)
    return page


def calm(page: Page) -> None:
    assert page.troubles == []  # type: ignore[attr-defined]


async def show(api: Api) -> tuple[Person, str]:
    host = await api.guest("Hanna")
    return host, await api.stream(host, "Mugs tonight")


async def host_page(browser: Browser, api: Api, host: Person) -> Page:
    page = await visit(browser, f"{api.url}/studio#token={host.token}")
    await page.get_by_test_id("continue-stream").first.click()
    return page


async def test_the_list_shows_what_is_on_and_leads_there(browser: Browser, api: Api) -> None:
    _, stream = await show(api)
    page = await visit(browser, api.url)
    card = page.locator(f"[data-testid=home-stream][data-id={stream}]")
    await expect(card).to_contain_text("Mugs tonight", timeout=PATIENCE_MS)
    await card.click()
    await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "soon", timeout=PATIENCE_MS)
    calm(page)


async def test_a_dutch_browser_reads_dutch_and_may_switch(browser: Browser, api: Api) -> None:
    _, stream = await show(api)
    page = await visit(browser, f"{api.url}/watch/{stream}", "nl-NL")
    await expect(page.get_by_test_id("status")).to_have_text("Begint zo", timeout=PATIENCE_MS)
    await page.get_by_test_id("language").select_option("en")
    await expect(page.get_by_test_id("status")).to_have_text("Starts soon", timeout=PATIENCE_MS)
    assert await page.evaluate("document.documentElement.lang") == "en"
    calm(page)


async def test_a_page_that_cannot_start_says_so(browser: Browser, api: Api) -> None:
    """Scripts that a browser is too old for, or that do not come: a sentence in both languages instead of nothing."""
    context = await browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.route("**/ui/dom.js", lambda route: route.fulfill(body="class {", content_type="text/javascript"))
    await page.goto(api.url)
    words = page.locator(".not-started")
    await expect(words).to_be_hidden()
    await words.evaluate("(element) => element.getAnimations().forEach((each) => each.finish())")
    await expect(words).to_be_visible()
    await expect(words).to_contain_text("werk je browser bij")
    other = await visit(browser, api.url)
    await expect(other.get_by_test_id("studio-link")).to_be_visible(timeout=PATIENCE_MS)
    await expect(other.locator(".not-started")).to_have_count(0)


async def test_a_hold_survives_a_reload_of_the_page(browser: Browser, api: Api) -> None:
    host, stream = await show(api)
    page = await visit(browser, f"{api.url}/watch/{stream}")
    await api.open_deal(host, stream)
    await page.get_by_test_id("deal-buy").click()
    await expect(page.get_by_test_id("order-hold")).to_be_visible()
    await page.reload()
    await expect(page.get_by_test_id("order-hold")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_test_id("order-cancel").click()
    await expect(page.get_by_test_id("deal-left")).to_have_text("3 left")
    calm(page)


async def test_the_host_deletes_a_line_and_bans_its_author(browser: Browser, api: Api) -> None:
    host, stream = await show(api)
    desk = await host_page(browser, api, host)
    await desk.get_by_test_id("tab-chat").click()
    viewer = await visit(browser, f"{api.url}/watch/{stream}")
    for text in ("<b>first</b> line", "second line"):
        await viewer.get_by_test_id("chat-input").fill(text)
        await viewer.get_by_test_id("chat-send").click()
        await expect(viewer.get_by_test_id("chat-line").filter(has_text=text)).to_have_count(1, timeout=PATIENCE_MS)
    first = desk.get_by_test_id("chat-line").filter(has_text="<b>first</b>")
    await first.hover()
    await first.get_by_test_id("chat-delete").click()
    await expect(viewer.get_by_test_id("chat-line")).to_have_count(1, timeout=PATIENCE_MS)
    second = desk.get_by_test_id("chat-line").filter(has_text="second")
    await second.hover()
    await second.get_by_test_id("chat-ban").click()
    await expect(viewer.get_by_test_id("poster")).to_contain_text("closed this show to you", timeout=PATIENCE_MS)
    calm(viewer)
    calm(desk)


async def test_the_host_sells_from_the_showcase(browser: Browser, api: Api) -> None:
    """Add a product, pin it, make a deal of it, see the order and the revenue, close the deal."""
    host, stream = await show(api)
    desk = await host_page(browser, api, host)
    await desk.get_by_test_id("tab-products").click()
    await desk.get_by_test_id("product-form").locator("summary").click()
    await desk.get_by_test_id("product-title").fill("Enamel mug")
    await desk.get_by_test_id("product-price").fill("12,50")
    await desk.get_by_test_id("product-save").click()
    await desk.get_by_test_id("product-pin").click()
    await expect(desk.get_by_test_id("product-pin")).to_have_attribute("aria-pressed", "true")
    viewer = await visit(browser, f"{api.url}/watch/{stream}")
    await expect(viewer.get_by_test_id("product-card")).to_contain_text("€12.50", timeout=PATIENCE_MS)
    await desk.get_by_test_id("tab-deals").click()
    await desk.get_by_test_id("deal-product").select_option(label="Enamel mug")
    await desk.get_by_test_id("deal-price").fill("free")
    await desk.get_by_test_id("deal-open").click()
    await expect(desk.get_by_test_id("deal-refusal")).to_contain_text("amount")
    await desk.get_by_test_id("deal-price").fill("5")
    await desk.get_by_test_id("deal-open").click()
    await viewer.get_by_test_id("deal-buy").click()
    await viewer.get_by_test_id("order-pay").click()
    await expect(viewer.get_by_test_id("toast")).to_contain_text("just bought Enamel mug")
    await expect(desk.get_by_test_id("board-sold")).to_have_text("1", timeout=PATIENCE_MS)
    await desk.get_by_test_id("deal-close").click()
    await expect(desk.get_by_test_id("board-state")).to_have_text("Closed")
    await desk.get_by_test_id("tab-orders").click()
    await expect(desk.get_by_test_id("revenue")).to_have_text("€5.00", timeout=PATIENCE_MS)
    await expect(desk.get_by_test_id("order-row")).to_have_count(1)
    calm(viewer)
    calm(desk)


async def test_the_page_comes_back_by_itself_after_the_server_did(browser: Browser, tmp_path: Path) -> None:
    """Killed and started again on the same data: the chat goes on, what was missed is there, nobody touched a thing."""
    port = free_port()
    with running_server(tmp_path, port=port) as first:
        async with Api(first.url) as api:
            _, stream = await show(api)
            page = await visit(browser, f"{first.url}/watch/{stream}")
            await joined(page)
            await page.get_by_test_id("chat-input").fill("before")
            await page.get_by_test_id("chat-send").click()
            await expect(page.get_by_test_id("chat-line")).to_have_count(1, timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "offline", timeout=PATIENCE_MS)
    with running_server(tmp_path, port=port) as second:
        other = await visit(browser, f"{second.url}/watch/{stream}")
        await joined(other)
        await other.get_by_test_id("chat-input").fill("after")
        await other.get_by_test_id("chat-send").click()
        await expect(page.get_by_test_id("chat-line")).to_have_text(
            [re.compile("before"), re.compile("after")], timeout=PATIENCE_MS
        )
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "soon", timeout=PATIENCE_MS)
    calm(page)
